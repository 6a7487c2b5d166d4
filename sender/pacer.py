"""Spreads the packets of each unit over time, so that a thin link's queue never has to hold a burst. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from proto.wire import IP_UDP_BYTES

MAX_UNITS = 2
"""Units that may wait; when one more comes, what is left of the oldest is dropped and counted."""


@dataclass(slots=True)
class _Unit:
    datagrams: deque[bytes]
    due: float
    interval: float
    ends: float  # when the next unit's place begins


class Pacer:
    """Decides when each datagram leaves. `now` is monotonic seconds; owned by the event loop.

    The packets of a unit leave at even intervals over `spread` of the unit's duration (0: all at once). A
    unit that comes before the one ahead of it has left waits for its end.
    """

    def __init__(self, spread: float = 0.75) -> None:
        if not 0 <= spread <= 1:
            raise ValueError(f"spread: must be 0..1 (got {spread})")
        self.dropped = 0
        self._spread = spread
        self._units: deque[_Unit] = deque()
        self._free = float("-inf")

    def submit(self, datagrams: Sequence[bytes], duration: float, now: float) -> None:
        """Accept the datagrams of one unit that lasts `duration` seconds."""
        if not datagrams:
            return
        if len(self._units) >= MAX_UNITS:
            self._drop_oldest()
        if not self._units:
            self._free = min(self._free, now + duration)
        interval = self._spread * duration / len(datagrams)
        start = max(now, self._free)
        self._units.append(_Unit(deque(datagrams), start, interval, start + duration))
        self._free = start + interval * len(datagrams)

    def _drop_oldest(self) -> None:
        oldest = self._units.popleft()
        self.dropped += len(oldest.datagrams)
        # What waits behind it takes its place: without this, units that come too fast push each other ever later.
        early = self._units[0].due - oldest.due
        for unit in self._units:
            unit.due -= early
            unit.ends -= early
        self._free -= early

    def slow(self, kbps: float, now: float) -> None:
        """The path carries less than what waits was made for: let it leave at `kbps`, and drop what would then leave
        after its unit's time. Datagrams are counted with 28 bytes of IP and UDP."""
        for number, unit in enumerate(self._units):
            largest = max(map(len, unit.datagrams)) + IP_UDP_BYTES
            unit.interval = max(unit.interval, largest * 0.008 / kbps)
            if number:
                unit.due = max(unit.due, self._free)
            fitting = max(1, math.ceil((unit.ends - max(unit.due, now)) / unit.interval))
            while len(unit.datagrams) > fitting:
                unit.datagrams.pop()
                self.dropped += 1
            self._free = unit.due + unit.interval * len(unit.datagrams)

    def take(self, now: float) -> list[bytes]:
        """The datagrams that are due at `now`, in order; the caller must send them at once."""
        out: list[bytes] = []
        while self._units and self._units[0].due <= now:
            unit = self._units[0]
            out.append(unit.datagrams.popleft())
            unit.due += unit.interval
            if not unit.datagrams:
                self._units.popleft()
        return out

    def next_time(self) -> float | None:
        """When `take` will have something again; None when nothing waits."""
        return self._units[0].due if self._units else None

    @property
    def waiting(self) -> int:
        """Datagrams that have not left yet."""
        return sum(len(unit.datagrams) for unit in self._units)
