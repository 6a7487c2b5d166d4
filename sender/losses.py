"""Tells loss that our rate causes from loss that it does not. Pure.

Loss that rises above what is usual may be either. So the rate is lowered for a short while, to what the path would keep
up with if the new losses were the overflow of a queue: then they must go away. If they stay, they are the link's own,
become the usual ones, and the rate is given back. Such a test is made seldom. What is lost from the first packet on,
with no queue to be seen, is taken for the link's own without one: a test of a path that loses most of its packets takes
long, and where the belief is wrong, loss rises with the rate, and the test that follows corrects it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from sender.feedback import Update

WINDOW_S, FEWEST = 2.5, 20.0  # of packets that are compared with the usual loss
USUAL_PACKETS = 1000.0  # over which the usual loss is smoothed; it falls at once
NEW_PACKETS = 60.0  # what a usual loss counts that a test has just found
START_PACKETS = 300.0  # the same, of what was lost at the start
BURST_PACKETS = 500.0  # over which the mean length of runs of losses is taken
RAW_PACKETS = 100.0
HOLE_S, HOLE_PACKETS = 0.5, 8.0  # without any arrival for so long, and so many times the usual: an outage
SURE, EXCESS = 4.0, 0.05  # standard deviations, and loss, above the usual
PLAIN = 5.0  # standard deviations that are no chance, however long one watches
BACK_OFF_S, MOST_BACK_OFF_S = 15.0, 120.0  # between tests that find nothing
DEEPEST = 0.35  # of the rate, in a test
MARGIN = 0.75  # of what the path would keep up with: units leave in bursts
TEST_S, USUAL_TEST_S, LONGEST_TEST_S = 1.0, 6.0, 7.0  # that a test takes: at least, as planned, and at most
TEST_PACKETS = 12  # that it needs at least
TELL = 3.0  # standard deviations by which losses would differ in USUAL_TEST_S, or no test is made
DOUBT, FIRST_DOUBT = (
    1.0,
    2.0,
)  # standard deviations by which the link may lose less than it has; in the first test
EVIDENCE = 4.0  # logarithm of how much likelier one reason must be than the other
LEAST_LOSS = 0.02  # that either reason may explain


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a test ended: the rate at which the overflow ends (kbit/s), or None where the losses are the link's own."""

    ceiling: float | None


@dataclass(slots=True)
class _Test:
    began: float
    before: float  # kbit/s
    rate: float
    ceiling: float
    loss: float
    link: float  # that goes on at least if it is the link's own
    overflow: float  # what is lost during the test if it is us
    plain: bool  # no chance could bring such losses
    expected: int = 0
    received: int = 0

    def evidence(self, own: float) -> float:
        """Sequential probability ratio (Wald, 1945): the logarithm of how much likelier a loss `own` of the link is."""
        link, us = (min(1 - LEAST_LOSS, max(LEAST_LOSS, loss)) for loss in (own, self.overflow))
        lost = self.expected - self.received
        return lost * math.log(link / us) + self.received * math.log((1 - link) / (1 - us))


