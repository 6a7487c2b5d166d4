from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from hypothesis import given
from hypothesis import strategies as st

from common.video import (
    Picture,
    Resizer,
    blank,
    cover,
    from_planes,
    from_video_frame,
    picture_size,
    planes,
    to_video_frame,
)


def noise(width: int, height: int) -> Picture:
    return np.random.default_rng(1).integers(0, 256, (height * 3 // 2, width)).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (66, 50), (256, 256)])
def test_a_picture_survives_the_way_there_and_back(width: int, height: int) -> None:
    picture = noise(width, height)
    assert picture_size(picture) == (width, height)
    assert np.array_equal(from_video_frame(to_video_frame(picture)), picture)
    assert np.array_equal(from_planes(*planes(picture)), picture)


def test_to_video_frame_copies_and_tags() -> None:
    picture = noise(64, 48)
    frame = to_video_frame(picture, 7, Fraction(1, 15))
    picture[:] = 0
    assert from_video_frame(frame).any()
    assert (frame.pts, frame.color_range) == (7, int(ColorRange.MPEG))
    assert frame.time == pytest.approx(7 / 15)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 6), np.uint8), np.zeros((6, 3), np.uint8), np.zeros((6, 4, 1), np.uint8), np.zeros((6, 4))],
)
def test_what_is_no_picture(bad: Picture) -> None:
    with pytest.raises(ValueError, match="not an I420 picture"):
        picture_size(bad)


def test_blank_is_black() -> None:
    rgb = to_video_frame(blank(32, 16)).to_ndarray(format="rgb24")
    assert rgb.max() <= 2


@given(*[st.integers(1, 5000)] * 2, *[st.integers(8, 128).map(lambda n: n * 2)] * 2)
def test_cover_covers(width: int, height: int, target_width: int, target_height: int) -> None:
    scaled_width, scaled_height, left, top = cover(width, height, target_width, target_height)
    assert scaled_width >= target_width and scaled_height >= target_height
    assert scaled_width == target_width or scaled_height == target_height
    assert 0 <= left <= scaled_width - target_width and 0 <= top <= scaled_height - target_height
    assert left % 2 == top % 2 == 0
    # The centre stays the centre, to within the even grid.
    assert abs(2 * left + target_width - scaled_width) <= 2
    assert abs(2 * top + target_height - scaled_height) <= 2


def test_cover_of_common_shapes() -> None:
    assert cover(640, 480, 256, 256) == (342, 256, 44, 0)
    assert cover(480, 640, 256, 256) == (256, 342, 0, 44)
    assert cover(512, 512, 256, 256) == (256, 256, 0, 0)


def test_resize_cuts_out_the_centre_without_distortion() -> None:
    # A disc in the middle of a wide picture, left and right of it something else.
    y, x = np.mgrid[0:240, 0:640]
    luma = np.where((x - 320) ** 2 + (y - 120) ** 2 < 60**2, 235, 16).astype(np.uint8)
    luma[:, :150] = luma[:, 490:] = 128
    chroma = np.full((120, 320), 128, np.uint8)
    result = Resizer(128, 128).convert(to_video_frame(from_planes(luma, chroma, chroma)))
    assert picture_size(result) == (128, 128)
    disc = result[:128] > 125
    rows, columns = np.flatnonzero(disc.any(1)), np.flatnonzero(disc.any(0))
    assert abs(rows.mean() - 63.5) <= 1 and abs(columns.mean() - 63.5) <= 1
    assert abs(len(rows) - 64) <= 2 and abs(len(columns) - 64) <= 2


def test_pixel_aspect_is_undone() -> None:
    y, x = np.mgrid[0:128, 0:64]
    luma = np.where((2 * (x - 31.5)) ** 2 + (y - 63.5) ** 2 < 40**2, 235, 16).astype(np.uint8)
    chroma = np.full((64, 32), 128, np.uint8)
    result = Resizer(128, 128).convert(to_video_frame(from_planes(luma, chroma, chroma)), Fraction(2))
    disc = result[:128] > 125
    assert abs(int(disc.any(1).sum()) - int(disc.any(0).sum())) <= 2


def test_full_range_becomes_limited_range() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((96, 64), 255, np.uint8), format="yuvj420p")
    frame.color_range = ColorRange.JPEG
    assert abs(int(Resizer(64, 64).convert(frame)[0, 0]) - 235) <= 1


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [((255, 0, 0), (81, 90, 240)), ((0, 0, 255), (41, 240, 110)), ((255, 255, 255), (235, 128, 128))],
)
def test_rgb_becomes_bt601(rgb: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), rgb, np.uint8), format="rgb24")
    luma, blue, red = planes(Resizer(32, 32).convert(frame))
    assert np.abs(np.array([luma[8, 8], blue[8, 8], red[8, 8]], int) - yuv).max() <= 1


def test_hd_matrix_is_converted() -> None:
    """A frame tagged BT.709 keeps its colours, so its numbers change."""
    red709 = np.full((96, 64), 63, np.uint8)
    red709[64:80], red709[80:] = 102, 240
    frame = av.VideoFrame.from_ndarray(red709, format="yuv420p")
    frame.colorspace = 1
    luma, blue, red = planes(Resizer(64, 64).convert(frame))
    assert np.abs(np.array([luma[8, 8], blue[8, 8], red[8, 8]], int) - (81, 90, 240)).max() <= 2


def test_odd_sizes_are_refused_and_odd_sources_are_not() -> None:
    with pytest.raises(ValueError, match="must be even"):
        Resizer(255, 256)
    assert Resizer(64, 64).convert(av.VideoFrame(33, 77, "yuv420p")).shape == (96, 64)
    assert from_video_frame(av.VideoFrame(33, 77, "yuv420p")).shape == (114, 32)
