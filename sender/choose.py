"""The profile of each unit, chosen as the link changes: `--profile auto`. Called by the encoding thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.clock import Clock, monotonic
from common.codec.base import Budget, EncodedUnit
from common.codec.switching import CLASSIC, SwitchingEncoder
from common.log import Log
from common.video import Picture
from sender.profile import Link, ProfileController

log = Log("sender.profile")

RECENT_UNITS = 8  # that tell of the loss now: two seconds at 15 frames/s
REMEMBERED_UNITS = 64  # that may still be reported


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known from the receiver beside what became of units."""

    kbps: float  # target rate on the wire
    alive: bool  # reports come in
    rtt: float | None  # s
    congested: bool  # the rate is being cut, because a queue has built up


class ChoosingEncoder:
    """A UnitEncoder that looks at the link before each unit."""

    def __init__(
        self,
        encoder: SwitchingEncoder,
        controller: ProfileController,
        heard: Callable[[], Heard],
        clock: Clock = monotonic,
    ) -> None:
        self.pinned: str | None = None
        """The profile of every unit; None: as the link asks for. Any thread may set it."""
        self._encoder, self._controller, self._heard, self._clock = encoder, controller, heard, clock
        self._sent: dict[int, tuple[str, int]] = {}  # profile of each unit, and how many packets show it
        self._recent: deque[tuple[int, int]] = deque(maxlen=RECENT_UNITS)  # (packets, arrived) as reported
        self._lost_units = 0

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return self._encoder.frames_per_unit

    @property
    def profile(self) -> str:
        """Of the last unit."""
        return self._encoder.profile

    @property
    def switches(self) -> int:
        """How often the profile has changed."""
        return self._encoder.switches

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """See UnitEncoder.encode."""
        before, now = self._encoder.profile, self._clock()
        pinned = self.pinned
        self._encoder.profile = pinned or self._controller.decide(self._link(budget), now)
        if self._encoder.profile != before:
            log.info(
                "profile", now=self._encoder.profile, why="setting" if pinned else self._controller.reason
            )
        encoded = self._encoder.encode(pictures, unit, budget)
        least = encoded.steps[0] if encoded.steps else 1
        self._sent[unit] = self._encoder.profile, least
        self._sent.pop(unit - REMEMBERED_UNITS, None)
        return encoded

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """See UnitEncoder.report."""
        profile, least = self._sent.pop(unit, ("", 0))
        if arrived is not None and profile:
            self._recent.append((len(arrived), sum(arrived)))
        if profile == CLASSIC and (arrived is None or sum(arrived) < least):
            self._lost_units += 1
        self._encoder.report(unit, arrived)

    def _link(self, budget: Budget) -> Link:
        heard, lost = self._heard(), self._lost_units
        self._lost_units = 0
        sent = sum(packets for packets, _ in self._recent)
        return Link(
            kbps=heard.kbps,
            loss=1 - sum(came for _, came in self._recent) / sent if sent else None,
            residual=self._encoder.prospect(budget).failure,
            rtt=heard.rtt,
            heard=heard.alive,
            congested=heard.congested,
            lost_units=lost,
        )
