"""Congestion control: the rate that the path carries, from what its reports say. Pure.

After the rate control of Google's algorithm (GCC, draft-ietf-rmcat-gcc-02, section 5.5: multiplicative increase far
from the last known capacity, a slower one near it; decrease to a share of the capacity measured), changed for few
packets a second and for links that lose most of them:

- Over-use is a standing queue (RFC 8698, RFC 8289 section 3; `queueing.py`), not a filtered gradient
  (section 5.3 and 5.4 there): with 5 packets a second there is nothing to filter. A queue that surges is over-use at
  once.
- The capacity is what was *sent* between two packets over the time between their arrivals, not what arrived (R_hat):
  half of the packets lost at random do not halve it. The rate goes below it until the queue has drained.
- There is no loss-based half (section 6): loss by itself changes nothing. Loss that has risen is tested (`losses.py`).
- The increase near the capacity is with the square root of the rate: smaller flows grow relatively faster, so flows
  that share a bottleneck become equal, at 8 kbit/s as at 2000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from sender.feedback import Update
from sender.losses import LossWatch
from sender.queueing import QueueDelay

STANDING_S, STANDING_KBPS = (
    0.025,
    200.0,
)  # a queue that stands above this, at this rate, is over-use; see _threshold
CHANCE = 6.0  # times that loss, a packet's time is added
LONG_PACKET_S, OWN = 0.05, 0.6  # packets that take longer add so much of it
CALM_S = 0.015  # a packet that waits longer is a sign of a queue
SURGE_S = 0.15  # a queue that the newest packets all met is over-use at once
KEEP = 0.9  # of the capacity, after an over-use
KEEP_SHALLOW, SHALLOW_HOLD_S = 0.95, 10.0  # the same, and the hold, where only losses told of it
BY_CHANCE = 0.2  # usual loss from which on a queue may stand by chance
DRAIN_S, MOST_DRAIN = 0.7, 0.65  # time to drain a queue in; share of the capacity given up for it at most
DEEPEST_CUT = 0.25  # of the rate, at a time
SETTLED = 0.8  # of the capacity measured before: one that is not smaller is the same
SETTLE_S = 0.3  # and two round trips, until reports tell of the rate now
HOLD_S = 3.0  # after a decrease, before the next increase
START_GROWTH, GROWTH = 0.28, 0.15  # a second: before the first over-use, and far from the last one
NEAR_GROWTH = 0.35  # times the square root of the rate, kbit/s a second
# Times the last capacity: from where growth is slow, and where that capacity is forgotten.
NEAR, BEYOND = 0.85, 1.2
MOST_STEP_S = 1.5  # of growth at a report
UNUSED = 0.7  # share of the rate that must be used, or it does not grow
FLAT_CUTS = 3  # cuts in a row that leave the delay as it is: it is no queue of ours
REVIVE_HOLD_S = 1.0  # after feedback has come back
FALLBACK_HOLD_S, DECAY = 3.0, 0.25  # without feedback: hold so long, then go down by so much a second


class State(StrEnum):
    """What the control is doing; for figures and logs."""

    FIXED = "fixed"
    GROWING = "growing"
    HOLDING = "holding"
    DRAINING = "draining"
    TESTING = "testing"  # whether a risen loss comes from our rate
    FALLBACK = "fallback"  # no feedback


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Rates on the wire in kbit/s."""

    start: float
    minimum: float = 8.0
    cap: float = 1000.0
    safe: float = 30.0  # where the rate goes when nobody reports any more
    fixed: bool = False  # `start` always, whatever is reported

    def __post_init__(self) -> None:
        if not 0 < self.minimum <= self.start <= self.cap:
            raise ValueError(
                f"rate: 0 < minimum <= start <= cap (got {self.minimum}, {self.start} and {self.cap} kbit/s)"
            )
        if not self.minimum <= self.safe <= self.cap:
            raise ValueError(f"rate: safe must be {self.minimum}..{self.cap} kbit/s (got {self.safe})")


