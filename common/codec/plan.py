"""How the bytes of a unit are split over packets: how many there are, and how many of them are needed.

Where one is needed, each packet is a *view* of the whole unit: any one shows it, two that differ show it better. Where
more are needed the pictures are finer, and more is lost when fewer arrive. What is best depends on the loss, which is
described by weights on a grid of losses: flat where nobody reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
REFERENCE_BYTES = 943.0  # of a view of 256x256


@dataclass(frozen=True, slots=True)
class Plan:
    """`needed` of `packets` show the unit; `payload`: bytes that one of them may have."""

    needed: int
    packets: int
    payload: int

    @property
    def views(self) -> int:
        """Views that differ."""
        return min(VIEWS, self.packets) if self.needed == 1 else 1


def choose(budget: Budget, pixels: int, weights: NDArray[np.float64]) -> Plan:
    """The plan with the best expected quality. `pixels` of a picture; `weights`: of each of LOSSES."""
    return max(_options(budget, pixels), key=lambda plan: _expected(plan, pixels, weights))


def _options(budget: Budget, pixels: int) -> Sequence[Plan]:
    least = LEAST_BYTES + LEAST_SHARE * pixels
    plans = [
        Plan(1, 1, max(1, math.floor(min(budget.max_payload, budget.wire_bytes - budget.packet_overhead))))
    ]
    for packets in range(2, MOST_PACKETS + 1):
        payload = math.floor(min(budget.max_payload, budget.wire_bytes / packets - budget.packet_overhead))
        plans += [
            Plan(needed, packets, payload)
            for needed in range(1, packets + 1)
            if needed * (payload - HEADER_BYTES) >= least
        ]
    return plans


def _expected(plan: Plan, pixels: int, weights: NDArray[np.float64]) -> float:
    """Expected PSNR over the losses, in dB over that of one view of REFERENCE_BYTES."""
    coded = max(1, plan.needed * (plan.payload - HEADER_BYTES)) * 65536 / pixels
    shown = DOUBLING * math.log2(coded / REFERENCE_BYTES)
    missing = -MISSING[0] - MISSING[1] * LOSSES[:, None]  # where too few arrived
    arrived = np.arange(plan.packets + 1)
    quality = np.where(
        arrived >= plan.needed, np.maximum(shown + TOGETHER * _together(plan), missing), missing
    )
    expected = (_binomial(plan.packets, 1 - LOSSES) * quality).sum(1)
    return float(weights @ expected / weights.sum())


def _together(plan: Plan) -> NDArray[np.float64]:
    """For each number of packets that arrive the chance that they are not all of one view."""
    arrived = np.arange(plan.packets + 1)
    if plan.views < VIEWS:
        return np.zeros(arrived.size)
    half = plan.packets // 2, plan.packets - plan.packets // 2
    alike = [sum(math.comb(n, int(k)) for n in half) / math.comb(plan.packets, int(k)) for k in arrived]
    return np.where(arrived >= VIEWS, 1 - np.array(alike), 0.0)


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
