"""One run of a sender as the receiver plays it: its units, its playout clock and schedule, its time of day.

Pure: `now` is passed in.  The event loop thread owns it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from common.codec.base import CodecError, StreamInfo
from common.video import Picture
from proto.reassembler import Reassembler, ReceivedUnit
from proto.wire import latest_time
from receiver.delay import AUTOMATIC, AutoDelay, DelayBounds
from receiver.generative.frames import Frame
from receiver.jitter import PlayoutClock
from receiver.play.base import TrustMap
from receiver.playout import Conceal, Decode, Playout, Skip, Wait, Waiting

JOIN_WAIT_S = 0.25
"""How long the first unit may grow before it is opened to learn the geometry that it carries."""

PROVISIONAL_DELAY_S = 0.3
"""Used until the duration of a unit is known."""

CLOCK_TOLERANCE_S = 5.0
"""A sender whose clock is ahead of ours by less than this is not taken for one of 262 seconds ago."""

Describe = Callable[[bytes], StreamInfo]


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture with what is known about it."""

    picture: Picture
    trust: TrustMap
    arrived: float
    frame: Frame | None = None
    """Where another picture may be made of it."""


class Program:
    """The playout of one session, from its first packet on."""

    def __init__(
        self,
        generation: int,
        reassembler: Reassembler,
        describe: Describe,
        bounds: DelayBounds = AUTOMATIC,
    ) -> None:
        """`bounds`: of the playout delay."""
        self.generation = generation
        self.info: StreamInfo | None = None
        self.profile = ""
        """Of the last unit that went to the decoder."""
        self.playout: Playout[Shot] | None = None
        self.clock = PlayoutClock(bounds.lowest if bounds.constant else PROVISIONAL_DELAY_S)
        self.retired = False
        """Set when a newer run has taken over: nothing is taken from the reassembler any more."""
        self.damaged = 0
        """Units that did not even say what they are."""
        self._reassembler = reassembler
        self._describe = describe
        self._bounds = bounds
        self._auto: AutoDelay | None = None
        self._late = reassembler.tally.late
        self._held: ReceivedUnit | None = None
        self._join_at = math.inf
        self._epoch_offset: float | None = None

    def arrived(self, unit: int, now: float, wall: float) -> float | None:
        """Call for every segment that was taken in; `wall`: seconds since the epoch. Returns when the unit was captured
        (see `captured_at`); None where it is closed."""
        timestamp = self._reassembler.timestamp(unit)
        if timestamp is None:
            return None
        jumps = self.clock.jumps
        self.clock.observe(timestamp, now)
        if self._auto is not None and self.playout is not None:
            if self.clock.jumps > jumps:
                self._auto.forget()
            self._auto.observe(now - timestamp - self.clock.base, now)
            if self._reassembler.tally.late > self._late:
                self._late = self._reassembler.tally.late
                self._auto.missed(now)
            self.clock.delay = self._auto.update(self.playout.allowance, now)
        if self._epoch_offset is None:
            self._epoch_offset = latest_time(timestamp, wall, CLOCK_TOLERANCE_S) - timestamp
        if self.playout is None and self._join_at == math.inf:
            self._join_at = now + JOIN_WAIT_S
        return self.captured_at(timestamp)

    def beside_arrived(self, media_time: float, now: float) -> None:
        """Sound, or a map, of this media time came at `now`."""
        if self._auto is not None:
            self._auto.observe(now - media_time - self.clock.base, now)

    def bound_delay(self, bounds: DelayBounds) -> None:
        """Other bounds from now on; the delay moves there by and by, so that no picture is skipped or held for it."""
        self._bounds = bounds
        if self._auto is not None:
            self._auto.bounds = bounds

    @property
    def longest_delay(self) -> float:
        """The most that the playout delay may become, seconds; NaN before the geometry is known."""
        if self._bounds.constant:
            return self._bounds.lowest
        return math.nan if self._auto is None else self._auto.highest

    def captured_at(self, media_time: float) -> float:
        """Seconds since the epoch, by the sender's clock."""
        return media_time + (self._epoch_offset or 0.0)

    def plan(self, now: float) -> Decode | Conceal | Wait:
        """What to decode now.  After a Decode or Conceal the playout waits for its outcome."""
        if self.playout is None:
            self._join(now)
        if self.playout is None:
            return Wait(self._join_at)
        while True:
            step = self.playout.plan(now, self._waiting())
            if not isinstance(step, Skip):
                return step
            self._reassembler.take(step.unit)

    def set_due(self) -> list[Frame]:
        """The frames that have been decoded since the last call. All that wait are told when they are due: at their
        time, or before it, as a picture a tick is shown while the schedule moves."""
        assert self.playout is not None
        fresh, tick = [], self.playout.next_tick
        for place, ready in enumerate(self.playout.waiting):
            frame = ready.picture.frame
            if frame is None:
                continue
            if math.isnan(frame.due):
                frame.captured_at = self.captured_at(ready.media_time)
                fresh.append(frame)
            soonest = tick + place * self.playout.interval
            frame.due = min(self.clock.display_time(ready.media_time), soonest)
        return fresh

    def take(self, unit: int) -> ReceivedUnit | None:
        """What arrived of a unit that is to be decoded now."""
        held, self._held = self._held, None
        if held is not None and held.unit == unit:
            return held
        return self._reassembler.take(unit)

    def _waiting(self) -> Waiting | None:
        assert self.playout is not None
        if self._held is not None:
            return Waiting(self._held.unit, self._held.timestamp, True)
        if self.retired:
            return None
        first = self.playout.next_unit
        for unit in self._reassembler.pending:
            timestamp = self._reassembler.timestamp(unit)
            if timestamp is not None and (first is None or unit >= first):
                return Waiting(unit, timestamp, self._reassembler.complete(unit))
        return None

    def _fresh(self, now: float) -> tuple[int, ...]:
        """The open units without what a run that was not on show has piled up: its time is over."""
        pending = self._reassembler.pending
        while len(pending) > 1 and not self._is_due_later(pending[0], now):
            self._reassembler.take(pending[0])
            pending = pending[1:]
        return pending

    def _is_due_later(self, unit: int, now: float) -> bool:
        timestamp = self._reassembler.timestamp(unit)
        return timestamp is not None and self.clock.display_time(timestamp) > now

    def _join(self, now: float) -> None:
        """Learn the geometry from the oldest unit as soon as it is complete or has had its time."""
        pending = () if self.retired else self._fresh(now)
        if not pending:
            return
        if not (self._reassembler.complete(pending[0]) or now >= self._join_at):
            return
        received = self._reassembler.take(pending[0])
        self._join_at = now + JOIN_WAIT_S if len(pending) > 1 else math.inf
        payload = next((part for part in received.segments if part is not None), None) if received else None
        if received is None or payload is None:
            return
        try:
            info = self._describe(payload)
        except CodecError:
            self.damaged += 1
            return
        self._auto = AutoDelay(info.unit_duration, self._bounds, whole=info.whole)
        self.clock.delay, self.clock.sparse = self._auto.delay, info.whole
        self.info, self._held = info, received
        self.playout = Playout(
            self.clock, info.frames_per_unit, info.fps, info.concealed, referred=info.whole
        )
