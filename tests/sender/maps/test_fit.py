"""Maps lie on the pictures that are cut the same way."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.values import Size
from common.video import Resizer
from sender.maps.fit import fit


@pytest.mark.parametrize("size", [Size(64, 64), Size(128, 64), Size(64, 128), Size(96, 80), Size(256, 144)])
def test_edges_lie_where_the_pictures_are(size: Size) -> None:
    labels = np.zeros((120, 160), np.uint8)
    labels[30:80, 50:140] = 1
    picture = np.where(labels == 1, 235, 16).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, 2), format="rgb24")
    luma = Resizer(size.width, size.height).convert(frame)[: size.height]
    middle = (int(luma.min()) + int(luma.max())) / 2
    assert ((luma > middle) != (fit(labels, size) == 1)).mean() < 0.03


@given(st.tuples(*[st.integers(1, 70)] * 2), st.tuples(*[st.integers(1, 8)] * 2), st.booleans())
def test_any_size_becomes_any_other(source: tuple[int, int], steps: tuple[int, int], wide: bool) -> None:
    size = Size(16 * steps[0], 16 * steps[1])
    map = np.arange(source[0] * source[1]).reshape(source)
    found = fit(map.astype(np.uint16), size) if wide else fit(map.astype(np.uint8), size)
    assert found.shape == (size.height, size.width) and np.isin(found, map % (65536 if wide else 256)).all()


def test_the_right_size_is_not_touched() -> None:
    map = np.zeros((32, 48), np.uint8)
    assert fit(map, Size(48, 32)) is map
