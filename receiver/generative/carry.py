"""Between generated pictures: the texture of now with the detail of the last one, where the texture has not changed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from common.video import Picture, picture_size, planes
from receiver.generative.frames import Detail

CHANGE = 6.0
"""Mean difference of luma around a sample at which little of the detail (1/e) is kept."""

AROUND = 9
"""Samples on a side over which the difference is taken."""


def carry(detail: Detail, texture: Picture) -> Picture:
    """A picture of the same size as the textures; raises nothing for textures of one size."""
    width, height = picture_size(texture)
    before, after, made = planes(detail.texture), planes(texture), planes(detail.made)
    change = cv2.blur(cv2.absdiff(after[0], before[0]).astype(np.float32), (AROUND, AROUND)) / CHANGE
    keep = np.exp(-np.square(change))
    half = cv2.resize(keep, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    out = np.empty(texture.shape, np.uint8)
    for target, now, then, full, weight in zip(
        planes(out), after, before, made, (keep, half, half), strict=True
    ):
        moved = now + np.asarray(weight) * (full.astype(np.float32) - then)
        target[...] = _bytes(moved)
    return out


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
