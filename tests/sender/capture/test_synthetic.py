from __future__ import annotations

import time

import numpy as np
import pytest

from sender.capture.synthetic import SyntheticScene


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return SyntheticScene(256, 256, 15, seed=1)


def test_same_seed_same_picture_in_any_order(scene: SyntheticScene) -> None:
    other = SyntheticScene(256, 256, 15, seed=1)
    late = other.picture(400)
    assert np.array_equal(scene.picture(3), other.picture(3))
    assert np.array_equal(scene.picture(400), late)
    assert not np.array_equal(SyntheticScene(256, 256, 15, seed=2).picture(3), scene.picture(3))


@pytest.mark.parametrize("size", [(256, 256), (64, 64), (320, 176), (96, 240), (640, 368)])
def test_pictures_are_i420_in_limited_range(size: tuple[int, int]) -> None:
    width, height = size
    scene = SyntheticScene(width, height, 30)
    for index in (0, 77, 10_000):
        picture = scene.picture(index)
        assert picture.shape == (height * 3 // 2, width)
        assert picture.dtype == np.uint8
        assert picture.min() >= 16
        assert picture.max() <= 240
        assert picture[:height].max() <= 235


def test_every_picture_differs_from_the_one_before(scene: SyntheticScene) -> None:
    before = scene.picture(0).astype(np.int16)
    for index in range(1, 600):
        picture = scene.picture(index).astype(np.int16)
        assert np.abs(picture[:256] - before[:256]).mean() > 0.5
        before = picture


def test_motion_is_smooth(scene: SyntheticScene) -> None:
    steps = [
        np.abs(scene.picture(i + 1)[:256].astype(np.int16) - scene.picture(i)[:256]).mean()
        for i in range(200, 260)
    ]
    assert max(steps) < 25


def test_clock_shows_tenths(scene: SyntheticScene) -> None:
    corner = np.s_[6:39, 6:142]
    same = scene.picture(30)[corner], scene.picture(31)[corner]
    assert np.array_equal(*same)
    assert not np.array_equal(scene.picture(33)[corner], same[0])
    assert same[0].max() == 235


def test_fast_enough_for_a_live_source(scene: SyntheticScene) -> None:
    times = []
    for index in range(40):
        start = time.perf_counter()
        scene.picture(index)
        times.append(time.perf_counter() - start)
    assert sorted(times)[20] < 0.004


@pytest.mark.parametrize(("width", "height", "fps"), [(255, 256, 15), (256, 32, 15), (256, 256, 0)])
def test_impossible_sizes_are_refused(width: int, height: int, fps: float) -> None:
    with pytest.raises(ValueError, match="size:"):
        SyntheticScene(width, height, fps)
