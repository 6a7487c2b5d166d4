"""Polygons to maps: painter's order, large areas first; everything in integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Labels = NDArray[np.uint8]


def area2(points: Ints) -> int:
    """Twice the signed area of a polygon (N, 2); positive when clockwise on a screen. Exact: sums of integers."""
    return round(2 * cv2.contourArea(points, oriented=True)) if len(points) > 2 else 0


def paint(shape: tuple[int, int], ground: int, polygons: Iterable[tuple[int, Ints]]) -> Labels:
    """Map (H, W) of `ground` with polygons painted over it in the order given, each a label and its points (N, 2)."""
    out = np.full(shape, ground, np.uint8)
    for label, points in polygons:
        cv2.fillPoly(out, [points], label)
    return out


def fill_void(labels: Labels, void: NDArray[np.bool_]) -> Labels:
    """The map with every void pixel given the label of the nearest that is not; all void: unchanged."""
    if not void.any() or void.all():
        return labels
    mask = void.astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(mask, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of = np.zeros(int(nearest.max()) + 1, np.uint8)
    of[nearest[~void]] = labels[~void]
    return np.asarray(of[nearest], np.uint8)


def order(areas: Sequence[int]) -> list[int]:
    """Painter's order: largest first, then as given."""
    return sorted(range(len(areas)), key=lambda index: -areas[index])
