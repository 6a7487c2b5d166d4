"""Pictures between two others, each some of its way along the motion: what is shown of pictures that were left out.

Nothing is read by them and nothing is held of them, so they need not be the same everywhere."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from common.video import Picture, from_planes, planes

Plane = NDArray[np.uint8]
Field = NDArray[np.float32]


def between(before: Picture, after: Picture, count: int = 1) -> list[Picture]:
    """So many pictures, at even steps, from one small picture to the next, of the same size."""
    first, second = planes(before), planes(after)
    there, back = _motion(first[0], second[0]), _motion(second[0], first[0])
    out = []
    for share in (np.arange(count) + 1) / (count + 1):
        mixed = [
            cv2.addWeighted(_moved(one, there, share), 1 - share, _moved(other, back, 1 - share), share, 0.0)
            for one, other in zip(first, second, strict=True)
        ]
        out.append(from_planes(*[np.asarray(one, np.uint8) for one in mixed]))
    return out


def _motion(one: Plane, other: Plane) -> Field:
    """(rows, columns, 2): where each sample of `one` is in `other`, across and down."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(flow.calc(one, other, np.zeros((*one.shape, 2), np.float32)), np.float32)


def _moved(plane: Plane, motion: Field, share: float) -> Plane:
    """A plane some of the way along the motion of luma samples."""
    rows, columns = plane.shape
    scale = columns / motion.shape[1]
    way = cv2.resize(motion, (columns, rows), interpolation=cv2.INTER_AREA) * np.float32(-share * scale)
    across, down = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    moved = cv2.remap(
        plane, across + way[..., 0], down + way[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)
