"""The maps of the last seconds, by the time that they were captured."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.maps.base import Legend

MOST_MAPS = 64
"""Kept at most: at 480x352 11 MB."""

SLACK_S = 0.02
"""By which a map may have been captured after the picture that it belongs to: times on the wire are rounded."""

OLDEST_S = 4.0
"""A map that is older says nothing of what is shown now."""


@dataclass(frozen=True, slots=True)
class ShownMap:
    """The map of one moment. The arrays are never written to afterwards."""

    labels: NDArray[np.uint8]
    """(h, w): index into the legend's classes."""
    trust: NDArray[np.uint8]
    """(h / 16, w / 16), rounded up: RECEIVED, RECOVERED or IMAGINED of common.codec.base."""
    legend: Legend
    age_s: float
    """How much earlier than asked for it was captured, seconds."""


@dataclass(frozen=True, slots=True)
class TimedMap:
    """A map and when it was captured (seconds since the epoch, by the sender's clock)."""

    captured_at: float
    labels: NDArray[np.uint8]
    trust: NDArray[np.uint8]


class MapStore:
    """Of the sender on show. Bounded; any thread may ask, one fills it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maps: deque[TimedMap] = deque(maxlen=MOST_MAPS)  # by rising time
        self._legend: Legend | None = None

    def put(self, found: TimedMap) -> None:
        """Take in a map; one that is not newer than the newest takes the place of all from its time on."""
        with self._lock:
            while self._maps and self._maps[-1].captured_at >= found.captured_at:
                self._maps.pop()
            self._maps.append(found)

    def tell(self, legend: Legend | None) -> None:
        """What the labels mean from now on; None: unknown."""
        with self._lock:
            self._legend = legend

    def clear(self) -> None:
        """Another sender, or another run of it."""
        with self._lock:
            self._maps.clear()
            self._legend = None

    def at(self, captured_at: float) -> ShownMap | None:
        """The newest map that is not later than a picture captured then; None where there is none of the last seconds,
        or its legend is not known."""
        with self._lock:
            if self._legend is None or not self._maps:
                return None
            times = [one.captured_at for one in self._maps]
            index = bisect_right(times, captured_at + SLACK_S) - 1
            if index < 0 or captured_at - times[index] > OLDEST_S:
                return None
            found = self._maps[index]
            return ShownMap(
                found.labels, found.trust, self._legend, max(0.0, captured_at - found.captured_at)
            )
