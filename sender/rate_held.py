"""Rate control of pictures that share a few kbit/s with maps, where a packet is much of the rate. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from common.clock import Clock, monotonic
from common.codec.base import Budget
from sender.ceiling import HEADROOM, SECONDS, Ceiling, reserve
from sender.rate import RateController

CREDIT, DEBT = 1.0, 12.0  # units' worth that may be saved up, and owed


class HeldRate(RateController):
    """As RateController, but for a part of the rate, and so that over any ten seconds no more than the ceiling's rate
    is promised: a unit that would pass it is left out. What the other part does not use is given by `charge` of less
    than nothing."""

    def __init__(
        self,
        kbps: float,
        unit_duration: float,
        packet_overhead: int,
        max_payload: int,
        *,
        part: Callable[[float], float],
        ceiling: Ceiling,
        spread: float,
        clock: Clock = monotonic,
    ) -> None:
        """`part`: what share of a wire rate pictures get; `spread`: share of a unit's duration over which its packets
        leave; the rest as of RateController."""
        super().__init__(kbps, unit_duration, packet_overhead, max_payload)
        self._part, self._ceiling, self._spread, self._clock = part, ceiling, spread, clock
        self._credit, self._most_debt = CREDIT, DEBT

    @property
    def share(self) -> float:
        """Wire bytes of one unit: its part of the rate, if as many units as may begin within the ceiling's SECONDS fit
        there beside the other part."""
        part, units = self._part(self.kbps), math.ceil(SECONDS / self.unit_duration)
        whole = self.kbps * 125.0 * SECONDS
        left = whole - reserve(whole) - HEADROOM * (1.0 - part) * whole
        return min(HEADROOM * part * super().share, left / units)

    def budget(self) -> Budget:
        """See RateController."""
        budget = super().budget()
        return replace(budget, wire_bytes=min(budget.wire_bytes, self._ceiling.room(self._clock())))

    def admit(self, packet_bytes: Sequence[int], steps: Sequence[int] = ()) -> int:
        """See RateController; perhaps none. What is admitted counts as promised."""
        now, count = self._clock(), super().admit(packet_bytes, steps)
        pause = self._spread * self.unit_duration / max(1, count)
        leaving = [(size, now + number * pause) for number, size in enumerate(packet_bytes[:count])]
        return self._ceiling.take(leaving, now)
