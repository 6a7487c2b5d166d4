"""The playout schedule: which unit to decode when, and which picture each tick shows.

Pure: `now` (monotonic seconds) is passed in, pictures are opaque.  The event loop owns it and drives it:

1. `plan(now, waiting)` says what the decoder should do next (`waiting` is the oldest unit that has packets);
2. `decoded(...)` hands back what it made; 3. `tick(now)`, at `next_tick`, gives the picture to show.

Media time decides, not unit numbers: a unit whose pictures' time has come is decoded with whatever arrived; a
time for which nothing arrived is concealed; a unit that comes after its time is skipped.  Thus a lost unit,
an outage, a stalled camera and a late packet need no cases of their own.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from receiver.jitter import PlayoutClock

P = TypeVar("P")

MAX_STEP_S = 2.0
"""A unit whose timestamp is further than this from its expected time, and whose time has not passed, re-anchors the
schedule instead of being waited for: the sender's time base jumped, and concealing thousands of pictures would help
nobody."""

MIN_ALLOWANCE_S, MAX_ALLOWANCE_S = 0.010, 0.500
"""Limits of the time reserved for decoding before a unit's display time."""

DECODES = 16
"""The allowance covers the slowest of the last so many decodes but one: a single stall of the decoder thread is over
when it is noticed, and waiting for the next one would only keep everything late."""

SLEW = 0.2
"""A tick may come this share of a frame interval early or late to meet its picture's display time."""

MAX_READY_UNITS = 2
"""Decoded ahead at most this far: as many pictures wait for their ticks at most."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest unit at or after `Playout.next_unit` of which a packet arrived."""

    unit: int
    timestamp: float
    complete: bool


@dataclass(frozen=True, slots=True)
class Decode:
    """Close this unit and decode what arrived of it."""

    unit: int
    timestamp: float
    skip: int
    """Leading pictures whose time has already been filled by concealed ones; all, where others may refer to it."""


