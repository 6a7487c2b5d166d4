"""Views: mirrored and made smaller, and back to where they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from common.codec.av1 import SMALLEST_SIDE
from common.codec.header import SHRINKS, CodecHeader, Mirror
from common.codec.pictures import join, split
from common.codec.view import coded_size, put, take
from common.video import Picture, picture_size
from tests.common.codec.scene import mean_psnr

SIZES = [(16, 16), (48, 80), (352, 288), (640, 368)]
MIRRORS = [Mirror.of(number) for number in range(8)]


def header(size: tuple[int, int], shrink: int = 1, mirror: Mirror = MIRRORS[0]) -> CodecHeader:
    return CodecHeader(1, *size, fps=15.0, shrink=shrink, mirror=mirror)


def noise(width: int, height: int) -> list[Picture]:
    rng = np.random.default_rng(width)
    return list(rng.integers(0, 256, (4, height * 3 // 2, width), dtype=np.uint8))


def waves(width: int, height: int) -> list[Picture]:
    """Smooth planes, none of which is symmetric, another in each picture."""
    pictures = []
    for index in range(4):
        picture = np.empty((height * 3 // 2, width), np.uint8)
        y, x = np.mgrid[0:height, 0:width]
        picture[:height] = 120 + 70 * np.sin((x + 2 * index) / 23) * np.cos(y / 19)
        y, x = np.mgrid[0 : height // 2, 0 : width // 2]
        half = picture[height:].reshape(2, height // 2, width // 2)
        half[0], half[1] = 120 + 70 * np.sin((x + index) / 17 + y / 15), 120 + 60 * np.cos(x / 15 - y / 21)
        pictures.append(picture)
    return pictures


def areas(planes: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Means of squares of this side."""
    *front, height, width = planes.shape
    squares = planes.reshape(*front, height // side, side, width // side, side)
    return np.asarray(squares.mean((-3, -1)))


def shift(true: NDArray[np.uint8], shown: NDArray[np.uint8]) -> NDArray[np.float64]:
    """By how many samples, down and to the right, the one must be moved to give the other."""
    inside = np.s_[..., 8:-8, 8:-8]
    slopes = [np.asarray(np.gradient(true.astype(np.float64), axis=axis)) for axis in (-2, -1)]
    matrix = np.stack([slope[inside].reshape(-1) for slope in slopes], 1)
    difference = (true.astype(np.float64) - shown)[inside].reshape(-1)
    return np.asarray(np.linalg.lstsq(matrix, difference, rcond=None)[0])


@pytest.mark.parametrize("size", [(64, 64), (352, 288), (640, 368)])
@pytest.mark.parametrize("mirror", MIRRORS, ids=int)
def test_a_view_that_is_not_shrunk_is_exact(size: tuple[int, int], mirror: Mirror) -> None:
    pictures, how = noise(*size), header(size, mirror=mirror)
    assert np.array_equal(np.stack(join(put(take(pictures, how), how))), np.stack(pictures))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shrink", SHRINKS)
def test_a_mirrored_view_is_put_where_the_plain_one_is(size: tuple[int, int], shrink: int) -> None:
    pictures, shown = waves(*size), []
    for mirror in MIRRORS:
        how = header(size, shrink, mirror)
        shown.append(np.stack(join(put(take(pictures, how), how))).astype(int))
    assert max(int(np.abs(other - shown[0]).max()) for other in shown) <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shrink", SHRINKS)
def test_coded_pictures_have_the_coded_size(size: tuple[int, int], shrink: int) -> None:
    how = header(size, shrink)
    width, height = coded_size(how)
    assert min(width, height) >= SMALLEST_SIDE
    assert width % 2 == height % 2 == 0
    for side, whole in zip((width, height), size, strict=True):
        assert side == SMALLEST_SIDE or whole <= side * shrink <= whole + 2 * shrink
    assert {picture_size(picture) for picture in take(noise(*size), how)} == {(width, height)}


@pytest.mark.parametrize("size", [(352, 288), (640, 368)])
@pytest.mark.parametrize("shrink", [2, 4])
def test_shrunk_pictures_are_the_means_of_areas(size: tuple[int, int], shrink: int) -> None:
    pictures = noise(*size)
    true, small = split(pictures), split(take(pictures, header(size, shrink)))
    for whole, part in zip(true, small, strict=True):
        assert np.abs(areas(whole, shrink) - part).max() <= 1


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("shrink", SHRINKS)
def test_what_was_shrunk_is_put_back_without_a_shift(size: tuple[int, int], shrink: int) -> None:
    """Half a sample of the small picture would be one or two of the stream's: two views would not fit together."""
    pictures, how = waves(*size), header(size, shrink)
    true, shown = split(pictures), put(take(pictures, how), how)
    for one, other in zip(true, shown, strict=True):
        assert np.abs(shift(one, other)).max() < 0.1
    assert mean_psnr(pictures, join(shown)) > 40


def test_the_shift_that_is_measured_is_one() -> None:
    """The test above can fail."""
    true = split(waves(352, 288)).luma
    assert shift(true, np.roll(true, 1, -1)) == pytest.approx([0, 1], abs=0.05)
    assert shift(true, np.roll(true, -1, -2)) == pytest.approx([-1, 0], abs=0.05)


@pytest.mark.parametrize("shrink", SHRINKS)
def test_the_smallest_pictures_are_coded_larger(shrink: int) -> None:
    pictures, how = waves(16, 16), header((16, 16), shrink)
    assert coded_size(how) == (SMALLEST_SIDE, SMALLEST_SIDE)
    assert mean_psnr(pictures, join(put(take(pictures, how), how))) > 40


def test_mirrors_are_what_they_are_called() -> None:
    pictures, size = noise(64, 96), (64, 96)
    plain = np.stack(pictures)
    for name, view in (
        ("sideways", plain[:, :96, ::-1]),
        ("upside_down", plain[:, 95::-1]),
        ("backwards", plain[::-1, :96]),
    ):
        how = header(size, mirror=replace(Mirror(), **{name: True}))
        assert np.array_equal(np.stack(take(pictures, how))[:, :96], view), name
