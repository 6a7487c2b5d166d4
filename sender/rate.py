"""Rate control: holds the wire rate by giving each access unit its share, corrected by what was really spent. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.codec.base import Budget

MAX_SAVING = 0.5  # of one unit's share: a misfit is made up over a few units instead of starving one
MAX_CREDIT = 0.1  # likewise; on a link of just this rate more would still be leaving when the unit is due
MISFIT = 1.25  # a unit this much over its budget was coded at the lowest quality already
MAX_DEBT_UNITS = 2.0  # overspending beyond this is forgotten


class RateController:
    """Leaky account of wire bytes in units of access units; called by the encoding thread.

    Over any window the bytes spent exceed the target by at most the credit and the misfit of one unit. Where even the
    best quality needs less than the target (a plain, still picture), less is sent: the rate is then an upper limit."""

    def __init__(self, kbps: float, unit_duration: float, packet_overhead: int, max_payload: int) -> None:
        """kbps: all wire bytes, IP and UDP headers included; unit_duration: seconds of video in one unit."""
        if kbps <= 0 or unit_duration <= 0:
            raise ValueError(f"rate: kbps and unit duration must be positive (got {kbps}, {unit_duration})")
        self._packet_overhead, self._max_payload = packet_overhead, max_payload
        self._unit_duration = unit_duration
        self._debt = 0.0
        self.kbps = kbps

    @property
    def share(self) -> float:
        """Wire bytes of one unit at the target rate."""
        return self.kbps * 125.0 * self._unit_duration

    def budget(self) -> Budget:
        """What the next unit may spend."""
        wire = self.share - min(MAX_SAVING * self.share, self._debt)
        return Budget(wire, self._packet_overhead, self._max_payload)

    def set_target(self, kbps: float) -> None:
        """Hold another rate from now on. Any thread; a unit that is being encoded is cut to it by `admit`. Raises
        ValueError unless it is positive."""
        if kbps <= 0:
            raise ValueError(f"rate: kbps must be positive (got {kbps})")
        self.kbps = kbps

    def admit(self, packet_bytes: Sequence[int], steps: Sequence[int] = ()) -> int:
        """How many of a unit's packets to send, given their sizes on the wire; at least what is of use.

        All, but for rates below the codec's floor, or that fell while the unit was encoded: then as many as fit.
        `steps`: the numbers of leading packets that are of use, ascending (EncodedUnit.steps); any without."""
        room = self.budget().wire_bytes
        if sum(packet_bytes) <= MISFIT * room:
            return len(packet_bytes)
        fitting = int(np.searchsorted(np.cumsum(packet_bytes), room, side="right"))
        if not steps:
            return max(1, fitting)
        return max((step for step in steps if step <= fitting), default=steps[0])

    def spent(self, wire_bytes: int) -> None:
        """Account for a unit that was encoded with the last budget."""
        debt = self._debt + wire_bytes - self.share
        self._debt = max(-MAX_CREDIT * self.share, min(MAX_DEBT_UNITS * self.share, debt))