@dataclass(frozen=True, slots=True)
class Conceal:
    """Let the decoder conceal a unit, or part of it, and use the first `pictures` pictures that it makes."""

    unit: int
    timestamp: float
    pictures: int
    offset: int = 0
    """Of the first of them in the unit."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Close this unit undecoded: its time has passed."""

    unit: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until` (monotonic seconds, may be inf), unless a packet arrives or a decode ends."""

    until: float


Step = Decode | Conceal | Skip | Wait


@dataclass(frozen=True, slots=True)
class Ready(Generic[P]):
    """A decoded picture that waits for its tick."""

    picture: P
    unit: int
    offset: int
    media_time: float
    concealed: bool


@dataclass(frozen=True, slots=True)
class Tick(Generic[P]):
    """What one tick shows; `repeated` when no new picture was ready."""

    ready: Ready[P]
    repeated: bool


class Playout(Generic[P]):
    """The schedule of one session at one geometry.  Not thread-safe: the event loop thread owns it."""

    def __init__(
        self,
        clock: PlayoutClock,
        frames_per_unit: int,
        fps: float,
        concealed: int | None = None,
        referred: bool = False,
    ) -> None:
        """`concealed`: pictures that the decoder makes at a time in place of a unit, all of it if not given;
        `referred`: units refer to each other, so those that come too late to be shown are decoded nevertheless."""
        self.clock = clock
        self.frames = frames_per_unit
        self._part = concealed or frames_per_unit
        self._referred = referred
        self.interval = 1.0 / fps
        self.next_unit: int | None = None
        """The first unit that is not yet closed; None before the first decode."""
        self.next_tick = math.inf
        self.late_pictures = 0
        """Decoded pictures dropped because the tick had moved on."""
        self._slot = 0.0  # media time of the next picture to be decoded or concealed
        self._guessed = 0  # concealed units since the last real one whose loss is not proven
        self._filled = 0  # pictures that were concealed of the unit after these
        self._busy = False
        self._decodes: deque[float] = deque([0.02], DECODES)
        self._cadence = self.interval
        self._last_unit: tuple[int, float] | None = None
        self._ready: deque[Ready[P]] = deque()
        self._shown: Ready[P] | None = None

    @property
    def unit_duration(self) -> float:
        return self.frames * self.interval

    @property
    def allowance(self) -> float:
        """Seconds before its display time at which a unit must go to the decoder at the latest."""
        slow = sorted(self._decodes)[-2:][0]
        return min(max(1.5 * slow + 0.005, MIN_ALLOWANCE_S), MAX_ALLOWANCE_S)

    @property
    def waiting(self) -> tuple[Ready[P], ...]:
        """The decoded pictures that wait for their ticks, in order."""
        return tuple(self._ready)

    def plan(self, now: float, waiting: Waiting | None) -> Step:
        """What the decoder should do now.  The caller carries out the step, and for Decode and Conceal calls
        `decoded` with the outcome; until then every plan is Wait."""
        if self._busy or len(self._ready) > (MAX_READY_UNITS - 1) * self.frames:
            return Wait(math.inf)
        if self.next_unit is None:
            return Wait(math.inf) if waiting is None else self._first(now, waiting)
        self._re_anchor(now)
        if waiting is not None:
            if abs(waiting.timestamp - self._slot) > MAX_STEP_S:
                if now >= self.clock.display_time(waiting.timestamp + self.unit_duration):
                    return self._skip(waiting, self.next_unit)
                self._slot = waiting.timestamp
            gap = round((waiting.timestamp - self._slot) / self.interval)
            if -gap >= self.frames:
                skipped = self._skip(waiting, self.next_unit)
                self._busy = self._referred
                return Decode(waiting.unit, waiting.timestamp, self.frames) if self._referred else skipped
            if gap <= 0 or (waiting.unit == self.next_unit and gap <= 1):
                return self._decode_or_wait(now, waiting, max(0, -gap))
            self._guessed = min(self._guessed, waiting.unit - self.next_unit)
        deadline = self._deadline(self._slot)
        if now < deadline:
            return self._wait(now, deadline)
        left = self.frames - self._filled
        count = min(self._part, left if waiting is None else min(left, gap))
        step = self._conceal(count, self._filled)
        self._slot += count * self._cadence
        self._filled += count
        if self._filled == self.frames or (waiting is not None and count == gap):
            self._filled = 0
            if waiting is None or waiting.unit <= self.next_unit:
                self._guessed += 1
            else:
                self.next_unit += 1
        return step

    def decoded(self, step: Decode | Conceal, pictures: Sequence[P], seconds: float, now: float) -> None:
        """The outcome of a step: its pictures in order (none when the decoder refused it) and the time it took."""
        self._busy = False
        self._decodes.append(seconds)
        skip, end = (step.skip, self.frames) if isinstance(step, Decode) else (0, step.pictures)
        concealed = isinstance(step, Conceal)
        first = step.offset if isinstance(step, Conceal) else 0
        for number, picture in list(enumerate(pictures))[skip:end]:
            media_time = step.timestamp + number * self._cadence
            self._ready.append(Ready(picture, step.unit, first + number, media_time, concealed))
        if self.next_tick == math.inf and self._ready:
            self.next_tick = max(now, self.clock.display_time(self._ready[0].media_time))

    def tick(self, now: float) -> Tick[P] | None:
        """The picture for the tick that is due; call when `now >= next_tick`.  None before the first picture."""
        while (len(self._ready) >= 2 and self._lateness(now) > 2 * self.interval) or self._unreachable(now):
            self._ready.popleft()
            self.late_pictures += 1
        repeated = True
        if self._ready and not self._hold(now):
            self._shown, repeated = self._ready.popleft(), False
        step = self.interval
        if self._ready:
            wanted = self.clock.display_time(self._ready[0].media_time) - self.next_tick
            step = min(max(wanted, (1 - SLEW) * self.interval), (1 + SLEW) * self.interval)
        self.next_tick += step
        if self.next_tick < now:  # the loop slept through whole ticks: go on from here
            self.next_tick = now + self.interval
        return None if self._shown is None else Tick(self._shown, repeated)

    def _first(self, now: float, waiting: Waiting) -> Step:
        self._slot = waiting.timestamp
        return self._decode_or_wait(now, waiting, 0)

    def _decode_or_wait(self, now: float, waiting: Waiting, skip: int) -> Step:
        deadline = self._deadline(min(self._slot, waiting.timestamp) if skip == 0 else self._slot)
        if now < deadline:
            bridge = self._bridge(now, deadline)
            if bridge is not None or not waiting.complete:
                return bridge or Wait(deadline)
        self._learn_cadence(waiting)
        self._busy = True
        self._guessed = self._filled = 0
        self.next_unit = waiting.unit + 1
        self._slot = waiting.timestamp + self.frames * self._cadence
        return Decode(waiting.unit, waiting.timestamp, skip)

    def _skip(self, waiting: Waiting, expected: int) -> Skip:
        self._guessed = max(0, self._guessed - (waiting.unit + 1 - expected))
        self._filled = 0
        self.next_unit = waiting.unit + 1
        return Skip(waiting.unit)

    def _conceal(self, count: int, offset: int = 0) -> Conceal:
        assert self.next_unit is not None
        self._busy = True
        return Conceal(self.next_unit + self._guessed, self._slot, count, offset)

    def _wait(self, now: float, deadline: float) -> Step:
        return self._bridge(now, deadline) or Wait(deadline)

    def _bridge(self, now: float, deadline: float) -> Step | None:
        """When the next picture is due long after the ticks run out of pictures (the path has become longer, so
        that everything is shown later than before): conceal in between, without touching media time."""
        starve = self.next_tick + len(self._ready) * self.interval
        if self.next_tick == math.inf or deadline <= starve:
            return None
        missing = round((deadline + self.allowance - starve) / self.interval)
        if missing <= self._part // 2:
            return None
        if now < starve - self.allowance:
            return Wait(starve - self.allowance)
        return self._conceal(min(self._part, missing))

    def _deadline(self, media_time: float) -> float:
        return self.clock.display_time(media_time) - self.allowance

    def _lateness(self, now: float) -> float:
        return now - self.clock.display_time(self._ready[0].media_time)

    def _hold(self, now: float) -> bool:
        """True when the next picture is early by a little: the sender captured late.  A concealed picture has no
        time of its own, and one that is early by a lot was made before the path became longer: show both."""
        early = -self._lateness(now)
        fresh = self._shown is not None and not self._ready[0].concealed
        return fresh and 0.5 * self.interval < early <= self.unit_duration

    def _unreachable(self, now: float) -> bool:
        """True when the next picture belongs to a time base that the sender has left behind."""
        return bool(self._ready) and -self._lateness(now) > self._horizon

    @property
    def _horizon(self) -> float:
        return self.clock.delay + self.unit_duration + MAX_STEP_S

    def _re_anchor(self, now: float) -> None:
        """Keep the schedule near the present whatever the sender's clock does: bounded work, bounded waiting."""
        overdue = now - self.clock.display_time(self._slot)
        if overdue > self.unit_duration or -overdue > self._horizon:
            self._slot = self.clock.media_time(now)

    def _learn_cadence(self, waiting: Waiting) -> None:
        """Follow the real picture distance of a sender that captures a little slower or faster than it says."""
        if self._last_unit is not None and waiting.unit > self._last_unit[0]:
            pictures = (waiting.unit - self._last_unit[0]) * self.frames
            measured = (waiting.timestamp - self._last_unit[1]) / pictures
            if 0.8 * self.interval <= measured <= 2.0 * self.interval:
                self._cadence += (measured - self._cadence) * 0.1
        self._last_unit = (waiting.unit, waiting.timestamp)
