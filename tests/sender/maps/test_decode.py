"""What is in a picture of a map: levels, palette entries, colours; and what is refused."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.maps.base import VOID
from common.maps.legends import LEGENDS
from sender.maps.decode import LabelReader, nearest_table
from sender.maps.legend import coding, read_legend

YARD = read_legend(b'{classes: {ground: "#204060", dog: "#ffaa00", sky: "#78beff"}}', "yard")


def _frame(values: object, form: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.asarray(values, np.uint8), format=form)


def test_grey_levels_are_class_numbers() -> None:
    labels = np.array([[0, 1], [2, 255]] * 8, np.uint8)
    assert (LabelReader(YARD).labels(_frame(labels, "gray")) == labels).all()
    masks = LabelReader(coding("matte")).labels(_frame([[0, 255]] * 16, "gray"))
    assert masks[0].tolist() == [0, 1]
    street = LabelReader(coding("street")).labels(_frame([[10, 11]] * 16, "gray"))
    assert street[0].tolist() == [10, VOID]


def test_levels_that_are_no_class_are_refused() -> None:
    with pytest.raises(ValueError, match="holds level 3, which is no class of the 3 of legend yard"):
        LabelReader(YARD).labels(_frame([[0, 3]] * 16, "gray"))
    deep = av.VideoFrame.from_ndarray(np.full((16, 16), 300, np.uint16), format="gray16le")
    with pytest.raises(ValueError, match="holds level 300"):
        LabelReader(YARD).labels(deep)


def test_colours_are_the_nearest_of_the_legend() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, (24, 32)).astype(np.uint8)
    picture = np.asarray(YARD.legend.colours, np.int64)[labels] + rng.integers(-9, 10, (24, 32, 3))
    picture[0, 0] = (0, 255, 0)
    found = LabelReader(YARD).labels(_frame(np.clip(picture, 0, 255), "rgb24"))
    assert found[0, 0] == VOID
    assert (found.ravel()[1:] == labels.ravel()[1:]).all()


def test_lossy_video_keeps_most() -> None:
    labels = np.kron(np.random.default_rng(2).integers(0, 3, (3, 4)), np.ones((16, 16))).astype(np.uint8)
    picture = np.asarray(YARD.legend.colours, np.uint8)[labels]
    lossy = _frame(picture, "rgb24").reformat(format="yuv420p")
    assert (LabelReader(YARD).labels(lossy) == labels).mean() > 0.95


def test_without_a_legend_colours_say_nothing_but_grey_does() -> None:
    reader = LabelReader(coding(None))
    assert reader.labels(_frame(np.full((16, 16, 3), 7), "rgb24"))[0, 0] == 7
    with pytest.raises(ValueError, match=r"--maps\.legend FILE"):
        reader.labels(_frame(np.full((16, 16, 3), (7, 8, 9)), "rgb24"))


def test_every_shipped_legend_finds_its_own_colours() -> None:
    for name, legend in LEGENDS.items():
        reader = LabelReader(coding(name))
        strip = np.repeat(np.asarray(legend.colours, np.uint8)[None], 16, 0)
        assert reader.labels(_frame(strip, "rgb24"))[0].tolist() == list(range(len(legend.classes)))


def test_colours_too_alike_are_told() -> None:
    with pytest.raises(ValueError, match="classes 0 and 1 are too alike"):
        nearest_table(((0, 0, 0), (1, 2, 3)))


@settings(max_examples=30)
@given(arrays(np.uint8, (16, 16, 3)), st.sampled_from(["street", "tabletop", "matte"]))
def test_any_picture_gives_labels_of_the_legend(
    picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], name: str
) -> None:
    read = coding(name)
    found = LabelReader(read).labels(_frame(picture, "rgb24"))
    assert ((found < len(read.legend.classes)) | (found == VOID)).all()
