"""What the sender knows of the receiver's state: without feedback a guess, with reports of what arrived the truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.codec.header import MAX_REFERENCE, CodecHeader
from common.codec.parse import LOST, ParsedUnit
from common.codec.recovery import Recoverer, RecoveryState
from proto.interleaver import loss_mask

LOSS_MEMORY = 0.15  # weight of a unit in the estimate of the loss


@dataclass(slots=True)
class SentUnit:
    """A unit that was sent and the packets of it that are known to have arrived."""

    number: int
    unit: ParsedUnit
    packets: int
    reference: RecoveryState | None
    arrived: Sequence[bool] | None = None

    def as_received(self) -> ParsedUnit:
        """The unit as the receiver parsed it."""
        assert self.arrived is not None
        levels, unit = self.unit.levels, self.unit
        mask = loss_mask(levels.size, self.packets, np.asarray(self.arrived, np.bool_), self.number & 0xFFFF)
        base = unit.base if any(self.arrived) else None
        return replace(unit, base=base, elements=unit.elements * mask, levels=np.where(mask, levels, LOST))


class Shadow:
    """Follows the receiver's recovery state. Called by the encoder's thread.

    `hopeful` is the state if everything that nobody has reported on arrives. `confirmed` is the state after the last
    unit up to which all have been reported; it exists only while reports come in time."""

    def __init__(self, recoverer: Recoverer, header: CodecHeader) -> None:
        self._recoverer = recoverer
        self._start = recoverer.start(header)
        self._pending: deque[SentUnit] = deque()
        self._reporting = True  # until a report is too late
        self.hopeful = self._start
        self.confirmed: RecoveryState | None = None
        self.confirmed_unit = -1
        self.loss: float | None = None  # share of the packets lost lately, None until something was reported

    def reference(self, number: int) -> tuple[int, RecoveryState | None]:
        """The reference of unit `number`: units back, and the state; (0, None) if there is none."""
        if self.confirmed is None:
            return 0, None
        return number - self.confirmed_unit, self.confirmed

    def sent(self, sent: SentUnit) -> None:
        """The next unit leaves."""
        self.hopeful, _ = self._recoverer.advance(self.hopeful, sent.unit, sent.reference)
        if not self._reporting:
            return
        self._pending.append(sent)
        if len(self._pending) >= MAX_REFERENCE:  # the receiver will not hold what they could still confirm
            self._give_up()

    def _give_up(self) -> None:
        """What the receiver holds can no longer be told from reports: units stand alone from here on."""
        self._reporting, self.confirmed, self.loss = False, None, None
        self._pending.clear()

    def report(self, number: int, arrived: Sequence[bool] | None) -> None:
        """Which packets of unit `number` have arrived, None if the receiver refused it; once a unit, in any order.
        Others are ignored."""
        if arrived is None:
            self._give_up()
            return
        found = next((s for s in self._pending if s.number == number and s.arrived is None), None)
        if found is None or len(arrived) != found.packets:
            return
        found.arrived = tuple(arrived)
        lost = 1 - sum(arrived) / len(arrived)
        self.loss = lost if self.loss is None else self.loss + LOSS_MEMORY * (lost - self.loss)
        if self._pending[0].arrived is not None:
            self._confirm()

    def _confirm(self) -> None:
        while self._pending and self._pending[0].arrived is not None:
            oldest = self._pending.popleft()
            received = oldest.as_received()
            self.confirmed_unit = oldest.number
            if self.confirmed is None and received.base is None:
                continue  # a receiver that has seen nothing yet has no state
            state = self.confirmed or self._start
            self.confirmed, _ = self._recoverer.advance(state, received, oldest.reference)
        self.hopeful = self.confirmed or self._start
        for sent in self._pending:
            unit = sent.unit if sent.arrived is None else sent.as_received()
            self.hopeful, _ = self._recoverer.advance(self.hopeful, unit, sent.reference)
