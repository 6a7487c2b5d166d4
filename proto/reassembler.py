"""Collects the segments of one stream of one session into access units, any subset of which is useful.

Pure and clock-free: `now` (s, monotonic) is passed in. README.md section 5 is the spec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proto.packet import Segment
from proto.wire import (
    TICK_SECONDS,
    TICKS_PER_SECOND,
    Reason,
    WireError,
    seq16_delta,
    unwrap16,
    unwrap16_forward,
)

MAX_UNITS = 64  # open at a time: 4 s of units of 4 frames at 60 frames/s, beyond any playout delay
SILENCE_SECONDS = 10.0  # after so long without a usable segment, unit numbers are only read forwards
LATE_SPAN = 64  # except those at most this far back, which are stragglers and not the far future


def unwrap_unit(wire: int, newest: int, silence: float) -> int:
    """The unit number that `wire` means: the nearest to the newest one, but after a long `silence` (s) the next that is
    congruent, stragglers excepted (section 5)."""
    straggler = -LATE_SPAN <= seq16_delta(wire, newest) <= 0
    near = straggler or silence < SILENCE_SECONDS
    return unwrap16(wire, newest) if near else unwrap16_forward(wire, newest)


@dataclass(slots=True)
class Tally:
    """What became of a stream's segments. Plain counters that only grow; may outlive many Reassemblers."""

    received: int = 0  # segments taken in
    duplicate: int = 0
    late: int = 0
    conflict: int = 0
    lost: int = 0  # segments missing when their unit was closed
    units_closed: int = 0  # units closed with at least one segment, by `take` or by the window
    units_missed: int = 0  # units of which nothing had arrived when they were closed
    units_expired: int = 0  # closed units that the window pushed out before anyone took them


@dataclass(frozen=True, slots=True)
class ReceivedUnit:
    """What arrived of one access unit: at least one segment."""

    unit: int  # unwrapped; congruent modulo 2**16 to the number on the wire
    timestamp: float  # s, unwrapped within the session; congruent modulo 262.144 s to the sender's time
    count: int  # segments that were sent
    segments: tuple[bytes | None, ...]  # `count` payloads, None for what did not arrive

    @property
    def arrived(self) -> tuple[bool, ...]:
        """For each segment whether it arrived: what `interleaver.loss_mask` takes."""
        return tuple(segment is not None for segment in self.segments)

    @property
    def received(self) -> int:
        """How many segments arrived."""
        return sum(segment is not None for segment in self.segments)


@dataclass(slots=True)
class _Open:
    """A unit that may still grow."""

    ticks: int  # unwrapped
    segments: list[bytes | None]
    missing: int


