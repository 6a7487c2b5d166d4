"""Takes the camera's motion out of an earlier picture, so that what still differs moves by itself.

Corners are tracked (pyramidal Lucas-Kanade), a shift, turn and zoom is fitted that most of them agree on (RANSAC).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

SIDE = 256  # pixels of the longer side, about, of the pictures that corners are tracked in
TILES = 4, 3
"""Columns and rows; each has corners of its own, so that one thing of high contrast does not have them all."""
CORNERS = 14  # of a tile
LEAST = 8
"""Corners that have to agree."""


def aligned(earlier: Luma, now: Luma) -> Luma:
    """`earlier` moved so that the standing part of the scene lies where it lies `now`; both (H, W).

    Where the earlier picture did not reach it is filled from `now`. Without enough corners it is `earlier` itself.
    """
    height, width = now.shape
    motion = _motion(earlier, now)
    if motion is None:
        return earlier
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        earlier, motion, (width, height), flags=how, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    reached = cv2.warpAffine(
        np.full((height, width), 255, np.uint8),
        motion,
        (width, height),
        flags=how,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.where(reached == 255, moved, now).astype(np.uint8)


def _motion(earlier: Luma, now: Luma) -> NDArray[np.float64] | None:
    """Where each place of `now` was earlier, (2, 3)."""
    scale = max(1, round(max(now.shape) / SIDE))
    size = now.shape[1] // scale, now.shape[0] // scale
    small, before = (
        picture
        if scale == 1
        else np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        for picture in (now, earlier)
    )
    corners = _corners(small)
    if len(corners) < LEAST:
        return None
    found, seen, _ = cv2.calcOpticalFlowPyrLK(small, before, corners, None, winSize=(15, 15), maxLevel=3)  # type: ignore[call-overload]
    good = seen.ravel() == 1
    if good.sum() < LEAST:
        return None
    motion, agree = cv2.estimateAffinePartial2D(
        corners[good], found[good], method=cv2.RANSAC, ransacReprojThreshold=1.0
    )
    if motion is None or agree.sum() < LEAST:
        return None
    turn, shift = motion[:, :2], motion[:, 2]
    centre = np.full(2, (scale - 1) / 2)  # of the full pixels that make the first small one
    return np.column_stack((turn, scale * shift + centre - turn @ centre))


def _corners(luma: Luma) -> NDArray[np.float32]:
    """(N, 1, 2): x and y of what is worth tracking."""
    found = [np.zeros((0, 1, 2), np.float32)]
    wide, high = (max(8, -(-side // count)) for side, count in zip(luma.shape[::-1], TILES, strict=True))
    for top in range(0, luma.shape[0], high):
        for left in range(0, luma.shape[1], wide):
            tile = luma[top : top + high, left : left + wide]
            corners = cv2.goodFeaturesToTrack(tile, CORNERS, 0.02, 5)
            if corners is not None:
                found.append(np.asarray(corners + np.array((left, top), np.float32), np.float32))
    return np.concatenate(found)
