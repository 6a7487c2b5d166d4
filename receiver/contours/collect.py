"""Collects the parts of map units until they are to be decoded. Pure: `now` (s, monotonic) is passed in.

Map units are decoded in order, each once. One that is whole goes on at once when all before it have; otherwise it waits
for its other parts, or for the parity of its window, until its first map is due on the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from common.maps.part import MapPart
from proto.wire import Reason, WireError

MOST_OPEN = 8
GRACE_S = 0.15
"""A unit that comes after its time waits this long for its other parts, which were sent at once with it."""
AHEAD_S = 0.05
"""So long before its first map is due a unit is given up waiting for: it has to be decoded yet."""
NEAR = 64
"""Numbers of map units are modulo 256: one further back than this is of the future."""
LATER_S = 0.5
"""And so is one that is nearer, and was captured so much later than the newest: more than 192 were missed."""


@dataclass(frozen=True, slots=True)
class Collected:
    """A map unit that is to be decoded now."""

    unit: int
    """Unwrapped."""
    time: float
    """Media time of its first map, s."""
    interval: float
    """From map to map, s."""
    legend: int
    payloads: tuple[bytes | None, ...]
    missed: int
    """Units before it, since the last one decoded, of which nothing came."""


@dataclass(slots=True)
class _Open:
    time: float
    interval: int
    legend: int
    parts: dict[int, bytes] = field(default_factory=dict)
    count: int = 1
    since: float = 0.0

    @property
    def whole(self) -> bool:
        return len(self.parts) == self.count


class Collector:
    """Of one run of one sender. Bounded: MOST_OPEN units."""

    def __init__(self) -> None:
        self.late = 0
        """Parts that came after their unit had been decoded."""
        self._open: dict[int, _Open] = {}
        self._next: int | None = None
        self._newest: tuple[int, float] | None = None  # number and media time

    @property
    def pending(self) -> int:
        """Map units that wait."""
        return len(self._open)

    def push(self, part: MapPart, time: float, now: float) -> None:
        """A part came of the unit whose first map has media time `time`. Raises WireError (late, conflict, twice)."""
        unit = self._unwrapped(part.unit, time)
        if self._next is not None and unit < self._next:
            self.late += 1
            raise WireError(Reason.LATE, f"map unit {unit} has been decoded")
        found = self._open.get(unit)
        if found is None:
            found = self._open[unit] = _Open(time, part.interval, part.legend, {}, part.parts, now)
            if self._newest is None or unit > self._newest[0]:
                self._newest = unit, time
        elif (found.count, found.interval) != (part.parts, part.interval):
            raise WireError(Reason.CONFLICT, f"parts of map unit {unit} differ")
        if part.index in found.parts:
            raise WireError(Reason.DUPLICATE, f"part {part.index} of map unit {unit} is there")
        found.parts[part.index] = part.data

    def take(self, due: Callable[[float], float], now: float) -> list[Collected]:
        """The units that are to be decoded now, in order; `due`: when (s, monotonic) a media time is due on the
        screen."""
        out = []
        while self._open:
            unit = min(self._open)
            if len(self._open) <= MOST_OPEN and now < self._at(unit, due):
                break
            out.append(self._pop(unit))
        return out

    def next_time(self, due: Callable[[float], float]) -> float | None:
        """When to call `take` again; None while nothing waits."""
        return self._at(min(self._open), due) if self._open else None

    def _at(self, unit: int, due: Callable[[float], float]) -> float:
        found = self._open[unit]
        if found.whole and self._next in (None, unit):
            return found.since
        return max(due(found.time) - AHEAD_S, found.since + GRACE_S)

    def _pop(self, unit: int) -> Collected:
        found = self._open.pop(unit)
        missed = 0 if self._next is None else unit - self._next
        self._next = unit + 1
        payloads = tuple(found.parts.get(i) for i in range(found.count))
        return Collected(unit, found.time, found.interval * 0.004, found.legend, payloads, missed)

    def _unwrapped(self, number: int, time: float) -> int:
        if self._newest is None:
            return number
        newest, captured = self._newest
        unit = newest - NEAR + (number - newest + NEAR) % 256
        return unit + 256 if unit <= newest and time > captured + LATER_S else unit
