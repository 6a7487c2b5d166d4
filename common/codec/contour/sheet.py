"""A frame of the unit while it is planned: truth, what has been painted so far, and what more paint would gain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.contour.fit import Gains
from common.codec.contour.raster import Ints, Labels

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Prices:
    """What painting a class gains (parts of the mean IoU), by true class (void last) and class painted so far."""

    def __init__(self, errors: NDArray[np.float32]) -> None:
        self.classes = errors.shape[1]
        self.errors = errors
        self._tables = [
            np.ascontiguousarray((errors - errors[:, label, None]).reshape(-1))
            for label in range(self.classes)
        ]

    def of(self, label: int) -> NDArray[np.float32]:
        """By true class * classes + class so far."""
        return self._tables[label]


@dataclass(slots=True)
class Sheet:
    """One frame: `truth` with void as class `classes`, and the canvas."""

    truth: Labels
    canvas: Labels
    prices: Prices

    @classmethod
    def of(cls, truth: Labels, ground: int, prices: Prices) -> Sheet:
        """Nothing painted yet."""
        return cls(truth, np.full(truth.shape, ground, np.uint8), prices)

    def box(self, points: Ints, margin: int) -> Box:
        """The bounding box of points (N, 2) and a margin, within the map; at least one pixel."""
        height, width = self.truth.shape
        left, top = (
            min(max(int(low) - margin, 0), most - 1)
            for low, most in zip(points.min(axis=0), (width, height), strict=True)
        )
        right, bottom = (points.max(axis=0) + margin + 1).tolist()
        return left, top, max(min(right, width), left + 1), max(min(bottom, height), top + 1)

    def gains(self, label: int, points: Ints, margin: int) -> Gains:
        """What painting `label` gains about a polygon."""
        left, top, right, bottom = self.box(points, margin)
        true = self.truth[top:bottom, left:right].astype(np.intp)
        true *= self.prices.classes
        true += self.canvas[top:bottom, left:right]
        return Gains.of(self.prices.of(label).take(true), left, top)

    def paint(self, label: int, points: Ints) -> None:
        """Paints a polygon."""
        cv2.fillPoly(self.canvas, [points], label)
