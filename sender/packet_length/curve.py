"""f_p: quality against the share of a unit's semantics that arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QualityCurve:
    """A curve through points that never falls: shares rise from 0 to 1, qualities do not fall. Raises ValueError.

    Between the points it is a cubic Hermite curve with the slopes of Fritsch and Butland (1984), which never
    overshoots; slopes at the ends are those of the first and last chord."""

    shares: tuple[float, ...]
    qualities: tuple[float, ...]
    _slopes: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        x, y = np.asarray(self.shares, np.float64), np.asarray(self.qualities, np.float64)
        if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
            raise ValueError(
                "shares and qualities: must be two points at least, as many of one as of the other"
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise ValueError("shares and qualities: must be finite")
        if x[0] != 0 or x[-1] != 1 or (np.diff(x) <= 0).any():
            raise ValueError("shares: must rise from 0 to 1")
        if (np.diff(y) < 0).any():
            raise ValueError("qualities: must not fall with the share (see `fit`)")
        object.__setattr__(self, "_slopes", _slopes(np.diff(x), np.diff(y) / np.diff(x)))

    @classmethod
    def fit(
        cls, shares: Sequence[float], qualities: Sequence[float], weights: Sequence[float] | None = None
    ) -> QualityCurve:
        """Through the nearest points that do not fall (least squares, pool adjacent violators): noise made monotone.

        `weights`: of each point, such as numbers of samples; alike without. Raises ValueError."""
        sizes = [1.0] * len(qualities) if weights is None else list(weights)
        if len(sizes) != len(qualities) or any(not 0 < weight < np.inf for weight in sizes):
            raise ValueError("weights: must be one above 0 for each point")
        pools: list[tuple[float, float, int]] = []  # (mean, weight, points)
        for value, weight in zip(qualities, sizes, strict=True):
            pools.append((float(value), weight, 1))
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                (a, wa, na), (b, wb, nb) = pools[-2:]
                pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
        level = [mean for mean, _, points in pools for _ in range(points)]
        return cls(tuple(shares), tuple(level))

    def __call__(self, share: ArrayLike) -> Floats:
        """Quality at shares in 0..1; what is outside counts as 0 or 1."""
        x, y = np.asarray(self.shares), np.asarray(self.qualities)
        at = np.clip(np.asarray(share, np.float64), 0.0, 1.0)
        left = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
        width = x[left + 1] - x[left]
        t = (at - x[left]) / width
        rise = y[left + 1] - y[left]
        bent = t * (1 - t) * width * ((1 - t) * self._slopes[left] - t * self._slopes[left + 1])
        value = y[left] + rise * t * t * (3 - 2 * t) + bent
        value = np.where(t == 1, y[left + 1], value)  # to the last bit
        return np.asarray(np.clip(value, y[left], y[left + 1]))  # rounding only

    def at_loss(self, loss: ArrayLike) -> Floats:
        """f_p(P_L), the paper's form: quality where a share P_L is lost."""
        return self(1 - np.asarray(loss, np.float64))

    @property
    def best(self) -> float:
        """Gamma_MAX: quality without loss."""
        return float(self.qualities[-1])


def _slopes(widths: Floats, chords: Floats) -> Floats:
    """At each point: 0 beside a level chord, else the harmonic mean of the chords weighted by the widths."""
    out = np.zeros(len(widths) + 1)
    out[0], out[-1] = chords[0], chords[-1]
    before, after = chords[:-1], chords[1:]
    first, second = 2 * widths[1:] + widths[:-1], widths[1:] + 2 * widths[:-1]
    both = (before > 0) & (after > 0)
    with np.errstate(divide="ignore", over="ignore"):
        mean = (first + second) / (first / np.where(both, before, 1) + second / np.where(both, after, 1))
    out[1:-1] = np.where(both, mean, 0.0)
    return out
