"""Polygons at the least bits for what they gain.

The gain of a polygon is the sum of a gain map over its inside, which is a sum over its sides (Green): with prefix sums
along the rows, each side adds those of the rows that it crosses. So the best polygon is a shortest path over candidate
vertices, and the best shift of every vertex another (Viterbi).

Floats decide here what is sent, never how it is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.contour.raster import Ints, area2
from common.codec.contour.syntax import MAX_SIDE

Floats = NDArray[np.float32]

SAMPLES = 24  # rows of a side that are looked at
BITS = (1.3 + 1.25 * np.log2(1 + np.arange(2 * MAX_SIDE))).astype(
    np.float32
)  # by lines of the grid along an axis
NEIGHBOURS = np.array([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)], np.int32)


@dataclass(frozen=True, slots=True)
class Gains:
    """Prefix sums of a gain map along the rows; `left`, `top` is where on the map it lies. Wide ones are looked at in
    cells of `scale` x `scale` pixels, of which one stands for all."""

    values: Floats  # (h, w)
    sums: Floats  # (h, w + 1)
    left: int
    top: int
    scale: int = 1

    @classmethod
    def of(cls, gains: Floats, left: int, top: int, scale: int = 1) -> Gains:
        """Of a gain map (h, w), a cell's gain being that of one of its pixels."""
        values = gains * np.float32(scale * scale) if scale > 1 else gains
        sums = np.zeros((gains.shape[0], gains.shape[1] + 1), np.float32)
        np.cumsum(values, axis=1, out=sums[:, 1:])
        return cls(values, sums, left, top, scale)

    def sides(self, start: Ints, end: Ints, samples: int = SAMPLES) -> Floats:
        """What each side adds, `start` and `end` (..., 2) broadcast together; those that go down end their rows."""
        height, wide = self.sums.shape
        share = np.float32(1 / self.scale)
        delta = (end - start).astype(np.float32)
        dy = delta[..., 1] * share
        at = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) * np.float32(1 / samples)
        first_row = (start[..., 1] - self.top) * share
        first_column = (start[..., 0] + ((dy > 0) + np.float32(0.5 - self.left))) * share
        first_column += np.float32(0.5) - np.float32(0.5) * share
        rows = (dy[..., None] * at + first_row[..., None]).astype(np.int32)
        columns = ((delta[..., 0] * share)[..., None] * at + first_column[..., None]).astype(np.int32)
        np.minimum(np.maximum(rows, 0, out=rows), height - 1, out=rows)
        np.minimum(np.maximum(columns, 0, out=columns), wide - 1, out=columns)
        rows *= wide
        rows += columns
        found = self.sums.reshape(-1).take(rows).sum(axis=-1)
        found *= dy
        found *= np.float32(1 / samples)
        return np.asarray(found, np.float32)

    def polygon(self, points: Ints, samples: int = SAMPLES) -> Floats:
        """Gain of polygons (..., N, 2)."""
        after = np.concatenate((points[..., 1:, :], points[..., :1, :]), axis=-2)
        return np.asarray(self.sides(points, after, samples).sum(axis=-1), np.float32)

    def painted(self, points: Ints) -> float:
        """Gain of one polygon (N, 2) as it will be painted, whatever way its sides cross."""
        mask = np.zeros(self.values.shape, np.uint8)
        place = points - np.array((self.left, self.top), np.int32)
        if self.scale == 1:
            cv2.fillPoly(mask, [place], 1)
        else:
            cv2.fillPoly(mask, [place * (16 // self.scale)], 1, shift=4)
        return cv2.mean(self.values, mask)[0] * cv2.countNonZero(mask)


def side_bits(start: Ints, end: Ints, grid: int) -> Floats:
    """About what a side costs."""
    cells = np.abs(end - start) // grid
    return np.asarray(BITS.take(cells[..., 0]) + BITS.take(cells[..., 1]), np.float32)


def polygon(candidates: Ints, gains: Gains, grid: int, worth: float) -> Ints:
    """The polygon over candidates (N, 2) in their order (cyclic) that gains most: gain * worth - bits."""
    count = len(candidates)
    middle = candidates.mean(axis=0)
    start = int(np.argmax(((candidates - middle) ** 2).sum(axis=1)))
    turned = np.concatenate((candidates[start:], candidates[:start]))
    gain = np.zeros((count, count), np.float32)  # forwards, and back to the first: no other way is gone
    goes, comes = np.triu_indices(count, 1)
    goes, comes = np.append(goes, np.arange(1, count)), np.append(comes, np.zeros(count - 1, np.int64))
    gain[goes, comes] = gains.sides(turned[goes], turned[comes])
    ring = np.append(np.diagonal(gain, 1), gain[-1, 0])
    along = np.concatenate((np.zeros(1, np.float32), np.cumsum(ring)))
    path = along[None, :count] - along[:count, None]  # gain of the candidates' own way from one to another
    path[:, 0] += along[count]
    cost = side_bits(turned[:, None], turned[None], grid) - worth * np.minimum(gain, path)
    best = np.empty(count, np.float32)
    best[0] = 0
    came = np.zeros(count, np.int64)
    for index in range(1, count):
        ways = best[:index] + cost[:index, index]
        came[index] = at = int(np.argmin(ways))
        best[index] = ways[at]
    closing = best[1:] + cost[1:, 0]
    at = 1 + int(np.argmin(closing))
    chosen = [at]
    while at:
        at = int(came[at])
        chosen.append(at)
    return np.asarray(turned[chosen[::-1]], np.int32)


def candidates(contour: Ints, grid: int, limits: tuple[int, int], most: int) -> Ints:
    """Vertices that a polygon may have: the contour simplified, then on the grid; at most `most`."""
    tolerance = 0.4 * grid + 0.3
    points = cv2.approxPolyDP(contour, tolerance, True)[:, 0]
    while len(points) > most:
        tolerance *= 1.4
        points = cv2.approxPolyDP(contour, tolerance, True)[:, 0]
    snapped = (points + grid // 2) // grid * grid
    snapped = np.clip(snapped, 0, np.array(limits)).astype(np.int32)
    if area2(np.asarray(snapped, np.int32)) < 0:
        snapped = snapped[::-1]
    keep = (snapped != np.concatenate((snapped[-1:], snapped[:-1]))).any(axis=1)
    return np.asarray(snapped[keep], np.int32)


def refine(points: Ints, states: Ints, bits: Floats, gains: Gains, worth: float) -> Ints:
    """Index of the best state of every vertex (N >= 2): positions points[:, None] + states (N, S, 2), `bits` (N, S)."""
    at = points[:, None] + states
    ends = np.concatenate((at[1:], at[:1]))
    count, width = bits.shape
    cost = bits[:, :, None] - worth * gains.sides(at[:, :, None], ends[:, None, :], 12)
    total = cost[0]  # (first's state, this state)
    came = np.empty((count, width, width), np.int64)
    for index in range(1, count - 1):
        ways = total[:, :, None] + cost[index][None]
        came[index] = ways.argmin(axis=1)
        total = np.take_along_axis(ways, came[index][:, None, :], axis=1)[:, 0]
    closing = total + cost[count - 1].T  # back to the first's state
    first, state = np.unravel_index(int(closing.argmin()), closing.shape)
    chosen = np.empty(count, np.int32)
    chosen[0] = first
    for index in range(count - 1, 0, -1):
        chosen[index] = state
        if index > 1:
            state = came[index - 1][first, state]
    return chosen
