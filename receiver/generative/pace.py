"""How much work a generated picture gets, so that pictures are there when they are due. Pure: `now` is passed in.

A ladder: every picture in 4, 2, 1 steps, by the Refiner alone (0 steps), then every second, third, ... picture by the
least of these, then none. It is left downwards as soon as there is too little time, and upwards only after there has
been enough for a while.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

GAPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
LONGEST_GAP_S = 1.6
"""Between two generated pictures; what is older says little about what is shown."""

AIM, FULL, ROOM = 0.8, 0.95, 0.7
"""Shares of the time there is: taken at most after a fall, that make it fall, below which it may rise."""

PATIENCE_S, MOST_PATIENCE_S = 1.5, 60.0
"""There must have been room for so long before a rise; longer after one that was too early."""

SOON_S = 10.0
"""A fall so soon after a rise says that the rise was too early."""

MISSES, MISSES_S = 2, 2.0
"""So many pictures that came too late within so long make it fall."""

RETRY_S, MOST_RETRY_S = 5.0, 60.0
"""How long it stays with plain pictures before it tries again."""

KEPT = 5
"""Measurements of each number of steps that count."""

REFINING = 0.3
"""What the Refiner alone takes of the time of a picture in one step, where one of the two was not measured yet."""

START_S = 0.5
"""What a picture is taken to need before anything is measured."""


@dataclass(frozen=True, slots=True)
class Rung:
    """steps: of a generated picture; every: 1 all pictures, n each n-th, 0 none."""

    steps: int
    every: int


PLAIN = Rung(0, 0)


class Pace:
    """One thread at a time."""

    def __init__(self, steps: Sequence[int] = (4, 2, 1)) -> None:
        """`steps`: numbers of denoising steps that there are to choose from."""
        self._steps = sorted(steps, reverse=True)
        self._seconds: dict[int, deque[float]] = {}
        self._newest = 0  # steps of the last measurement
        self._missed: deque[float] = deque(maxlen=MISSES)
        self._interval = math.nan
        self._ladder: tuple[Rung, ...] = (PLAIN,)
        self._index = 0
        self._room_since = math.inf
        self._patience, self._rose = PATIENCE_S, -math.inf
        self._retry, self._retry_at = RETRY_S, math.inf

    def begin(self, interval: float, now: float) -> None:
        """A stream with a picture every `interval` seconds; nothing happens if it is that already."""
        if interval == self._interval:
            return
        self._interval = interval
        few = self._steps[-1]
        gaps = [gap for gap in GAPS[1:] if gap * interval <= LONGEST_GAP_S]
        self._ladder = (*(Rung(count, 1) for count in self._steps), *(Rung(few, gap) for gap in gaps), PLAIN)
        self._room_since, self._missed = math.inf, deque(maxlen=MISSES)
        self._to(self._affordable(0), now)

    def measured(self, steps: int, seconds: float) -> None:
        """A picture of so many steps took so long."""
        self._seconds.setdefault(steps, deque(maxlen=KEPT)).append(seconds)
        self._newest = steps

    def missed(self, now: float) -> None:
        """A picture was made, but came too late."""
        self._missed.append(now)

    def seconds(self, steps: int) -> float:
        """What a picture of so many steps is expected to take: the slowest but one of the last, and no more than
        those measured since tell, of other numbers of steps."""
        if not self._seconds:
            return START_S
        own, newest = self._slow(steps), self._newest
        if steps == newest:
            return own
        share = (steps or REFINING) / (newest or REFINING)
        most = self._slow(newest) * max(1.0, share)
        if math.isfinite(own):
            return min(own, most)
        return most if steps > newest else most * (1 + share) / 2

    def _slow(self, steps: int) -> float:
        """The slowest but one of the last; infinity before any."""
        return sorted(self._seconds.get(steps) or (math.inf,))[-2:][0]

    @property
    def known(self) -> dict[int, float]:
        """Seconds a picture by number of steps, of those that were measured."""
        return {steps: self.seconds(steps) for steps in sorted(self._seconds)}

    @property
    def rung(self) -> Rung:
        """What holds now."""
        return self._ladder[self._index]

    @property
    def real_time(self) -> bool:
        """Whether every picture is generated."""
        return self.rung.every == 1

    def update(self, now: float) -> Rung:
        """Call before every choice; what holds from now on."""
        rung = self.rung
        if rung == PLAIN:
            if now >= self._retry_at and len(self._ladder) > 1:
                self._seconds.clear()  # measured anew
                self._retry = min(2 * self._retry, MOST_RETRY_S)
                self._to(len(self._ladder) - 2, now)
            return self.rung
        late = len(self._missed) == MISSES and now - self._missed[0] <= MISSES_S
        if late or self._load(self._index) > FULL:
            self._missed.clear()
            self._fall(now, late)
        else:
            self._rise(now)
        return self.rung

    def _fall(self, now: float, late: bool) -> None:
        if now - self._rose < SOON_S:
            self._patience = min(2 * self._patience, MOST_PATIENCE_S)
        self._room_since = math.inf
        self._to(self._affordable(self._index + (1 if late else 0)), now)

    def _rise(self, now: float) -> None:
        if self._index == 0 or self._load(self._index - 1) > ROOM:
            self._room_since = math.inf
            return
        self._room_since = min(self._room_since, now)
        if now - self._room_since < self._patience:
            return
        if now - self._rose > MOST_PATIENCE_S:
            self._patience = PATIENCE_S
        self._rose, self._room_since, self._retry = now, math.inf, RETRY_S
        self._to(self._index - 1, now)

    def _to(self, index: int, now: float) -> None:
        self._index = index
        self._retry_at = now + self._retry if self._ladder[index] == PLAIN else math.inf

    def _affordable(self, first: int) -> int:
        last = len(self._ladder) - 1
        return next((index for index in range(first, last) if self._load(index) <= AIM), last)

    def _load(self, index: int) -> float:
        """Share of the time there is that the rung would take."""
        rung = self._ladder[index]
        return self.seconds(rung.steps) / (rung.every * self._interval)
