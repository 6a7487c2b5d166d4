"""Polygons to maps: painter's order, large areas first; everything in integers (README.md section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

FREE_WORK, PIXELS_A_WORK = 1 << 18, 8  # of a map, and for each so many of its pixels one more
FILLED = 128  # pixels that are filled in the time that one of a side takes
Ints = NDArray[np.int32]
Labels = NDArray[np.uint8]


def area2(points: Ints) -> int:
    """Twice the signed area of a polygon (N, 2); positive when clockwise on a screen. Exact: sums of integers."""
    return round(2 * cv2.contourArea(points, oriented=True)) if len(points) > 2 else 0


def paint(shape: tuple[int, int], ground: int, polygons: Iterable[tuple[int, Ints]]) -> Labels:
    """Map (H, W) of `ground` with polygons painted over it in the order given, each a label and its points (N, 2).
    Those that are beyond `most_work` are left out."""
    return painted(shape, ground, polygons)[0]


def painted(shape: tuple[int, int], ground: int, polygons: Iterable[tuple[int, Ints]]) -> tuple[Labels, int]:
    """As `paint`, and how many were left out."""
    out = np.full(shape, ground, np.uint8)
    given, left_out = list(polygons), 0
    for (label, points), fits in zip(given, affordable(shape, [points for _, points in given]), strict=True):
        if fits:
            cv2.fillPoly(out, [points], label)
        left_out += not fits
    return out, left_out


def most_work(shape: tuple[int, int]) -> int:
    """What painting one map may cost: some dozen times what scenes need. A key of few bytes may fill the whole map, or
    have hundreds of sides across it."""
    return FREE_WORK + shape[0] * shape[1] // PIXELS_A_WORK


def affordable(shape: tuple[int, int], polygons: Sequence[Ints]) -> list[bool]:
    """Which polygons (N > 0, 2) of a map are painted: in their order each that what is left of `most_work` allows."""
    if not polygons:
        return []
    points, counts = np.concatenate(polygons), np.array([len(one) for one in polygons])
    ends = np.cumsum(counts)
    starts = ends - counts
    before = np.roll(points, 1, axis=0)
    before[starts] = points[ends - 1]
    sides = np.add.reduceat(np.abs(points - before).max(axis=1).astype(np.int64), starts)
    size = np.array((shape[1], shape[0]))
    low = np.clip(np.minimum.reduceat(points, starts), 0, size)
    high = np.clip(np.maximum.reduceat(points, starts) + 1, 0, size)
    left, out = most_work(shape), []
    for work in (sides + (high - low).prod(axis=1) // FILLED).tolist():
        out.append(work <= left)
        left -= work if work <= left else 0
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
