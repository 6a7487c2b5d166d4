"""What a viewer sees of the maps that came over a link, against the exact ones, in virtual time."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from common.codec.contour.worth import mean_iou
from common.maps.base import MapSource
from common.values import Size
from common.video import Frame, blank
from receiver.contours.player import ContourPlayer
from receiver.jitter import PlayoutClock
from tests.demo.maps import confusion
from tests.proto.link import EPOCH


class _Pictures:
    """Shown so long after their capture."""

    def __init__(self, delay: float) -> None:
        self.clock = PlayoutClock(delay)
        self.clock.observe(EPOCH, 0.0)

    def captured_at(self, media_time: float) -> float:
        return media_time

    def beside_arrived(self, media_time: float, now: float) -> None:
        pass


class Watched:
    """Of each frame the exact map and the one on show with it."""

    def __init__(self, maps: MapSource, size: Size, delay: float) -> None:
        """`delay`: from capture to show, s."""
        self.delay = delay
        self._pictures = _Pictures(delay)
        self._maps, self._size = maps, size
        self.player = ContourPlayer(lambda: self._pictures, clock=lambda: 0.0, live=False)
        self._due: deque[tuple[float, int]] = deque()
        self.counts: list[tuple[float, NDArray[np.int64]]] = []
        """When it was on show, and its pixels by true and shown class."""

    def captured(self, number: int, now: float) -> None:
        """Frame `number` was captured."""
        self._due.append((now, number))

    def step(self, now: float) -> None:
        """Time passes."""
        self.player.step(now)
        while self._due and now >= self._due[0][0] + self.delay:
            at, number = self._due.popleft()
            classes = len(self._maps.legend.classes)
            true = self._maps.map(Frame(blank(self._size.width, self._size.height), EPOCH + at, number))
            assert true is not None
            found = self.player.at(EPOCH + at)
            shown = np.full(true.labels.shape, 255, np.uint8) if found is None else found.labels
            self.counts.append((now, confusion(true.labels, shown, classes)))

    def miou(self, since: float, until: float = float("inf")) -> float:
        """Mean IoU of what was on show then; where there is no map nothing is right."""
        chosen = [counts for at, counts in self.counts if since <= at < until]
        return mean_iou(np.sum(chosen, axis=0))
