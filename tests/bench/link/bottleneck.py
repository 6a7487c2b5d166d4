"""The queue before a link that carries so much and no more. Waiting is known when a packet comes: it is first in,
first out, and the link's future is known too."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.link.replay import OPPORTUNITY_BYTES, Opportunities, RateSchedule

Service = tuple[float, float]  # when the first and the last bit of a packet leave


@dataclass(slots=True)
class Bottleneck:
    """Times are in seconds from the start of the link; each method is for one kind of link and may be mixed in time.

    Each returns when the packet leaves, or None when it would wait longer than `longest`: tail drop.
    """

    _free_at: float = 0.0
    _next: int = 0  # the opportunity being filled, and what is in it
    _used: int = 0

    def at_rate(self, size: int, now: float, longest: float, kbps: float) -> Service | None:
        """A constant rate."""
        begins = max(now, self._free_at)
        if begins - now > longest:
            return None
        self._free_at = begins + size * 8e-3 / kbps
        return begins, self._free_at

    def on_schedule(self, size: int, now: float, longest: float, rates: RateSchedule) -> Service | None:
        """A rate that changes: a packet may be served at several, and stands while it is 0."""
        ahead = rates.served(max(now, self._free_at))
        begins = max(now, self._free_at, rates.when(ahead, begins=True))
        if begins - now > longest:
            return None
        self._free_at = max(begins, rates.when(ahead + size * 8e-3))
        return begins, self._free_at

    def at_opportunities(self, size: int, now: float, longest: float, trace: Opportunities) -> Service | None:
        """Each opportunity takes packets that wait then, whole or in parts; what none of them fills is lost."""
        index, used = trace.first(max(now, self._free_at)), 0
        if index <= self._next:
            index, used = self._next, self._used
        first = index + 1 if used == OPPORTUNITY_BYTES else index
        filled = used + size
        index, used = index + (filled - 1) // OPPORTUNITY_BYTES, (filled - 1) % OPPORTUNITY_BYTES + 1
        begins = trace.at(first)
        if begins - now > longest:
            return None
        self._next, self._used = index, used
        return begins, trace.at(index)
