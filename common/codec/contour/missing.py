"""What a map shows and the canvas does not, instance by instance, and where instances went since the last map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.contour.raster import Ints, Labels, area2
from common.codec.contour.sheet import Ids, Sheet
from common.codec.contour.syntax import MAX_MOTION, Point
from common.codec.contour.update import CLOSING, outline
from common.codec.contour.worth import histogram

SMALLEST = 6.0  # pixels of a contour's area; less is left out
LEAST_GAIN = 40.0  # bits: about what the smallest polygon costs
MOST_BORN = 64  # instances that one unit may bring: bounds the time that it takes
MOST_APART = 16  # instances that one connected component of what is missing is told apart into
FAR_GONE = 2.0  # pixels that the middle of an instance goes before the search for it begins there
_CLOSE = np.ones((CLOSING // 2 + 1, CLOSING // 2 + 1), np.uint8)


def missing(last: Sheet, worth: float) -> list[tuple[int, Ints, int]]:
    """Class, outline and instance of what painting could be worth its bits, large first. Looked for on every second
    pixel, then drawn exactly."""
    found: list[tuple[float, int, Ints, int]] = []
    wrong = last.truth != last.canvas
    truth = np.where(wrong[::2, ::2], last.truth[::2, ::2], np.uint8(255))
    seen = histogram(truth, 256)
    for label in range(last.prices.classes):
        dearest = float(last.prices.errors[label].max()) * worth
        if 4 * seen[label] * dearest <= LEAST_GAIN:
            continue
        closed = cv2.morphologyEx((truth == label).astype(np.uint8), cv2.MORPH_CLOSE, _CLOSE)
        boxes = cv2.connectedComponentsWithStats(closed)[2]
        areas = 4 * boxes[:, cv2.CC_STAT_AREA]
        order = np.argsort(-areas[1:], kind="stable")[: 2 * MOST_BORN] + 1
        for x, y, wide, high, _ in (2 * boxes[order[areas[order] * dearest > LEAST_GAIN]]).tolist():
            left, top = max(x - CLOSING, 0), max(y - CLOSING, 0)
            box = (slice(top, y + high + CLOSING), slice(left, x + wide + CLOSING))
            mask = ((last.truth[box] == label) & wrong[box]).astype(np.uint8)
            for instance, part in _apart(mask, None if last.ids is None else last.ids[box]):
                points = outline(part)
                area = abs(area2(points)) / 2
                if area >= SMALLEST and area * dearest > LEAST_GAIN:
                    found.append((area, label, points + np.array((left, top), np.int32), instance))
    found.sort(key=lambda one: -one[0])
    return [(label, contour, instance) for _, label, contour, instance in found]


def _apart(mask: Labels, ids: Ids | None) -> list[tuple[int, Labels]]:
    """A mask by instance, the largest of them."""
    if ids is None:
        return [(0, mask)]
    sizes = np.bincount(ids[mask > 0])
    most = np.argsort(-sizes, kind="stable")[:MOST_APART]
    return [(int(number), mask & (ids == number).astype(np.uint8)) for number in most if sizes[number]]


class Middles:
    """The middle of each instance in the last map."""

    def __init__(self) -> None:
        self._last: NDArray[np.float64] = np.zeros((0, 3))  # by number: pixels, and the sums of their x and y

    def went(self, ids: Ids | None) -> dict[int, Point]:
        """How far each instance went since the last map, in pixels, where that is far."""
        if ids is None:
            self._last = np.zeros((0, 3))
            return {}
        few = ids[::2, ::2]
        (height, width), flat = few.shape, few.reshape(-1)
        rows, columns = np.repeat(np.arange(height), width), np.tile(np.arange(width), height)
        sums = [np.bincount(flat, weights) for weights in (np.ones(flat.size), columns, rows)]
        before, now = self._last, np.stack(sums, axis=1).astype(np.float64)
        self._last = now
        known = min(len(before), len(now))
        both = 1 + np.flatnonzero((before[1:known, 0] > 0) & (now[1:known, 0] > 0))
        way = 2 * (now[both, 1:] / now[both, :1] - before[both, 1:] / before[both, :1])
        length = np.abs(way).max(axis=1, initial=0)
        far = (length >= FAR_GONE) & (length < MAX_MOTION // 2)
        return {
            int(number): (round(x), round(y))
            for number, (x, y) in zip(both[far], way[far].tolist(), strict=True)
        }
