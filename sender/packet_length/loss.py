"""Loss of a packet by its length on the wire: from a symbol error rate, or fitted to what was observed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PRIOR_PACKETS = (
    1.0  # that are added to what was observed, half of them lost: few packets prove no loss of 0 or 1
)
TRIMMED = 1 / 16  # of the windows
SHARES = np.linspace(0.0, 1.0, 101)  # grid of the share of the hazard that grows with length
HAZARDS = (1e-9, 50.0)  # -log of the chance to arrive; beyond these no number of packets tells a difference
BISECTIONS = 36  # halve the range of the hazards' logarithm to 1e-9


class LossModel(Protocol):
    """Loss by length."""

    def packet_loss(self, packet_bytes: ArrayLike) -> Floats:
        """P_L of packets of so many bytes, headers included; never falls with length."""
        ...


@dataclass(frozen=True, slots=True)
class SymbolErrors:
    """Symbols are wrong independently with probability `ser`; one wrong symbol costs the packet. Raises ValueError."""

    ser: float
    bits_per_symbol: int = 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.ser <= 1.0:
            raise ValueError(f"ser: must be between 0 and 1 (got {self.ser})")
        if self.bits_per_symbol < 1:
            raise ValueError(f"bits_per_symbol: must be at least 1 (got {self.bits_per_symbol})")

    def symbols(self, packet_bytes: ArrayLike) -> NDArray[np.int64]:
        """N_symbol = 8 P_length / M, rounded up: eq. (2)."""
        return -(-8 * np.asarray(packet_bytes, np.int64) // self.bits_per_symbol)

    def packet_loss(self, packet_bytes: ArrayLike) -> Floats:
        """P_L = 1 - (1 - P_s)^N_symbol: eq. (1), and (6) with the length that a number of packets gives."""
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = self.symbols(packet_bytes) * np.log1p(-self.ser)
        return np.asarray(-np.expm1(np.nan_to_num(exponent, nan=0.0)), np.float64)

    def slope(self, header_bytes: int, origin_bytes: int, packets: float) -> float:
        """dP_L / dN_p, negative: eq. (9), with the number of symbols not rounded."""
        if self.ser == 1.0:
            return 0.0
        per_byte = 8 * math.log1p(-self.ser) / self.bits_per_symbol
        arrives = math.exp(per_byte * (header_bytes + origin_bytes / packets))
        return per_byte * origin_bytes / packets**2 * arrives


@dataclass(frozen=True, slots=True)
class LossCount:
    """Of `sent` packets of `packet_bytes` (headers included) `lost` did not arrive. Counts may be fractions.

    `window`: packets that were sent at about the same time share it; the loss may differ from window to window."""

    packet_bytes: float
    sent: float
    lost: float
    window: int = 0

    def __post_init__(self) -> None:
        if not (self.packet_bytes > 0 and math.isfinite(self.packet_bytes)):
            raise ValueError(f"packet_bytes: must be above 0 (got {self.packet_bytes})")
        if not (0 <= self.lost <= self.sent and math.isfinite(self.sent)):
            raise ValueError(f"lost: must be between 0 and the {self.sent} sent (got {self.lost})")


@dataclass(frozen=True, slots=True)
class MeasuredLoss:
    """P_L = 1 - exp(-(floor + per_byte * P_length)).

    `floor` is loss that hits all packets alike (queues, fades), `per_byte` that which length brings: for symbol errors
    alone -8 ln(1 - P_s) / M, which makes this eq. (1)."""

    floor: float
    per_byte: float
    per_byte_low: float = 0.0
    """Lower confidence bound of `per_byte`; 0 where length does not matter significantly."""
    evidence: float = 0.0
    """Likelihood-ratio statistic against `per_byte` = 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.floor < math.inf or not 0 <= self.per_byte_low <= self.per_byte < math.inf:
            raise ValueError(
                "floor and per_byte: must be at least 0 and finite, per_byte_low at most per_byte"
            )

    def packet_loss(self, packet_bytes: ArrayLike) -> Floats:
        """See LossModel."""
        return np.asarray(-np.expm1(-(self.floor + self.per_byte * np.asarray(packet_bytes, np.float64))))

    def ser(self, bits_per_symbol: int = 1) -> float:
        """The symbol error rate that explains `per_byte`."""
        return -math.expm1(-self.per_byte * bits_per_symbol / 8)

    @classmethod
    def fit(cls, counts: Sequence[LossCount], alpha: float = 0.01, dispersion: float = 1.0) -> MeasuredLoss:
        """Maximum likelihood over binomial counts; without significant evidence for length, the same loss at all.

        With mean length m and hazard -log(1 - P_L) = c (1 + s (P_length / m - 1)), s in 0..1 is the share of the hazard
        that grows with length, and c the hazard at m. Each window has a c of its own, all have one s, so a link that is
        better at the times of the short packets is no evidence. The statistic is twice the log likelihood ratio of the
        best s to s = 0, over `dispersion` (how much more losses in runs vary than independent ones, at least 1). As s
        cannot be below 0, it exceeds z^2 by chance with probability 1 - Phi(z) (Chernoff 1954), and `alpha` is that
        probability. Of the windows a sixteenth, which speak loudest for length, is left out of it: in them the link
        may have changed just when the lengths did. `per_byte_low` is where the same statistic against the best s comes
        down to z^2. The level comes from all counts with half a loss added (Jeffreys). Raises ValueError without a
        packet, or for alpha not in 0..0.5 or dispersion < 1.
        """
        used = [count for count in counts if count.sent > 0]
        if not used:
            raise ValueError("counts: no packet was sent")
        if not 0 < alpha < 0.5 or not 1 <= dispersion < math.inf:
            raise ValueError(f"alpha, dispersion: must be in 0..0.5 and >= 1 (got {alpha}, {dispersion})")
        mean = sum(c.packet_bytes * c.sent for c in used) / sum(c.sent for c in used)
        windows = [[c for c in used if c.window == w] for w in sorted({c.window for c in used})]
        likelihood = _trimmed(_profiles([w for w in windows if _tells(w)], mean)[1])
        statistic = 2 * (likelihood.max() - likelihood) / dispersion
        critical = NormalDist().inv_cdf(1 - alpha) ** 2
        best = int(likelihood.argmax()) if statistic[0] > critical else 0
        low = int(np.argmax(statistic <= critical)) if best else 0
        prior = LossCount(mean, PRIOR_PACKETS, PRIOR_PACKETS / 2)
        level = _profiles([[*used, prior]], mean)[0][0]
        per_byte = level * SHARES / mean
        return cls(
            floor=float(level[best] * (1 - SHARES[best])),
            per_byte=float(per_byte[best]),
            per_byte_low=float(min(per_byte[low], per_byte[best])),
            evidence=float(statistic[0]),
        )


