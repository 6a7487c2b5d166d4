"""The camera's motion is taken out; where it cannot be told nothing is touched."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from common.maps.align import aligned


def _scene(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (height // 12, width // 12)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("size", [(176, 240), (352, 480), (704, 960)])
def test_pan_turn_and_zoom_are_undone(size: tuple[int, int]) -> None:
    height, width = size
    now = _scene(height, width)
    angle, zoom, shift = math.radians(1.5), 1.03, (height / 40, -height / 30)
    motion = np.array(
        [
            [zoom * math.cos(angle), -math.sin(angle), shift[0]],
            [math.sin(angle), zoom * math.cos(angle), shift[1]],
        ]
    )
    earlier = np.asarray(
        cv2.warpAffine(now, motion, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8
    )
    inner = np.s_[height // 8 : -height // 8, width // 8 : -width // 8]
    before = cv2.absdiff(earlier, now)[inner].mean()
    after = cv2.absdiff(aligned(earlier, now), now)[inner].mean()
    assert after < 0.15 * before


def test_what_moves_by_itself_still_differs() -> None:
    now = _scene(176, 240)
    earlier = np.roll(now, (3, -5), (0, 1))
    now[60:100, 80:120], earlier[60:100, 100:140] = 255, 255
    change = cv2.absdiff(aligned(earlier, now), now)
    assert change[65:95, 85:95].mean() > 60 and change[:40, 20:-20].mean() < 8


def test_without_corners_it_is_left_alone() -> None:
    flat = np.full((64, 64), 90, np.uint8)
    earlier = flat + np.uint8(5)
    assert (aligned(earlier, flat) == earlier).all()
