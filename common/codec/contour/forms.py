"""Forms that few numbers tell: ellipses, and polygons that half a turn maps to themselves. Fitted to a contour, then
by small steps to what gains most. Floats decide here what is sent, never how it is parsed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from common.codec.contour import fit
from common.codec.contour.fit import Gains
from common.codec.contour.instances import clockwise
from common.codec.contour.raster import Ints, area2
from common.codec.contour.scene import ellipse, symmetric
from common.codec.contour.syntax import ELLIPSE, FAR, SYMMETRIC, Point

SOLID = 0.85  # of the area of its convex hull: what fills less is neither form
MOST_POINTS = 64  # of a contour that an ellipse is fitted to
SLANT_BITS = 4.0
ROUNDS = 4  # of small steps
_AXES = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)], np.int32)
_STEPS = np.array([(*by, *axes) for by in fit.NEIGHBOURS for axes in _AXES], np.int32)


@dataclass(frozen=True, slots=True)
class Form:
    """What a key needs of it, in lines of the grid, and about what its points cost beyond the first."""

    form: int
    points: tuple[Point, ...]
    slant: int
    bits: float


def solid(contour: Ints) -> bool:
    """Whether a contour may be one of these at all."""
    hull = cv2.contourArea(cv2.convexHull(contour))
    return len(contour) > 8 and hull > 0 and abs(area2(contour)) / 2 > SOLID * hull


def forms(contour: Ints, gains: Gains, grid: int, limits: Point) -> Iterator[Form]:
    """Those that may do, of a solid contour."""
    found = _ellipse(contour, gains, grid, limits)
    if found is not None:
        yield found
    for corners in _even(contour):
        half = _symmetric(corners, gains, grid, limits)
        if half is not None:
            yield half


def _ellipse(contour: Ints, gains: Gains, grid: int, limits: Point) -> Form | None:
    inner = contour[((contour > 0) & (contour < np.array(limits))).all(axis=1)]
    inner = np.ascontiguousarray(inner[:: 1 + len(inner) // MOST_POINTS])
    if len(inner) < 8:
        return None
    (x, y), (wide, high), angle = cv2.fitEllipseDirect(inner)
    if not np.isfinite((x, y, wide, high, angle)).all() or max(wide, high) > 2 * max(limits):
        return None
    if high > wide:
        wide, high, angle = high, wide, angle + 90
    slant = round(angle * 16 / 180) % 16
    now = np.array(
        (round(x / grid), round(y / grid), round(wide / 2 / grid), round(high / 2 / grid)), np.int32
    )
    longest = min(max(limits), FAR // grid)
    most = np.array((limits[0] // grid, limits[1] // grid, longest, longest), np.int32)
    least = np.array((0, 0, 1, 1), np.int32)
    for _ in range(2):
        tried = np.clip(now + _STEPS, least, most)
        tried[:, 3] = np.minimum(tried[:, 2], tried[:, 3])
        drawn = ellipse(tried[:, :2] * grid, tried[:, 2:] * grid, slant)
        now = tried[int(gains.polygon(drawn, 12).argmax())]
    middle, long, short = (int(now[0]), int(now[1])), int(now[2]), int(now[3])
    flat = long - short
    bits = float(fit.BITS[long]) + (float(fit.BITS[flat]) + SLANT_BITS if flat else 1.0)
    return Form(ELLIPSE, (middle, (long, short)), slant if flat else 0, bits)


def _even(contour: Ints) -> Iterator[Ints | fit.Floats]:
    """Corners of simple outlines, as many as can lie opposite each other."""
    yield np.asarray(cv2.boxPoints(cv2.minAreaRect(contour)), np.float32)
    tolerance = 0.01 * cv2.arcLength(contour, True)
    for _ in range(6):
        corners = cv2.approxPolyDP(contour, tolerance, True)[:, 0]
        if len(corners) in (6, 8):
            yield np.asarray(corners, np.int32)
            return
        if len(corners) < 6:
            return
        tolerance *= 1.4


def _symmetric(corners: Ints | fit.Floats, gains: Gains, grid: int, limits: Point) -> Form | None:
    count = len(corners) // 2
    if area2(np.rint(corners).astype(np.int32)) < 0:
        corners = corners[::-1]
    middle = corners.mean(axis=0)
    out = (corners[:count] - corners[count:]) / 2
    ideal = np.concatenate((middle + out, middle - out[:1])) / grid
    most = np.array(limits) // grid
    now = np.clip(np.rint(ideal), 0, most).astype(np.int32)
    every = np.arange(count + 1)
    score = -np.inf
    for _ in range(ROUNDS):
        tried = np.repeat(now[None], 9 * (count + 1), axis=0)
        tried.reshape(count + 1, 9, count + 1, 2)[every, :, every] += fit.NEIGHBOURS
        tried = np.clip(tried, 0, most)
        whole = symmetric(tried)
        scores = gains.polygon(whole * grid, 12)
        best = int(scores.argmax())
        if scores[best] <= score:
            break
        score, now = float(scores[best]), tried[best]
    whole = clockwise(symmetric(now))
    if (whole < 0).any() or (whole > most).any():
        return None
    half = whole[: count + 1]
    if not (np.diff(half, axis=0) != 0).any(axis=1).all():
        return None
    bits = float(fit.side_bits(half[:-1], half[1:], 1).sum())
    return Form(SYMMETRIC, tuple((int(x), int(y)) for x, y in half), 0, bits)
