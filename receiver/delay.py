"""The automatic playout delay: long enough for nearly all packets of a unit, and no longer.

Pure: `now` is passed in.  Lateness is how much longer than the fastest one a packet took; a unit's last packet is
late by the time over which the sender spreads the unit, plus the jitter of the path.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

START_MARGIN_S = 0.060
"""The delay starts at the expected spread of a unit and this: for decoding, and for some jitter."""

SPREAD = 0.8
"""The share of a unit's duration over which its packets are expected at least: at high loss the last packets of a
unit, which show the spread, are hardly ever seen."""

MARGIN_S = 0.020
"""Added to what has been seen."""

MAX_DELAY_S = 1.0
"""Beyond this the path has another trouble than jitter. Units that are longer by themselves get what they need."""

GROW_PER_S, SHRINK_PER_S = 0.2, 0.02
"""How fast the delay may change, seconds a second: pictures come slightly slower or faster meanwhile.  Where it is
outside its bounds, because they were changed, it comes back at GROW_PER_S both ways."""

GROW_WHOLE_PER_S = 1.0
"""How fast it grows where a unit is one packet: one that comes late leaves its pictures standing anyway, and shown
later they are at least all seen."""

MAX_PASSED_S = 0.25
"""One update changes the delay by no more than what is due for so long a time, however long the silence was."""

WINDOW_S, BUCKET_S = 10.0, 0.25
TOLERATED, TOLERATED_LEAST = 0.05, 2
"""Share and least number of the buckets whose worst packet may be too late: stragglers, and the old packets that a
queue lets go of after an outage, do not make everybody wait.  Two, since a short burst may touch two buckets; none
where a unit is one packet: two of ten seconds may be half of all there are."""


@dataclass(frozen=True, slots=True)
class DelayBounds:
    """Between what the playout delay may be, in seconds.  Raises ValueError when nothing is between."""

    lowest: float = 0.0
    highest: float | None = None
    """None: MAX_DELAY_S, or what a unit needs that takes longer by itself."""

    def __post_init__(self) -> None:
        if not 0 <= self.lowest < math.inf or (self.highest is not None and self.highest < self.lowest):
            raise ValueError(f"delay: {self.lowest} to {self.highest} s holds no delay")

    @classmethod
    def exactly(cls, delay: float) -> DelayBounds:
        """A constant delay."""
        return cls(delay, delay)

    @property
    def constant(self) -> bool:
        """Whether they leave no choice."""
        return self.lowest == self.highest


AUTOMATIC = DelayBounds()


class AutoDelay:
    """One per session; `delay` is the result.  Owned by the event loop thread."""

    def __init__(self, unit_duration: float, bounds: DelayBounds = AUTOMATIC, *, whole: bool = False) -> None:
        """`unit_duration`: seconds of video in one access unit; `whole`: it leaves in one packet when it is made."""
        self.bounds = bounds
        """May be changed at any time; the delay then moves there by and by."""
        self._floor = 0.0 if whole else SPREAD * unit_duration
        self._tolerated_least = 0 if whole else TOLERATED_LEAST
        self._grow = GROW_WHOLE_PER_S if whole else GROW_PER_S
        self._longest_pass = max(MAX_PASSED_S, unit_duration) if whole else MAX_PASSED_S
        self._start = self._floor + START_MARGIN_S
        self.delay = self._within(self._start)
        self._worst: deque[tuple[int, float]] = deque()  # (bucket number, greatest lateness in it)
        self._updated: float | None = None

    @property
    def highest(self) -> float:
        """The most that the delay may be, seconds."""
        highest = self.bounds.highest
        return max(MAX_DELAY_S, self._start, self.bounds.lowest) if highest is None else highest

    def observe(self, lateness: float, now: float) -> None:
        """A packet came `lateness` seconds after the fastest possible time.  One that no delay within the bounds
        could have waited for tells nothing about the delay."""
        if lateness > self.highest:
            return
        bucket = int(now // BUCKET_S)
        if self._worst and self._worst[-1][0] >= bucket:
            last, worst = self._worst[-1]
            self._worst[-1] = (last, max(worst, lateness))
        else:
            self._worst.append((bucket, lateness))
        self._expire(now)

    def missed(self, now: float) -> None:
        """A packet found its unit closed.  How late it was is not known: more than the delay without the allowance,
        so that taking it for as late as the delay lets the delay grow step by step."""
        self.observe(self.delay, now)

    def update(self, allowance: float, now: float) -> float:
        """The delay to use now; `allowance`: seconds that decoding needs before display."""
        self._expire(now)
        wanted = self._within(max(self._floor, self._covered()) + allowance + MARGIN_S)
        passed = 0.0 if self._updated is None else min(self._longest_pass, max(0.0, now - self._updated))
        self._updated = now
        shrink = self._grow if self.delay > self.highest else SHRINK_PER_S
        self.delay = min(max(wanted, self.delay - shrink * passed), self.delay + self._grow * passed)
        return self.delay

    def forget(self) -> None:
        """The path has changed: what was late before says nothing now."""
        self._worst.clear()

    def _within(self, delay: float) -> float:
        return min(max(delay, self.bounds.lowest), self.highest)

    def _expire(self, now: float) -> None:
        while self._worst and (self._worst[0][0] + 1) * BUCKET_S < now - WINDOW_S:
            self._worst.popleft()

    def _covered(self) -> float:
        ordered = sorted(worst for _, worst in self._worst)
        tolerated = max(self._tolerated_least, math.floor(TOLERATED * len(ordered)))
        return ordered[-1 - tolerated] if len(ordered) > tolerated else 0.0
