"""How long units spend between the stations of the receiver. Pure: `now` (monotonic seconds) is passed in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST_UNITS = 128
"""Units remembered: more than may be open, decoded and waiting for display at a time."""

Key = tuple[int, int]
"""(generation of the run, unit)."""


@dataclass(slots=True)
class _Times:
    arrived: float
    decoded: float | None = None
    taken: bool = False


class UnitTimes:
    """Notes when units pass. Each method returns what is known then, once a unit; None otherwise."""

    def __init__(self) -> None:
        self._units: OrderedDict[Key, _Times] = OrderedDict()

    def arrived(self, key: Key, now: float) -> bool:
        """A packet was taken in; whether it is the first of its unit."""
        if key in self._units:
            return False
        self._units[key] = _Times(now)
        if len(self._units) > MOST_UNITS:
            self._units.popitem(last=False)
        return True

    def taken(self, key: Key, now: float) -> float | None:
        """It goes to the decoder; seconds since its first packet."""
        unit = self._units.get(key)
        if unit is None or unit.taken:
            return None
        unit.taken = True
        return now - unit.arrived

    def decoded(self, key: Key, now: float) -> None:
        """Its pictures are there."""
        unit = self._units.get(key)
        if unit is not None:
            unit.decoded = now

    def shown(self, key: Key, now: float) -> float | None:
        """One of its pictures is shown; for the first, seconds since they were decoded. Then it is forgotten."""
        unit = self._units.get(key)
        if unit is None or unit.decoded is None:
            return None
        del self._units[key]
        return now - unit.decoded

    def __len__(self) -> int:
        return len(self._units)
