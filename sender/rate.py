"""Rate control: holds the wire rate by giving each access unit its share, corrected by what was really spent. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.codec.base import Budget

MAX_SAVING = 0.5  # of one unit's share: a misfit is made up over a few units instead of starving one
LEAST_SHARE = 0.25  # of one unit's share, that is left to it whatever is sent beside media
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
        self.unit_duration = unit_duration
        """Seconds of video in one unit."""
        self.payload_limit = max_payload
        """Bytes that a payload of the next unit may have, at most."""
        self._credit, self._most_debt = MAX_CREDIT, MAX_DEBT_UNITS
        self._debt = 0.0
        self._charged = self._counted = 0  # bytes beside media: all, and those that a unit has paid for
        self._beside = 0  # of the last unit
        self.kbps = kbps

    @property
    def share(self) -> float:
        """Wire bytes of one unit at the target rate."""
        return self.kbps * 125.0 * self.unit_duration

    def budget(self) -> Budget:
        """What the next unit may spend."""
        # Sound goes on at its rate and has to be made room for at once; a misfit is made up for by and by.
        most = min(MAX_SAVING * self.share + self._beside, (1.0 - LEAST_SHARE) * self.share)
        wire = self.share - min(most, self._debt)
        return Budget(wire, self._packet_overhead, self.payload_limit)

    def set_payload_limit(self, payload_bytes: int) -> None:
        """Cut the next units into payloads of so many bytes at most, or of what the constructor was given if that is
        less. The encoding thread. Raises ValueError below 1."""
        if payload_bytes < 1:
            raise ValueError(f"rate: a payload must have at least 1 byte (got {payload_bytes})")
        self.payload_limit = min(self._max_payload, payload_bytes)

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

    def charge(self, wire_bytes: int) -> None:
        """So much was sent beside media; the next units have less. One thread, which may be another one."""
        self._charged += wire_bytes

    def spent(self, wire_bytes: int) -> None:
        """Account for a unit that was encoded with the last budget."""
        charged = self._charged
        self._beside = charged - self._counted
        debt = self._debt + wire_bytes + self._beside - self.share
        self._counted = charged
        self._debt = max(-self._credit * self.share, min(self._most_debt * self.share, debt))
