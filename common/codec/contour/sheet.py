"""A frame of the unit while it is planned: truth, what has been painted so far, and what more paint would gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.contour.fit import Gains
from common.codec.contour.raster import Ints, Labels, paint

WIDE = 1 << 16  # pixels of a box beyond which every second, then every fourth is looked at
Sums = NDArray[np.float64]
Ids = NDArray[np.uint16]
Box = tuple[int, int, int, int]  # left, top, right, bottom


class Prices:
    """What painting a class gains (parts of the mean IoU), by true class (void last) and class painted so far."""

    def __init__(self, errors: NDArray[np.float32]) -> None:
        self.classes = errors.shape[1]
        self.errors = errors
        self.narrow = errors.size <= 256  # a true class and a painted one share a byte
        self._tables = [self._table(errors - errors[:, label, None]) for label in range(self.classes)]
        self._errors = self._table(errors)

    def _table(self, of: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.zeros(max(of.size, 256), np.float32)
        out[: of.size] = of.reshape(-1)
        return out

    def pairs(self, truth: Labels) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Truth as `index` wants it: the first index of a table, times how long its rows are."""
        kind = np.uint8 if self.narrow else np.uint16
        return np.multiply(truth, self.classes, dtype=kind)

    def of(self, label: int, pairs: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float32]:
        """What painting a class gains, by the sum of `pairs` and what is painted so far."""
        return self._look(self._tables[label], pairs)

    def wrong(self, pairs: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float32]:
        """What what is painted costs."""
        return self._look(self._errors, pairs)

    def _look(
        self, table: NDArray[np.float32], pairs: NDArray[np.uint8] | NDArray[np.uint16]
    ) -> NDArray[np.float32]:
        return np.asarray(cv2.LUT(pairs, table) if self.narrow else table.take(pairs), np.float32)


@dataclass(slots=True)
class Sheet:
    """One frame: `truth` with void as class `classes`, and the canvas."""

    truth: Labels
    canvas: Labels
    prices: Prices
    pairs: NDArray[np.uint8] | NDArray[np.uint16]
    ids: Ids | None = None  # of the instances of `truth`, 0 of none

    @classmethod
    def of(cls, truth: Labels, ground: int, prices: Prices, ids: Ids | None = None) -> Sheet:
        """Nothing painted yet."""
        return cls(truth, np.full(truth.shape, ground, np.uint8), prices, prices.pairs(truth), ids)

    def box(self, points: Ints, margin: int) -> Box:
        """The bounding box of points (N, 2) and a margin, within the map; at least one pixel."""
        height, width = self.truth.shape
        x, y, wide, high = cv2.boundingRect(points)
        left, top = min(max(x - margin, 0), width - 1), min(max(y - margin, 0), height - 1)
        return (
            left,
            top,
            max(min(x + wide + margin, width), left + 1),
            max(min(y + high + margin, height), top + 1),
        )

    def gains(self, label: int, points: Ints, margin: int, instance: int = 0) -> Gains:
        """What painting `label` gains about a polygon; nothing where another instance of that class than `instance`
        is, if that is told."""
        left, top, right, bottom = self.box(points, margin)
        area = (right - left) * (bottom - top)
        scale = 1 if area <= WIDE else 2 if area <= 4 * WIDE else 4
        box = (slice(top, bottom, scale), slice(left, right, scale))
        values = self.prices.of(label, self.pairs[box] + self.canvas[box])
        if instance and self.ids is not None:
            values[(self.truth[box] == label) & (self.ids[box] != instance)] = 0
        return Gains.of(values, left, top, scale)

    def paint(self, label: int, points: Ints) -> None:
        """Paints a polygon."""
        cv2.fillPoly(self.canvas, [points], label)

    def wrong(self, ground: int, shown: Sequence[tuple[int, Ints]]) -> Sums:
        """What a map of these polygons gets wrong: sums over all that lies above and to the left of every second
        pixel."""
        held = paint(self.truth.shape, ground, shown)
        costs = self.prices.wrong(self.pairs[::2, ::2] + held[::2, ::2])
        return np.asarray(cv2.integral(costs, sdepth=cv2.CV_64F) * 4, np.float64)
