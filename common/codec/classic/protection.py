"""How many symbols a unit is cut into and how many are sent, from what is believed of the loss. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget
from common.codec.classic.header import HEADER_BYTES, MAX_NEEDED, MAX_SYMBOLS

LOSSES = np.array([0.002, 0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 0.9])
TARGET = 1e-3  # share of units that may be lost
MOST_OVERHEAD = 2.0  # parity symbols to a symbol that is needed
DOUBLING = 3.0  # dB that twice the bytes bring
LOST = 60.0  # dB that a lost unit costs, over all the units that miss it
WORTH_IT = 0.7  # of the room that looks best is to be left where TARGET is met
MEMORY = 0.995  # of the evidence is left after each packet
PRIOR = 0.05  # losses below this are taken to be about alike in chance before anything is reported, higher ones rarer

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shape:
    """`needed` symbols of `count` give the unit; each has at most `symbol` bytes. `failure`: chance to lose it."""

    needed: int
    count: int
    symbol: int
    failure: float

    @property
    def room(self) -> int:
        """Bytes of the unit before the erasure code."""
        return self.needed * self.symbol


class Belief:
    """What the reports say of the loss: weights of LOSSES. Called by one thread."""

    def __init__(self) -> None:
        self._prior = -np.log(LOSSES + PRIOR)
        self._evidence = np.zeros(len(LOSSES))

    def learn(self, arrived: Sequence[bool]) -> None:
        """What arrived of some packets."""
        kept, lost = np.log(1 - LOSSES), np.log(LOSSES)
        for packet in arrived:
            self._evidence = MEMORY * self._evidence + (kept if packet else lost)

    @property
    def weights(self) -> Table:
        """Weights of LOSSES, which sum to 1."""
        logs = self._prior + self._evidence
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())

    @property
    def mean(self) -> float:
        """The loss that is to be expected."""
        return float(self.weights @ LOSSES)


def choose(budget: Budget, weights: Table, target: float = TARGET) -> Shape:
    """The shape that has most room in a budget while a unit is lost less often than `target`; where that leaves too
    little, the one that is expected to look best. Raises ValueError where a packet has no room."""
    failure = failures(weights)
    needed, count = (grid + 1 for grid in np.indices(failure.shape))
    each = np.minimum(budget.wire_bytes / count - budget.packet_overhead, budget.max_payload)
    symbol = np.floor(each - HEADER_BYTES)
    useful = (count >= needed) & (count <= np.floor(needed * (1 + MOST_OVERHEAD))) & (symbol >= 1)
    if not useful.any():  # below what even one packet costs: the smallest
        left = max(1, int(budget.max_payload) - HEADER_BYTES)
        if budget.max_payload <= HEADER_BYTES:
            raise ValueError("max_payload: its bytes are too few")
        return Shape(1, 1, left, float(failure[0, 0]))
    room = np.where(useful, needed * symbol, 0)
    worth = np.where(useful, DOUBLING * np.log2(np.maximum(room, 1)) - LOST * failure, -math.inf)
    safe = np.where(useful & (failure <= target), room, 0)
    if safe.max() >= WORTH_IT * room.flat[int(np.argmax(worth))]:
        worth = safe
    k, n = np.unravel_index(int(np.argmax(worth)), worth.shape)
    return Shape(int(k) + 1, int(n) + 1, int(symbol[k, n]), float(failure[k, n]))


def fit_to(shape: Shape, size: int, budget: Budget, weights: Table) -> Shape:
    """The cheapest shape on the wire for a unit that has become `size` bytes, no likelier to be lost than `shape`
    or TARGET. One that is larger than its room gets larger symbols, or more where a packet has no room for them.
    Raises ValueError where it would need more than MAX_NEEDED."""
    failure = failures(weights)
    most = max(TARGET, shape.failure)
    largest = min(budget.max_payload - HEADER_BYTES, max(shape.symbol, -(-size // shape.needed)))
    least_needed = -(-size // largest)
    more = max(0, least_needed - shape.needed)
    if shape.needed + more > MAX_NEEDED:
        raise ValueError(f"max_payload: its bytes are too few for a unit of {size}")
    last = min(shape.count + more, MAX_SYMBOLS)
    best, least = Shape(shape.needed + more, last, -(-size // (shape.needed + more)), shape.failure), math.inf
    for needed in range(least_needed, shape.needed + more + 1):
        limit = max(needed, min(int(needed * (1 + MOST_OVERHEAD)), last))
        enough = np.flatnonzero(failure[needed - 1, needed - 1 : limit] <= most)
        if not enough.size:
            continue
        count, symbol = needed + int(enough[0]), -(-size // needed)
        wire = count * (symbol + HEADER_BYTES + budget.packet_overhead)
        if wire < least:
            best, least = Shape(needed, count, symbol, float(failure[needed - 1, count - 1])), wire
    return best


def failures(weights: Table) -> Table:
    """[needed - 1, count - 1] -> chance that fewer than `needed` of `count` packets arrive."""
    return np.asarray(np.tensordot(weights, _table(), 1))


@lru_cache(maxsize=1)
def _table() -> Table:
    """[loss, needed - 1, count - 1]: the binomial distribution, losses independent."""
    out = np.ones((len(LOSSES), MAX_NEEDED, MAX_SYMBOLS))
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, MAX_SYMBOLS + 1)))))
    for count in range(1, MAX_SYMBOLS + 1):
        k = np.arange(count + 1)
        ways = logs[count] - logs[k] - logs[count - k]
        chance = np.exp(ways + k * np.log(1 - LOSSES)[:, None] + (count - k) * np.log(LOSSES)[:, None])
        below = np.cumsum(chance, 1)[:, : min(count, MAX_NEEDED)]
        out[:, : below.shape[1], count - 1] = below
    out.flags.writeable = False
    return out
