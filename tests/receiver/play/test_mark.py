"""The mark of a lost signal: seen in every picture, readable where there is room."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.video import blank, picture_size, planes
from receiver.play.base import SignalState
from receiver.play.mark import TEXT_LUMA, clock, mark, marked, words
from tests.receiver.link import scene
from tests.receiver.play.pictures import shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (7.9, "0:07"),
        (61, "1:01"),
        (754, "12:34"),
        (3723, "1:02:03"),
        (-1, "0:00"),
        (4e5, "111:06:40"),
    ],
)
def test_the_time_is_read_as_on_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_words_say_what_they_should() -> None:
    dots = words(99 * 2, 44, "0:07")  # one line at the scale of 1
    assert dots is not None and dots.shape == (11, 99)
    drawn = ["".join("#" if dot else "." for dot in row[2:13]) for row in dots[2:9]]
    assert drawn == [  # S, I
        ".####..###.",
        "#.......#..",
        "#.......#..",
        ".###....#..",
        "....#...#..",
        "....#...#..",
        "####...###.",
    ]


@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (256, 256), (128, 96), (640, 480), (1920, 1088), (480, 848)]
)
def test_a_marked_picture_is_grey_dark_and_says_so(width: int, height: int) -> None:
    picture = scene(3, width, height)
    picture[height:] = 90
    before = picture.copy()
    out = mark(picture, 7.0)
    assert out.shape == picture.shape and np.array_equal(picture, before)
    luma, blue, red = planes(out)
    assert (blue == 128).all() and (red == 128).all()
    text = luma == TEXT_LUMA
    assert text.mean() > 0.01
    rows, columns = np.nonzero(text)
    assert abs(rows.mean() - height / 2) < 0.05 * height and abs(columns.mean() - width / 2) < 0.05 * width
    assert columns.max() - columns.min() > 0.5 * width
    assert luma[~text].max() <= 16 + (picture[:height].max() - 16) / 2
    assert not np.array_equal(out, mark(picture, 8.0))


@given(st.integers(1, 40), st.integers(1, 40), st.floats(-1e3, 1e6), st.integers(0, 255))
def test_any_size_and_any_time_can_be_marked(width: int, height: int, silence: float, luma: int) -> None:
    picture = blank(16 * width, 16 * height, luma)
    assert picture_size(mark(picture, silence)) == (16 * width, 16 * height)


def test_only_a_lost_signal_is_marked() -> None:
    live = shown(1)
    assert marked(live) is live.picture
    lost = dataclasses.replace(live, state=SignalState.LOST, silence=5.0)
    assert np.array_equal(marked(lost), mark(live.picture, 5.0))
