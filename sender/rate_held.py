"""Rate control of units where a packet is much of the rate: a unit that would pass the ceiling is left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from common.clock import Clock, monotonic
from common.codec.base import Budget
from sender.ceiling import Ceiling
from sender.rate import RateController


class HeldRate(RateController):
    """As RateController, but that over any ten seconds no more than the ceiling's rate is promised."""

    def __init__(
        self,
        kbps: float,
        unit_duration: float,
        packet_overhead: int,
        max_payload: int,
        *,
        ceiling: Ceiling,
        spread: float,
        clock: Clock = monotonic,
    ) -> None:
        """`spread`: share of a unit's duration over which its packets leave; the rest as of RateController."""
        super().__init__(kbps, unit_duration, packet_overhead, max_payload)
        self._ceiling, self._spread, self._clock = ceiling, spread, clock

    def budget(self) -> Budget:
        """See RateController."""
        budget = super().budget()
        return replace(budget, wire_bytes=min(budget.wire_bytes, self._ceiling.room(self._clock())))

    def admit(self, packet_bytes: Sequence[int], steps: Sequence[int] = ()) -> int:
        """See RateController; perhaps none. What is admitted counts as promised."""
        now = self._clock()
        count, room = super().admit(packet_bytes, steps), self._ceiling.room(now)
        while count and sum(packet_bytes[:count]) > room:
            count -= 1
        pause = self._spread * self.unit_duration / max(1, count)
        for number, size in enumerate(packet_bytes[:count]):
            self._ceiling.add(size, now + number * pause)
        return count
