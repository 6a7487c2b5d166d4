"""The payload limit in force: shorter packets where reports prove that these lose less, and the trials that prove it.

Packets of a sender are nearly all of one length, and one length tells nothing (`limit.py`). Announcements and the last
packets of units vary it a little; where much is lost, now and then one unit is cut shorter on purpose (or longer, while
the limit is lowered), between units cut as usual. So both kinds meet the same link, and what the link does to them is
compared window by window. Loss that hits all lengths alike never shortens packets, and what is sent while the rate is
being cut is not learnt from (`sender.control`): a full queue has no room for long packets first.

No clock: cadence is in units. `learn` may be called by another thread than the rest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from common.log import Log
from sender.packet_length.limit import LEAST_GAIN, LEAST_PAYLOAD, LossByLength
from sender.packet_length.plan import WIRE_HEADER_BYTES

log = Log("sender.length")

DECIDE_UNITS = 20  # from decision to decision: 5 s at 15 frames/s
ALPHA = 1e-5  # of each decision to shorten, there are thousands a day
KEEP_ALPHA = 0.01  # of each decision not to lengthen again: shorter packets vary less, and prove less
FEWEST_WINDOWS = 4  # that a decision is made from
RISE = 1.15  # at a decision at most: slowly back
LEAST_LOSS = 0.1  # below, nothing can be gained by shorter packets, and no trial is made
TRIAL_UNITS, MOST_TRIAL_UNITS = 8, 64  # one unit of so many is a trial
LOWERED_UNITS = 12  # the same, while the limit is lowered
PATIENCE = 6  # decisions that found nothing, after which trials become half as frequent
CHANGE, SURE = 0.1, 4.0  # of the loss, and standard deviations, after which they are as frequent as at first
SHORTER, LONGER = 3, 2  # times, in a trial
MOST_PACKETS = 16  # of a unit: more would leave some of its bytes unused (common.codec.header)
MOST_FATES = 4096  # that wait for the encoding thread


class PacketLength:
    """Decides the payload limit unit by unit. The share of the rate that trials cost in headers is bounded: a unit of
    LEAST_PAYLOAD bytes a packet has 22 % of headers, one in TRIAL_UNITS of them less than 3 % of the rate."""

    def __init__(self, most: int, least: int = LEAST_PAYLOAD) -> None:
        """Bytes of payload; the limit stays between these. Where `least` is not below `most` nothing is adapted.
        Raises ValueError below 1."""
        if min(most, least) < 1:
            raise ValueError(f"packet length: must be at least 1 byte (got {least} and {most})")
        self.limit = most
        """In force, trials aside. Any thread."""
        self.trials = 0
        """Units that were cut otherwise to learn from it. Any thread."""
        self._most, self._least = most, least
        self._known = LossByLength()
        self._fates: deque[tuple[int, bool]] = deque(maxlen=MOST_FATES)
        self._units = self._fruitless = 0
        self._every, self._next_trial = TRIAL_UNITS, TRIAL_UNITS
        self._loss = 0.0  # when trials were last made frequent

    def learn(self, fates: Iterable[tuple[int, bool]]) -> None:
        """Packets whose fate is known, in the order of sending: (wire bytes, whether it arrived)."""
        self._fates.extend(fates)

    def next_unit(self, share: float, heard: bool) -> int:
        """The most bytes that a payload of the next unit may have. `share`: its wire bytes; `heard`: reports come."""
        while self._fates:
            self._known.learn(*self._fates.popleft())
        self._units += 1
        floor = max(self._least, math.ceil(share / MOST_PACKETS) - WIRE_HEADER_BYTES)
        if floor >= self._most:
            return self._most
        if heard and self._units % DECIDE_UNITS == 0:
            self._decide(floor)
        if heard and self._units >= self._next_trial:
            self._next_trial = self._units + (self._every if self.limit == self._most else LOWERED_UNITS)
            trial = self._trial(floor)
            if trial is not None:
                self.trials += 1
                return trial
        return max(floor, self.limit)

    @property
    def loss(self) -> float:
        """Share of packets lost lately, as far as told."""
        recent = self._known.recent
        return recent.lost / recent.sent if recent else 0.0

    def _decide(self, floor: int) -> None:
        if self._known.windows < FEWEST_WINDOWS:
            return
        before = self.limit
        alpha = ALPHA if before == self._most else KEEP_ALPHA
        wanted = self._known.payload_limit(self._most, least_payload=floor, alpha=alpha)
        if wanted < before * (1 - LEAST_GAIN):
            self.limit = wanted
        elif wanted > before:
            self.limit = min(wanted, math.ceil(before * RISE))
        turned = (self.limit < self._most) != (before < self._most)
        if turned:
            log.info("payload limit", now=self.limit, before=before, loss=round(self.loss, 3))
        self._watch(turned)

    def _watch(self, turned: bool) -> None:
        """Trials that teach nothing become rare."""
        if turned or abs(self.loss - self._loss) > max(CHANGE, SURE * self._deviation()):
            self._loss, self._fruitless, self._every = self.loss, 0, TRIAL_UNITS
            self._next_trial = min(self._next_trial, self._units + self._every)
            return
        self._fruitless += 1
        if self._fruitless % PATIENCE == 0:
            self._every = min(MOST_TRIAL_UNITS, 2 * self._every)

    def _deviation(self) -> float:
        """Standard deviation of `loss` on a link that does not change."""
        recent = self._known.recent
        variance = self.loss * (1 - self.loss) * self._known.dispersion
        return math.sqrt(variance / recent.sent) if recent else 0.0

    def _trial(self, floor: int) -> int | None:
        """The limit of a trial; None where it would teach or be worth nothing."""
        if self.loss < LEAST_LOSS:
            return None
        if self.limit < self._most:
            return min(self._most, LONGER * self.limit)
        usual = self._known.typical_bytes - WIRE_HEADER_BYTES
        payload = max(floor, usual // SHORTER)
        return payload if payload * 3 <= usual * 2 else None