def _tells(window: Sequence[LossCount]) -> bool:
    """Whether the losses of a window can speak for or against length."""
    lost, sent = sum(c.lost for c in window), sum(c.sent for c in window)
    return len({c.packet_bytes for c in window}) > 1 and 0 < lost < sent


def _trimmed(likelihood: Floats) -> Floats:
    """Sum over windows, without the TRIMMED of them that favour the most likely share most; one alone stays."""
    at = int(likelihood.sum(0).argmax())
    order = (likelihood[:, at] - likelihood[:, 0]).argsort()
    dropped = math.ceil(TRIMMED * len(order)) if len(order) > 1 else 0
    return np.asarray(likelihood[order[: len(order) - dropped]].sum(0))


def _profiles(windows: Sequence[Sequence[LossCount]], mean: float) -> tuple[Floats, Floats]:
    """For each window and each of SHARES (the most likely hazard at length `mean`, its log likelihood).

    The derivative by the hazard c, sum of w (lost / (exp(c w) - 1) - arrived), falls with c: bisection."""
    table = np.zeros(
        (len(windows), 1, max(map(len, windows), default=0), 3)
    )  # what is not used has no packets
    for row, window in zip(table, windows, strict=True):
        row[0, : len(window)] = [(c.packet_bytes, c.lost, c.sent - c.lost) for c in window]
    lengths, lost, arrived = np.moveaxis(table, -1, 0)
    weights = np.maximum(1 + SHARES[:, None] * (lengths / mean - 1), 1e-9)  # (windows, SHARES, counts)
    low, high = (np.full(weights.shape[:2], math.log(bound)) for bound in HAZARDS)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        hazard = np.exp(middle)[..., None] * weights
        rising = (weights * (lost / np.expm1(np.minimum(hazard, 700)) - arrived)).sum(-1) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    level = np.exp((low + high) / 2)
    hazard = level[..., None] * weights
    return level, np.asarray((lost * np.log(-np.expm1(-hazard)) - arrived * hazard).sum(-1))