class LossWatch:
    """Losses of one path. Owned by the congestion control."""

    def __init__(self) -> None:
        self.usual = 0.0  # loss that our rate does not cause
        self._raw: float | None = None  # loss over RAW_PACKETS, outages included
        self._recent: deque[tuple[float, Update]] = deque(maxlen=64)
        self._known = 0.0  # packets that the usual loss counts for
        self._lost = self._runs = 5.0  # packets lost, in so many runs
        self._back_off = BACK_OFF_S
        self._next_test = -math.inf
        self._test: _Test | None = None
        self._starting = True  # what is lost is the link's own
        self._pace = 0.0  # packets sent a second

    @property
    def testing(self) -> bool:
        """Whether the rate is lowered to see what the loss does."""
        return self._test is not None

    def add(self, update: Update, now: float, settled: float, calm: bool = True) -> None:
        """A report came. Those up to the time `settled` (s) tell of another rate than the present one, or of a queue
        that was full, and say nothing about the link. `calm`: no packet has waited in a queue lately."""
        if not update.expected:
            return
        lost = 1 - update.received / update.expected
        spacing = (
            update.sent_seconds / update.expected / max(0.05, 1 - (lost if self._raw is None else self._raw))
        )
        self._raw = lost if self._raw is None else self._raw
        self._raw += (lost - self._raw) * min(1.0, update.expected / RAW_PACKETS)
        kept = math.exp(-update.expected / BURST_PACKETS)
        self._lost = kept * self._lost + update.expected - update.received
        self._runs = max(1.0, kept * self._runs + update.runs)
        if update.hole > max(HOLE_S, HOLE_PACKETS * spacing):
            self.forget()
            return
        if now <= settled:
            return
        self._recent.append((now, update))
        if update.sent_seconds > 0:
            pace = update.expected / update.sent_seconds
            self._pace += (pace - self._pace) * min(1.0, update.sent_seconds)
        while self._recent[0][0] < now - WINDOW_S and self._sum(1)[0] >= FEWEST:
            self._recent.popleft()
        if self._test is not None:
            self._test.expected += update.expected
            self._test.received += update.received
            return
        self._trust(calm)
        self._known = min(USUAL_PACKETS, self._known + update.expected)
        self.usual += (lost - self.usual) * min(1.0, update.expected / self._known)
        if self._unusual() < 0.0:
            self.usual += (self.loss - self.usual) / 2

    def _trust(self, calm: bool) -> None:
        """Ends the start: where nothing was lost, or a queue is seen, what is lost from now on is to be explained."""
        if self._starting and (not calm or self._known >= NEW_PACKETS):
            self._starting = False
            if not calm or self.usual < EXCESS:
                self.usual, self._known = 0.0, USUAL_PACKETS
            self._known = max(self._known, START_PACKETS)

    def forget(self) -> None:
        """An outage: what was lost in it says nothing."""
        self._recent.clear()
        if self._test is not None:
            self._test.expected = self._test.received = 0

    @property
    def loss(self) -> float:
        """Of the last seconds."""
        expected, received = self._sum()
        return 1 - received / expected if expected else self.usual

    def excess(self) -> float:
        """Loss above the usual where that is no chance; 0 where it may be."""
        return max(0.0, self._unusual())

    def _unusual(self) -> float:
        """Loss above or below the usual where that is no chance; 0 where it may be."""
        expected, received = self._sum()
        if expected < FEWEST:
            return 0.0
        excess = 1 - received / expected - self.usual
        return excess if abs(excess) > max(EXCESS, SURE * self._deviation(expected)) else 0.0

    def _deviation(self, expected: float) -> float:
        """Standard deviation of the usual loss over so many packets."""
        spread = max(self.usual, 0.01)
        return math.sqrt(spread * (1 - spread) * self._clumping() / expected)

    def suspect(self, kbps: float, least: float, now: float) -> float | None:
        """The rate to test with, where losses have risen; None where there is nothing to test."""
        excess = self.excess()
        if self._test is not None or excess == 0.0 or now < self._next_test:
            return None
        loss = self.usual + excess
        ceiling = self._rate() * (1 - loss) / max(0.05, 1 - self.usual)
        rate = max(least, DEEPEST * kbps, MARGIN * ceiling)
        if rate >= 0.97 * kbps:
            return None
        overflow = 1 - (1 - self.usual) * min(1.0, ceiling / rate)  # what is lost then, if it is us
        variance = loss * (1 - loss) * self._clumping()
        packets = max(TEST_PACKETS, TELL * TELL * variance / max(1e-6, loss - overflow) ** 2)
        if packets > USUAL_TEST_S * self._pace * rate / kbps:
            return None  # it could not be told
        seen = max(FEWEST, self._sum()[0])
        doubt = FIRST_DOUBT if self._next_test == -math.inf else DOUBT  # it may have seemed more than it is
        link = max(overflow + LEAST_LOSS, loss - doubt * math.sqrt(variance / seen))
        plain = excess > PLAIN * self._deviation(seen)
        self._test = _Test(now, kbps, rate, ceiling, loss, link, overflow, plain)
        return rate

    def verdict(self, now: float) -> Verdict | None:
        """How the test ended, once: None while it goes on, or none is made."""
        test = self._test
        if test is None:
            return None
        evidence = test.evidence(test.link) / self._clumping()
        passed = now - test.began
        enough = test.expected >= TEST_PACKETS and abs(evidence) >= EVIDENCE
        if passed < TEST_S or (not enough and passed < LONGEST_TEST_S):
            return None
        self._test, self._starting = None, False
        self._recent.clear()
        if not enough and test.expected >= TEST_PACKETS and test.plain:
            evidence = test.evidence(test.loss) / self._clumping()  # what was lost before is no longer
            enough = evidence < -EVIDENCE
        if enough and evidence < 0:
            self.usual = min(self.usual, 1 - test.received / test.expected)
            self._back_off, self._next_test = BACK_OFF_S, now
            return Verdict(test.ceiling)
        self.usual = max(self.usual, test.loss)
        self._known = NEW_PACKETS
        self._next_test = now + self._back_off
        self._back_off = min(MOST_BACK_OFF_S, 2 * self._back_off)
        return Verdict(None)

    def cancel(self) -> None:
        """Delay has told already what a test would."""
        self._test = None
        self._recent.clear()

    def _clumping(self) -> float:
        """Variance of the losses of a two-state chain over that of independent ones, from its loss and its bursts."""
        return max(1.0, 2 * self._lost / self._runs * (1 - (self._raw or 0.0)) - 1)

    def _sum(self, skip: int = 0) -> tuple[int, int]:
        updates = [update for _, update in list(self._recent)[skip:]]
        return sum(update.expected for update in updates), sum(update.received for update in updates)

    def _rate(self) -> float:
        """kbit/s sent in the last seconds."""
        seconds = sum(update.sent_seconds for _, update in self._recent)
        return sum(update.sent_bytes for _, update in self._recent) * 0.008 / max(1e-3, seconds)
