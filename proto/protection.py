"""How many parity symbols a window gets: the fewest that keep its loss below a target. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from proto.wire import MAX_COUNT

MAX_SOURCE = 128  # source symbols of a window: seven bits on the wire, and leaves as many for parity
MAX_WINDOW_SECONDS = 1.0  # an offset within a window is one byte of 4 ms

_ROUNDING = 1.0 + 1e-9  # 0.1 ** 3 is to meet a target of 0.001

Chances = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Losses:
    """What the link is believed to lose: a two-state chain (Gilbert, 1960) that loses all in its bad state.

    With `spacing` packets of the link from one packet of the stream to the next (others between, or parity spread over
    time), the chain makes that many steps at once: neighbours of the stream share a burst less often.
    """

    rate: float  # share of packets lost, 0..1
    burst: float | None = None  # mean run of lost packets on the link; None: independent losses
    spacing: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate <= 1.0:
            raise ValueError(f"rate: must be 0..1 (got {self.rate})")
        if self.burst is not None and not self.burst >= 1.0:
            raise ValueError(f"burst: must be at least 1 packet (got {self.burst})")
        if not self.spacing >= 1.0:
            raise ValueError(f"spacing: must be at least 1 packet (got {self.spacing})")

    @property
    def memory(self) -> float:
        """Correlation of the fates of two successive packets of the stream: 0 (independent) .. 1.

        Runs shorter than independent losses have, 1 / (1 - rate), are taken as independent.
        """
        if self.burst is None or self.rate in (0.0, 1.0):
            return 0.0
        memory: float = max(0.0, 1.0 - 1.0 / (self.burst * (1.0 - self.rate))) ** self.spacing
        return memory


@dataclass(frozen=True, slots=True)
class Choice:
    """What a window gets, and what is to be expected of it."""

    needed: int  # source symbols, k
    count: int  # symbols sent, n
    failure: float  # probability that fewer than `needed` arrive

    @property
    def code_rate(self) -> float:
        """k / n."""
        return self.needed / self.count


@dataclass(frozen=True, slots=True)
class Policy:
    """Protection of one stream. Frozen: exchange it whole; each window takes the one that stands when it closes."""

    losses: Losses = field(default_factory=lambda: Losses(0.1))
    target: float = 1e-3  # share of windows that may fail
    max_overhead: float = 3.0  # parity symbols to a source symbol, at most; rounded down for each window
    window_s: float = 0.25  # media time and waiting time of a window, at most

    def __post_init__(self) -> None:
        if not 0.0 < self.target < 1.0:
            raise ValueError(f"target: must be above 0 and below 1 (got {self.target})")
        if not self.max_overhead >= 0.0:
            raise ValueError(f"max_overhead: must not be negative (got {self.max_overhead})")
        if not 0.0 <= self.window_s <= MAX_WINDOW_SECONDS:
            raise ValueError(f"window_s: must be 0..{MAX_WINDOW_SECONDS:g} s (got {self.window_s})")

    def choose(self, needed: int) -> Choice:
        """The smallest n that meets the target, or what the overhead limit allows. Raises ValueError."""
        if not 1 <= needed <= MAX_SOURCE:
            raise ValueError(f"needed: must be 1..{MAX_SOURCE} (got {needed})")
        chances = failures(needed, self.losses)
        most = int(min(needed * (1.0 + self.max_overhead) + 1e-9, MAX_COUNT))
        enough = np.flatnonzero(chances[: most - needed + 1] <= self.target * _ROUNDING)
        parity = int(enough[0]) if enough.size else most - needed
        return Choice(needed, needed + parity, float(chances[parity]))


def failures(needed: int, losses: Losses) -> Chances:
    """P(fewer than `needed` of n packets arrive) for n = needed .. 255. Read-only."""
    if losses.memory == 0.0:
        return _independent(needed, losses.rate)
    return _chain(needed, losses.rate, losses.memory)


@lru_cache(maxsize=64)
def _independent(needed: int, rate: float) -> Chances:
    """The lower tail of the binomial distribution; terms in logarithms, for 255! is beyond a float."""
    sent = np.arange(needed, MAX_COUNT + 1)[:, None]
    if rate in (0.0, 1.0):
        tail = np.full(len(sent), rate)
    else:
        logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, MAX_COUNT + 1)))))  # of the factorials
        arrived = np.arange(needed)[None, :]
        ways = logs[sent] - logs[arrived] - logs[sent - arrived]
        tail = np.exp(ways + arrived * np.log1p(-rate) + (sent - arrived) * np.log(rate)).sum(axis=1)
    tail.flags.writeable = False
    return tail


@lru_cache(maxsize=64)
def _chain(needed: int, rate: float, memory: float) -> Chances:
    """Exact: over the packets, the probability of (state, number arrived); windows that have enough drop out.

    Only positive terms are added, so small probabilities keep their precision.
    """
    to_bad_from_good, to_bad_from_bad = rate * (1.0 - memory), rate + (1.0 - rate) * memory
    good, bad = np.zeros(needed), np.zeros(needed)
    good[0], bad[0] = 1.0 - rate, rate  # stationary before the first packet
    tail = np.empty(MAX_COUNT + 1)
    for sent in range(1, MAX_COUNT + 1):
        arrives = good * (1.0 - to_bad_from_good) + bad * (1.0 - to_bad_from_bad)
        bad = good * to_bad_from_good + bad * to_bad_from_bad
        good = np.concatenate(([0.0], arrives[:-1]))
        tail[sent] = good.sum() + bad.sum()
    tail = tail[needed:]
    tail.flags.writeable = False
    return tail
