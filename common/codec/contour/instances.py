"""Label maps to instances: connected components per class and their outer contours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.base import CodecError
from common.codec.contour.raster import Ints, Labels, area2
from common.codec.contour.syntax import MAX_PIXELS, MAX_SIDE


@dataclass(frozen=True, slots=True)
class Instance:
    """A connected component: its class and outer contour (N, 2) of x and y, clockwise on a screen."""

    label: int
    contour: Ints
    area: int  # twice that within the contour


def check(labels: NDArray[np.uint8], shape: tuple[int, int] | None = None) -> None:
    """Raises CodecError unless `labels` is a map (H, W) of uint8, of the given shape where one is given."""
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise CodecError(f"map: must be (H, W) of uint8 (got {labels.shape} of {labels.dtype})")
    if not (min(labels.shape) >= 1 and max(labels.shape) <= MAX_SIDE and labels.size <= MAX_PIXELS):
        raise CodecError(f"map: must have 1..{MAX_PIXELS} pixels (got {labels.shape[1]}x{labels.shape[0]})")
    if shape is not None and labels.shape != shape:
        raise CodecError(f"map: must be {shape[1]}x{shape[0]} (got {labels.shape[1]}x{labels.shape[0]})")


def clockwise(points: Ints) -> Ints:
    """The polygon clockwise on a screen, from its topmost (then leftmost) point."""
    if area2(points) < 0:
        points = points[::-1]
    start = int((points[:, 1].astype(np.int64) * 65536 + points[:, 0]).argmin())
    return np.concatenate((points[start:], points[:start]))


def contours(mask: Labels) -> list[Ints]:
    """Outer contours of the connected components of a mask, islands in the holes of others included."""
    found, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not found:
        return []
    return [
        points[:, 0, :].astype(np.int32)
        for points, links in zip(found, hierarchy[0], strict=True)
        if links[3] < 0
    ]


def instances(
    labels: Labels, void: int | None = None, ids: NDArray[np.uint16] | None = None
) -> list[Instance]:
    """Instances of a map, large first; void is none. Where `ids` (H, W) tells instances of one class apart, touching
    ones stay apart."""
    out: list[Instance] = []
    for label in np.flatnonzero(np.bincount(labels.reshape(-1), minlength=256)):
        if label == void:
            continue
        mask = (labels == label).astype(np.uint8)
        parts = [mask]
        if ids is not None:
            parts = [mask & (ids == number) for number in np.unique(ids[mask > 0])]
        for part in parts:
            for points in contours(np.ascontiguousarray(part, dtype=np.uint8)):
                turned = clockwise(points)
                out.append(Instance(int(label), turned, area2(turned)))
    return sorted(out, key=lambda one: -one.area)
