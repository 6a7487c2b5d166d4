"""Drawn maps: a scene of a few classes that moves, so that the tests need no data."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget

Labels = NDArray[np.uint8]
CLASSES = 5
PLENTY = Budget(1e9, 57, 65535)


def scene(frame: int, width: int = 160, height: int = 120) -> Labels:
    """Sky, ground, a house, a car that drives and a pole that passes."""
    labels = np.zeros((height, width), np.uint8)
    labels[height // 2 :] = 1
    cv2.fillPoly(labels, [np.array(((20, 60), (20, 25), (45, 12), (70, 25), (70, 60)), np.int32)], 2)
    car = np.array(((0, 20), (0, 8), (10, 0), (28, 0), (40, 8), (40, 20)), np.int32)
    car += np.array((20 + 4 * frame, 70), np.int32)
    cv2.fillPoly(labels, [car], 3)
    left = 140 - 5 * frame
    labels[20:100, max(left, 0) : max(left + 6, 0)] = 4
    return labels


def scenes(count: int) -> list[Labels]:
    """That many frames."""
    return [scene(frame) for frame in range(count)]
