"""Which packets of each unit came, in time or at all. Pure; memory is bounded by the units that may still grow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from common.capture.records import Decoded
from proto.packet import Segment
from proto.reassembler import unwrap_unit
from proto.wire import TICK_SECONDS, TICKS_PER_SECOND, unwrap16

OPEN_UNITS = 128
"""Units behind the newest after which one is closed."""

IN_TIME, LATE, MISSING = "█", "▒", "·"


@dataclass(slots=True)
class Unit:
    """One access unit."""

    number: int
    first: float
    """When its first packet came, seconds of the capture's clock."""
    media_time: float
    """Seconds, of the sender's clock modulo 262.144 s, unwrapped."""
    arrived: list[bool]
    last: float = 0.0
    bytes: int = 0
    decoded: Decoded | None = None

    @property
    def received(self) -> int:
        """Packets that came at all."""
        return sum(self.arrived)

    @property
    def late(self) -> int:
        """Packets that came after the unit was decoded; 0 where that is not known."""
        return 0 if self.decoded is None else self.received - sum(self.decoded.mask)

    def bar(self) -> str:
        """A character for each packet."""
        mask = self.decoded.mask if self.decoded is not None else tuple(self.arrived)
        return "".join(
            IN_TIME if there and mask[i] else LATE if there else MISSING
            for i, there in enumerate(self.arrived)
        )


@dataclass(slots=True)
class Units:
    """The units of one stream of one sender."""

    closed: Callable[[Unit], None]
    """Told of every unit of which anything came, in rising order."""
    seen: int = 0
    missed: int = 0
    """Units of which nothing came, by the gaps in their numbers."""
    duplicates: int = 0
    _open: OrderedDict[int, Unit] = field(default_factory=OrderedDict)
    _newest: Unit | None = None
    _floor: int | None = None
    _at: float = 0.0

    def add(self, segment: Segment, now: float) -> Unit | None:
        """A segment came. The unit, if this was its first; None otherwise."""
        number = segment.unit
        if self._newest is not None:
            number = unwrap_unit(number, self._newest.number, now - self._at)
        if self._floor is not None and number < self._floor:
            return None
        self._at = now
        unit, begun = self._open.get(number), None
        if unit is None:
            unit = begun = self._begin(number, segment, now)
        if len(unit.arrived) != segment.count:
            return None
        self.duplicates += unit.arrived[segment.index]
        unit.arrived[segment.index] = True
        unit.bytes += len(segment)
        unit.last = now
        return begun

    def decoded(self, record: Decoded) -> bool:
        """A unit was handed to the decoder; whether it is one of these."""
        unit = self._open.get(record.unit)
        if unit is None or len(unit.arrived) != len(record.mask) or unit.decoded is not None:
            return False
        if any(there and not arrived for there, arrived in zip(record.mask, unit.arrived, strict=True)):
            return False
        unit.decoded = record
        return True

    def finish(self) -> None:
        """Close what is open."""
        self._close(None)

    def _begin(self, number: int, segment: Segment, now: float) -> Unit:
        ticks = segment.timestamp
        newest = self._newest
        if newest is not None:
            expected = round(newest.media_time / TICK_SECONDS) + round(
                (now - newest.first) * TICKS_PER_SECOND
            )
            ticks = unwrap16(ticks, expected)
        unit = self._open[number] = Unit(number, now, ticks * TICK_SECONDS, [False] * segment.count)
        if newest is None or number > newest.number:
            self._newest = unit
            self._close(number - OPEN_UNITS)
        if self._floor is None:
            self._floor = number
        return unit

    def _close(self, below: int | None) -> None:
        for number in sorted(self._open):
            if below is not None and number >= below:
                return
            unit = self._open.pop(number)
            if self._floor is not None:
                self.missed += max(0, number - self._floor)
            self._floor = number + 1
            self.seen += 1
            self.closed(unit)
