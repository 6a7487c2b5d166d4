"""Pictures as planes and as the network's values."""

from __future__ import annotations

import numpy as np
import pytest

from common.codec.pictures import join, split, to_bytes, to_values
from common.video import planes


@pytest.mark.parametrize("size", [(16, 16), (80, 48), (64, 96)])
def test_planes_are_those_of_the_pictures_and_join_again(size: tuple[int, int]) -> None:
    width, height = size
    rng = np.random.default_rng(1)
    pictures = list(rng.integers(0, 256, (4, height * 3 // 2, width), dtype=np.uint8))
    stacked = split(pictures)
    for index, picture in enumerate(pictures):
        luma, blue, red = planes(picture)
        assert np.array_equal(stacked.luma[index], luma)
        assert np.array_equal(stacked.chroma[index], np.stack((blue, red)))
    assert all(np.array_equal(a, b) for a, b in zip(pictures, join(stacked), strict=True))


def test_every_byte_comes_back_and_values_between_are_rounded() -> None:
    every = np.arange(256, dtype=np.uint8)
    values = to_values(every)
    assert values.dtype == np.float32
    assert (values[0], values[-1]) == (-1, 1)
    assert np.array_equal(to_bytes(values), every)
    near = values[1:-1] + np.float32(0.4 / 127.5)
    assert np.array_equal(to_bytes(near), every[1:-1])
    assert np.array_equal(to_bytes(near + np.float32(0.2 / 127.5)), every[2:])


def test_values_out_of_range_are_clipped() -> None:
    assert to_bytes(np.array([-3, -1.1, 1.1, 40], np.float32)).tolist() == [0, 0, 255, 255]
