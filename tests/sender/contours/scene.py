"""Maps in which squares move, and sources of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.maps.base import LabelMap, Legend
from common.video import Frame, blank

WIDTH, HEIGHT, FPS = 192, 144, 10.0
LEGEND = Legend("squares", ("ground", "red", "green"), ((0, 0, 0), (255, 0, 0), (0, 255, 0)))


def labels(number: int) -> NDArray[np.uint8]:
    """The map of frame `number`: two squares that go to and fro."""
    out = np.zeros((HEIGHT, WIDTH), np.uint8)
    x = 10 + abs(number % 60 - 30) * 2
    out[20:70, x : x + 50] = 1
    out[80:120, 130 - x : 170 - x] = 2
    return out


class Squares:
    """A MapSource; `bad` frames have no map, or a wrong one."""

    def __init__(self, bad: dict[int, NDArray[np.uint8] | None] | None = None) -> None:
        self.legend = LEGEND
        self.resets = self.closed = 0
        self._bad = bad or {}

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource."""
        found = self._bad[frame.index] if frame.index in self._bad else labels(frame.index)
        return None if found is None else LabelMap(found)

    def reset(self) -> None:
        """See MapSource."""
        self.resets += 1

    def close(self) -> None:
        """See MapSource."""
        self.closed += 1


def frame(number: int, captured_at: float) -> Frame:
    """A frame that only has a time."""
    return Frame(blank(16, 16), captured_at, number)