class Reassembler:
    """The open units of one stream. Holds at most `max_units` units of 255 payloads, whatever arrives.

    The caller pushes every segment that the Opener passed and takes units in rising order. One thread at a
    time.
    """

    def __init__(self, max_units: int = MAX_UNITS, tally: Tally | None = None) -> None:
        if max_units < 1:
            raise ValueError(f"max_units: must be >= 1 (got {max_units})")
        self.tally = Tally() if tally is None else tally
        self.closed: Callable[[int, tuple[bool, ...]], None] | None = None
        """Told of every unit when it is closed, in rising order, and which of its segments arrived (none at all:
        empty). After a long silence only of the last `max_units`."""
        self._max_units = max_units
        self._open: dict[int, _Open] = {}
        self._floor: int | None = None  # the lowest unit that is not closed; None before the first segment
        self._newest = 0
        self._newest_ticks = 0
        self._newest_at = 0.0  # when the newest unit's first segment arrived
        self._accepted_at = 0.0  # when a segment was last taken in
        self._typical_count = 0  # segments of the latest closed unit: the guess for units never seen

    @property
    def newest_unit(self) -> int | None:
        """The highest unit number seen, unwrapped; None before the first segment."""
        return None if self._floor is None else self._newest

    @property
    def pending(self) -> tuple[int, ...]:
        """The open units that hold at least one segment, in rising order."""
        return tuple(sorted(self._open))

    def complete(self, unit: int) -> bool:
        """Whether every segment of an open unit is there."""
        entry = self._open.get(unit)
        return entry is not None and entry.missing == 0

    def timestamp(self, unit: int) -> float | None:
        """The unwrapped timestamp (s) of an open unit; None if nothing of it is there."""
        entry = self._open.get(unit)
        return None if entry is None else entry.ticks * TICK_SECONDS

    def push(self, segment: Segment, now: float) -> int:
        """Take in one segment; returns its unwrapped unit number.

        Raises WireError (late, conflict, duplicate) and changes nothing but the tally if it is of no use.
        """
        unit = self._unwrap_unit(segment.unit, now)
        floor = unit if self._floor is None else self._floor
        if unit < floor:
            self.tally.late += 1
            raise WireError(Reason.LATE, f"unit {unit} is closed, the oldest open one is {floor}")
        entry = self._open.get(unit)
        if entry is None:
            entry = self._begin(unit, segment, now)
        else:
            self._compare(entry, segment)
        entry.segments[segment.index] = segment.payload
        entry.missing -= 1
        self._accepted_at = now
        self.tally.received += 1
        return unit

    def take(self, unit: int) -> ReceivedUnit | None:
        """What arrived of `unit`; None if nothing did. Closes that unit and all older ones for good.

        Only units up to `newest_unit` are closed, so a playout clock that runs ahead of a sender that has
        stalled does not make the sender's next units late.
        """
        if self._floor is None or unit < self._floor or unit > self._newest:
            return None
        entry = self._open.get(unit)
        self._close_before(unit)
        self._close_before(unit + 1, taken=True)
        if entry is None:
            return None
        return ReceivedUnit(unit, entry.ticks * TICK_SECONDS, len(entry.segments), tuple(entry.segments))

    def _unwrap_unit(self, wire: int, now: float) -> int:
        return wire if self._floor is None else unwrap_unit(wire, self._newest, now - self._accepted_at)

    def _unwrap_ticks(self, wire: int, now: float) -> int:
        """The reading of a timestamp that agrees best with the time passed here since the newest unit."""
        if self._floor is None:
            return wire
        return unwrap16(wire, self._newest_ticks + round((now - self._newest_at) * TICKS_PER_SECOND))

    def _begin(self, unit: int, segment: Segment, now: float) -> _Open:
        """Open a unit; where it is the newest, the window moves up to it."""
        ticks = self._unwrap_ticks(segment.timestamp, now)
        if self._floor is None or unit > self._newest:
            if self._floor is None:
                self._floor = unit
            self._newest, self._newest_ticks, self._newest_at = unit, ticks, now
            self._close_before(unit - self._max_units + 1)
        entry = self._open[unit] = _Open(ticks, [None] * segment.count, segment.count)
        return entry

    def _compare(self, entry: _Open, segment: Segment) -> None:
        if segment.count != len(entry.segments) or segment.timestamp != entry.ticks & 0xFFFF:
            self.tally.conflict += 1
            raise WireError(Reason.CONFLICT, f"count or timestamp differs within unit {segment.unit}")
        if entry.segments[segment.index] is not None:
            self.tally.duplicate += 1
            raise WireError(Reason.DUPLICATE, f"segment {segment.index} of unit {segment.unit} is there")

    def _close_before(self, floor: int, taken: bool = False) -> None:
        """Close every unit below `floor` and count what is missing of it."""
        if self._floor is None or floor <= self._floor:
            return
        closed = {unit: self._open.pop(unit) for unit in sorted(self._open) if unit < floor}
        for entry in closed.values():
            self.tally.lost += entry.missing
            self._typical_count = len(entry.segments)
        if self.closed is not None:
            for unit in range(max(self._floor, floor - self._max_units), floor):
                arrived = closed[unit].segments if unit in closed else ()
                self.closed(unit, tuple(segment is not None for segment in arrived))
        missed = floor - self._floor - len(closed)
        self.tally.units_closed += len(closed)
        self.tally.units_missed += missed
        self.tally.lost += missed * self._typical_count
        self.tally.units_expired += 0 if taken else len(closed)
        self._floor = floor
