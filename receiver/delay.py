"""The automatic playout delay: long enough for nearly all packets of a unit, and no longer.

Pure: `now` is passed in.  Lateness is how much longer than the fastest one a packet took; a unit's last packet is
late by the time over which the sender spreads the unit, plus the jitter of the path.
"""

from __future__ import annotations

import math
from collections import deque

START_MARGIN_S = 0.060
"""The delay starts at the expected spread of a unit and this: for decoding, and for some jitter."""

SPREAD = 0.8
"""The share of a unit's duration over which its packets are expected at least: at high loss the last packets of a
unit, which show the spread, are hardly ever seen."""

MARGIN_S = 0.020
"""Added to what has been seen.  It also lets the delay grow step by step when packets, having come too late, are no
longer seen at all."""

MAX_DELAY_S = 1.0
"""Beyond this the path has another trouble than jitter. Units that are longer by themselves get what they need."""

GROW_PER_S, SHRINK_PER_S = 0.2, 0.02
"""How fast the delay may change, seconds a second: pictures come slightly slower or faster meanwhile."""

WINDOW_S, BUCKET_S = 10.0, 0.25
TOLERATED = 0.03
"""Share of the buckets whose worst packet may be too late: stragglers do not make everybody wait."""


class AutoDelay:
    """One per session; `delay` is the result.  Owned by the event loop thread."""

    def __init__(self, unit_duration: float) -> None:
        """`unit_duration`: seconds of video in one access unit."""
        self._floor = SPREAD * unit_duration
        self.delay = self._floor + START_MARGIN_S
        self._limit = max(MAX_DELAY_S, self.delay)
        self._worst: deque[tuple[int, float]] = deque()  # (bucket number, greatest lateness in it)
        self._updated: float | None = None

    def observe(self, lateness: float, now: float) -> None:
        """A packet came `lateness` seconds after the fastest possible time."""
        bucket = int(now // BUCKET_S)
        if self._worst and self._worst[-1][0] >= bucket:
            last, worst = self._worst[-1]
            self._worst[-1] = (last, max(worst, lateness))
        else:
            self._worst.append((bucket, lateness))
        while (self._worst[0][0] + 1) * BUCKET_S < now - WINDOW_S:
            self._worst.popleft()

    def update(self, allowance: float, now: float) -> float:
        """The delay to use now; `allowance`: seconds that decoding needs before display."""
        wanted = min(max(self._floor, self._covered()) + allowance + MARGIN_S, self._limit)
        passed = 0.0 if self._updated is None else min(1.0, max(0.0, now - self._updated))
        self._updated = now
        lowest, highest = self.delay - SHRINK_PER_S * passed, self.delay + GROW_PER_S * passed
        self.delay = min(max(wanted, lowest), highest)
        return self.delay

    def forget(self) -> None:
        """The path has changed: what was late before says nothing now."""
        self._worst.clear()

    def _covered(self) -> float:
        if not self._worst:
            return 0.0
        ordered = sorted(worst for _, worst in self._worst)
        return ordered[max(0, len(ordered) - 1 - math.floor(TOLERATED * len(ordered)))]
