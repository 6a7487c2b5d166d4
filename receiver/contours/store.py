"""The maps of the last seconds, by the time that they were captured."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.codec.base import IMAGINED, RECOVERED
from common.maps.base import Legend
from common.maps.told import LegendBook, LegendPart

MOST_MAPS = 64
MOST_BYTES = 32 << 20

SLACK_S = 0.02
"""By which a map may have been captured after the picture that it belongs to: times on the wire are rounded."""

STALE_S, IMAGINED_S, OLDEST_S = 0.5, 2.0, 4.0
"""A map that is older than these is at most RECOVERED, is IMAGINED, says nothing of what is shown now."""


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
    legend: int = 0
    """Number of the legend that names its classes."""


class MapStore:
    """Of the sender on show. Bounded in maps and in bytes; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maps: deque[TimedMap] = deque()  # by rising time
        self._bytes = self._generation = 0
        self._book = LegendBook()
        self._most = 0  # highest label seen
        self._legends: dict[tuple[int, int], Legend] = {}

    def put(self, found: TimedMap, generation: int = 0) -> None:
        """Take in a map; one that is not newer than the newest takes the place of all from its time on. One of another
        `generation` than that of `clear` is of a run that is over, and left out."""
        with self._lock:
            if generation != self._generation:
                return
            while self._maps and self._maps[-1].captured_at >= found.captured_at:
                self._bytes -= self._maps.pop().labels.nbytes
            self._maps.append(found)
            self._bytes += found.labels.nbytes
            self._most = max(self._most, int(found.labels.max(initial=0)))
            while len(self._maps) > MOST_MAPS or (self._bytes > MOST_BYTES and len(self._maps) > 1):
                self._bytes -= self._maps.popleft().labels.nbytes

    def tell(self, part: LegendPart) -> None:
        """Something of the legend came."""
        with self._lock:
            self._book.take(part)
            self._legends.clear()

    def clear(self, generation: int = 0) -> None:
        """Another sender, or another run of it. Its legend may have been told already: `forget` is for that."""
        with self._lock:
            self._generation = generation
            self._maps.clear()
            self._bytes = self._most = 0
            self._legends.clear()

    def forget(self) -> None:
        """What was told of the legend is of another sender."""
        with self._lock:
            self._book = LegendBook()
            self._legends.clear()

    @property
    def newest(self) -> float | None:
        """When the newest map was captured; None without one."""
        with self._lock:
            return self._maps[-1].captured_at if self._maps else None

    def at(self, captured_at: float) -> ShownMap | None:
        """The newest map that is not later than a picture captured then; None where there is none of the last
        seconds."""
        with self._lock:
            times = [one.captured_at for one in self._maps]
            index = bisect_right(times, captured_at + SLACK_S) - 1
            if index < 0 or captured_at - times[index] > OLDEST_S:
                return None
            found, legend = self._maps[index], self._legend(self._maps[index].legend)
        age = max(0.0, captured_at - found.captured_at)
        trust = found.trust
        if age > STALE_S:
            trust = np.maximum(trust, np.uint8(IMAGINED if age > IMAGINED_S else RECOVERED))
        return ShownMap(found.labels, trust, legend, age)

    def _legend(self, number: int) -> Legend:
        key = number, self._most
        if key not in self._legends:
            self._legends.clear()
            self._legends[key] = self._book.legend(number, self._most + 1)
        return self._legends[key]