class CongestionControl:
    """`kbps` is the target on the wire. The event loop owns it: `update` at each report, `tick` ten times a second."""

    def __init__(self, limits: RateLimits) -> None:
        self.kbps = limits.start
        self.queue = QueueDelay()
        self.losses = LossWatch()
        self.capacity: float | None = None  # kbit/s of sending at the last over-use; None when out of date
        self.standing = 0.0  # s, as last seen
        self.cuts = 0
        self._limits = limits
        self._ever_cut = False
        self._cut_at = -math.inf  # what left before says nothing of the rate now
        self._lowered_at = -math.inf
        self._drained_at: float | None = None
        self._settled_at = -math.inf  # until then losses may be those of a queue that was full
        self._after_drain = 0.0
        self._before_cuts = limits.start
        self._flat = 0
        self._flat_standing = 0.0
        self._updated_at = math.inf
        self._grown_at: float | None = None
        self._used = 1.0
        self._dead_since: float | None = None
        self._before_fallback = 0.0
        self._before_test = 0.0
        self._regaining = False  # what a time without feedback has cost

    @property
    def cap(self) -> float:
        """The most that it may allow (kbit/s)."""
        return self._limits.cap

    @property
    def state(self) -> State:
        """What is being done now."""
        if self._limits.fixed:
            return State.FIXED
        if self._dead_since is not None:
            return State.FALLBACK
        if self._drained_at is not None:
            return State.DRAINING
        if self.losses.testing:
            return State.TESTING
        return State.GROWING if self._grown_at is not None else State.HOLDING

    def limit(self, limits: RateLimits) -> None:
        """Other limits from now on. Where only they held the rate, it goes at once to where they let it start."""
        held = self.kbps >= self._limits.cap or self._limits.fixed
        self._limits = limits
        self._set(limits.start if held or limits.fixed else self.kbps)

    def update(self, update: Update, rtt: float, now: float) -> None:
        """A report came."""
        since, self._updated_at = now - self._updated_at, now
        self.queue.add(update.samples, self.kbps)
        settled = max(self._cut_at, self._settled_at) + 2 * rtt + SETTLE_S
        self.losses.add(update, now, settled, self.queue.longest() < CALM_S)
        if self._limits.fixed:
            return
        if self._dead_since is not None:
            self._revive(now)
        if update.sent_seconds > 0:
            used = update.sent_bytes * 0.008 / update.sent_seconds / self.kbps
            self._used += (min(2.0, used) - self._used) * min(1.0, update.sent_seconds)
        loss = self.losses.usual
        standing = self.queue.standing(self._cut_at, 1 + 2 * loss)
        self.standing = self.standing if standing is None else standing
        threshold = self._threshold(update)
        surge = self.queue.newest(self._cut_at) > SURGE_S + threshold * (1 + 4 * loss)
        if surge or (standing is not None and standing > threshold):
            self._cut(max(standing or 0.0, self.queue.newest(self._cut_at)), threshold, rtt, now)
            return
        if standing is not None and standing < threshold / 2:
            self._flat = 0
            if self._drained_at is not None:
                self._end_drain()
        self._judge(now)
        self._grow(standing, threshold, since, now)

    def tick(self, dead: bool, now: float) -> None:
        """Time passes. `dead`: whether feedback is (`Feedback.dead`)."""
        if self._limits.fixed:
            return
        if self._drained_at is not None and now >= self._drained_at:
            self._end_drain()
        if not dead:
            if self.losses.testing:
                self._judge(now)
            return
        if self._dead_since is None:
            self._dead_since = self._decayed_at = now
            self._set(self._before_test if self.losses.testing else self.kbps)
            self._before_fallback = self.kbps
            self._drained_at = None
            self.losses.cancel()
        if now - self._dead_since > FALLBACK_HOLD_S and self.kbps > self._limits.safe:
            self._set(max(self._limits.safe, self.kbps * math.exp(-DECAY * (now - self._decayed_at))))
        self._decayed_at = now

    def _set(self, kbps: float) -> None:
        self.kbps = min(self._limits.cap, max(self._limits.minimum, kbps))

    def _threshold(self, update: Update) -> float:
        """Seconds that a queue may stand. Where packets are lost at random, what is left fills queues at random; and on
        a thin link a packet's own time may be taken for a queue."""
        sizes = [sample.wire_bytes for sample in update.samples]
        packet = 0.008 * (sum(sizes) / len(sizes)) / self.kbps if sizes else 0.0
        chance = CHANCE * self.losses.usual * min(packet, 0.25)
        share = min(2.0, max(0.6, math.sqrt(STANDING_KBPS / self.kbps)))  # larger flows yield first
        return STANDING_S * share + OWN * max(0.0, packet - LONG_PACKET_S) + chance

    def _cut(self, standing: float, threshold: float, rtt: float, now: float) -> None:
        """Over-use: to the capacity, and below it until the queue is gone."""
        draining = self._drained_at is not None
        rate = self._after_drain / KEEP if draining else self.kbps
        # A queue that stands by chance, because few packets were lost before it, is drained and costs nothing else.
        most = rate * (1 + (1 / KEEP - 1) * min(1.0, self.losses.usual / BY_CHANCE))
        capacity = max(DEEPEST_CUT * rate, min(most, self._measured() or rate))
        if draining and capacity > SETTLED * rate:
            return  # as expected, it takes its time
        if self._flat == 0:
            self._before_cuts, self._flat_standing = self.kbps, standing
        self._flat += 1
        self.cuts += 1
        self._ever_cut = True
        self._regaining = False
        self._cut_at = self._lowered_at = now
        self._grown_at = None
        self.losses.cancel()
        if self._flat > FLAT_CUTS and standing > 0.8 * self._flat_standing:
            self._give_up(standing)
            return
        self.capacity = capacity
        drain = min(MOST_DRAIN, max(0.0, (standing - threshold / 2) / DRAIN_S))
        self._after_drain = KEEP * capacity
        self._set((KEEP - drain) * capacity)
        self._drained_at = self._settled_at = now + rtt + standing / max(0.1, 1 - self.kbps / capacity)

    def _measured(self) -> float | None:
        """The capacity (kbit/s of sending) as the last packets tell it; None if they do not."""
        loss = self.losses.usual
        stretch = 1 + 2 * loss
        capacity = self.queue.capacity(self._cut_at, stretch)
        arriving = self.queue.arriving(self._cut_at, stretch)
        if capacity is None or arriving is None:
            return capacity
        # Equal but for chance: a queue stands when by chance few of the packets before it were lost. Where it is full
        # and drops what it cannot hold, what was sent says nothing.
        choice = min if self.losses.excess() else max
        return choice(capacity, arriving / max(0.05, 1 - loss))

    def _give_up(self, standing: float) -> None:
        """The delay does not follow our rate: it is the path's, or a queue that others keep full."""
        self.queue.rebase(standing)
        self._flat, self.capacity, self._drained_at = 0, None, None
        self._set(self._before_cuts)

    def _end_drain(self) -> None:
        self._drained_at = None
        self._set(max(self.kbps, self._after_drain))

    def _judge(self, now: float) -> None:
        """Losses that have risen: is it us?"""
        verdict = self.losses.verdict(now)
        if verdict is not None:
            if verdict.ceiling is None:
                self._set(self._before_test)
                self._lowered_at = -math.inf
            else:
                self.capacity, self._ever_cut = verdict.ceiling, True
                self._set(KEEP_SHALLOW * verdict.ceiling)
                self._lowered_at = now + SHALLOW_HOLD_S - HOLD_S
            self._cut_at = now
        elif self._drained_at is None:
            rate = self.losses.suspect(self.kbps, self._limits.minimum, now)
            if rate is not None:
                self._before_test = self.kbps
                self._set(rate)
                self._cut_at = self._lowered_at = now
                self._grown_at = None

    def _grow(self, standing: float | None, threshold: float, since: float, now: float) -> None:
        busy = self._drained_at is not None or self.losses.testing or now - self._lowered_at < HOLD_S
        if busy or standing is None or standing > threshold / 2 or self._used < UNUSED:
            self._grown_at = None
            return
        passed = min(MOST_STEP_S, max(0.0, since))
        self._grown_at = now
        if self.capacity is not None and self.kbps > BEYOND * self.capacity:
            self.capacity = None  # the path has become wider
        if self.capacity is None:
            growth = GROWTH if self._ever_cut else START_GROWTH
            self._set(self.kbps * math.exp(growth * passed))
        elif self.kbps < NEAR * self.capacity:
            growth = START_GROWTH if self._regaining else GROWTH
            self._set(self.kbps * math.exp(growth * passed))
        else:
            self._set(self.kbps + NEAR_GROWTH * math.sqrt(self.kbps) * passed)

    def _revive(self, now: float) -> None:
        """Feedback is back. Where the rate has gone down meanwhile, it grows fast up to where it was."""
        self._dead_since = None
        self.losses.forget()
        self._grown_at = None
        if self.kbps < 0.9 * self._before_fallback:
            self.capacity, self._ever_cut, self._regaining = self._before_fallback, True, True
            self._lowered_at = now - HOLD_S + REVIVE_HOLD_S
