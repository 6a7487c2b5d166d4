"""How the bytes of a unit are split over packets.

Some packets are *views*, each of the whole unit: any one shows it, two that differ show it better. The others are
symbols of one *finer* view, of which a number is needed. What is best depends on the loss, which is described by
weights on a grid of losses: flat where nobody reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget
from common.codec.header import HEADER_BYTES, MOST_PACKETS

LOSSES = np.array([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9])
VIEWS = 2  # that differ; more packets are copies of them
LEAST_BYTES, LEAST_SHARE = (
    130.0,
    1 / 4000,
)  # that the smallest four pictures need, and more for each pixel of the stream

# How good pictures are, in dB of PSNR, measured on training clips (README.md, section 6).
DOUBLING = 3.0  # what twice the bytes bring
TOGETHER = 1.0  # what two views bring over one
MISSING = (
    9.0,
    5.0,
)  # how far below a view of REFERENCE_BYTES the last picture is at loss 0, and how much more at loss 1
WORSE = 6.0  # how much nothing is worse than any view, however coarse
REFERENCE_BYTES = 943.0  # of a view of 256x256


@dataclass(frozen=True, slots=True)
class Plan:
    """`views`: packets that each show the unit; `symbols`: packets of which `needed` show it finer (1 where there are
    none); `payload`: bytes that a packet may have."""

    views: int
    needed: int
    symbols: int
    payload: int

    @property
    def packets(self) -> int:
        """All packets of the unit."""
        return self.views + self.symbols

    @property
    def parts(self) -> list[tuple[int, int]]:
        """What is to be coded: for each picture group how many packets are needed, and how many are sent."""
        different = min(VIEWS, self.views)
        parts = [(1, (self.views + i) // different) for i in range(different)]
        return parts + ([(self.needed, self.symbols)] if self.symbols else [])

    @property
    def steps(self) -> tuple[int, ...]:
        """Numbers of leading packets that are of use: each view is, symbols are when there are enough of them."""
        enough = range(self.views + self.needed, self.packets + 1) if self.symbols else ()
        return (*range(1, self.views + 1), *enough)


def choose(budget: Budget, pixels: int, weights: NDArray[np.float64]) -> Plan:
    """The plan with the best expected quality. `pixels` of a picture; `weights`: of each of LOSSES."""
    best, plan = -math.inf, Plan(1, 1, 0, max(1, math.floor(_payload(budget, 1))))
    for packets in range(1, MOST_PACKETS + 1):
        payload = math.floor(_payload(budget, packets))
        shapes, _ = _chances(packets)
        needed = np.array([k if symbols else 1 for _, k, symbols in shapes])
        smallest = np.where([views > 0 for views, _, _ in shapes], 1, needed)
        fits = smallest * (payload - HEADER_BYTES) >= LEAST_BYTES + LEAST_SHARE * pixels
        if packets > 1 and not fits.any():
            continue
        expected = np.where(fits, _expected(packets, payload, pixels, weights), -math.inf)
        at = int(expected.argmax())
        if expected[at] > best:
            best, plan = float(expected[at]), Plan(*shapes[at], payload)
    return plan


def least_payload(pixels: int) -> int:
    """Bytes of payload in which any one packet can show pictures of so many pixels."""
    return math.ceil(HEADER_BYTES + LEAST_BYTES + LEAST_SHARE * pixels)


def _payload(budget: Budget, packets: int) -> float:
    return min(budget.max_payload, budget.wire_bytes / packets - budget.packet_overhead)


def _expected(packets: int, payload: int, pixels: int, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each way to use so many packets the expected PSNR over the losses, in dB over that of one view of
    REFERENCE_BYTES."""
    shapes, (finer, two, one) = _chances(packets)
    coded = max(1, payload - HEADER_BYTES) * 65536 / pixels
    view = DOUBLING * math.log2(coded / REFERENCE_BYTES)
    gain = DOUBLING * np.log2([[k] for _, k, _ in shapes])
    missing = np.minimum(-MISSING[0] - MISSING[1] * LOSSES, view - WORSE)  # where too few arrived
    quality = finer * np.maximum(view + gain, missing) + (1 - finer - two - one) * missing
    quality += two * np.maximum(view + TOGETHER, missing) + one * np.maximum(view, missing)
    return np.asarray(quality @ weights / weights.sum())


@lru_cache(maxsize=MOST_PACKETS)
def _chances(packets: int) -> tuple[list[tuple[int, int, int]], NDArray[np.float64]]:
    """All (views, needed, symbols) of so many packets, and (3, ways, losses): the chances that the finer view is
    there, that without it there are two that differ, that there is one."""
    shapes = [
        (packets - symbols, needed, symbols)
        for symbols in range(packets + 1)
        for needed in (range(2, symbols + 1) if symbols else (1,))
    ]
    rows = []
    for views, needed, symbols in shapes:
        finer = _binomial(symbols, 1 - LOSSES)[:, needed:].sum(1) if symbols else np.zeros(len(LOSSES))
        each = [1 - LOSSES**count for count in ((views + 1) // 2, views // 2)]
        two = each[0] * each[1]
        rows.append((finer, (1 - finer) * two, (1 - finer) * (each[0] + each[1] - 2 * two)))
    return shapes, np.stack(rows, 1)


def _binomial(count: int, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(L,) chances of one -> (L, count + 1) of so many of `count`."""
    k = np.arange(count + 1)
    ways = np.array([math.comb(count, int(i)) for i in k])
    return np.asarray(ways * chance[:, None] ** k * (1 - chance[:, None]) ** (count - k))


class LossBelief:
    """What the reports say of the loss: a weight for each of LOSSES, flat before the first. Called by one thread."""

    MEMORY = 0.985  # of the evidence is left after each packet: links change

    def __init__(self, weights: NDArray[np.float64] | None = None) -> None:
        """`weights` of LOSSES to begin with; flat without."""
        self._evidence = np.zeros(len(LOSSES)) if weights is None else np.log(np.maximum(weights, 1e-6))

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of LOSSES."""
        return np.asarray(np.exp(self._evidence - self._evidence.max()), np.float64)

    def learn(self, arrived: Sequence[bool]) -> None:
        """What arrived of a unit's packets."""
        possible = np.clip(LOSSES, 0.01, 0.99)
        for packet in arrived:
            self._evidence = self.MEMORY * self._evidence + np.log(1 - possible if packet else possible)
