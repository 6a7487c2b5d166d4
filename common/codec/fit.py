"""Finds how coarse pictures must be coded to fill a packet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

FULL, EMPTY, POOR = 0.98, 0.91, 0.8
"""Of the share: what is aimed at; what is good enough, as what is left the next unit has; what takes more runs."""
TRIALS, MOST_TRIALS = 4, 6
"""Runs of the coder for a share that is filled well; those to make it fit, and not poorly, at all."""
BOLD = 1.5  # halvings that are gone at a time towards the finer: of what is predicted well, bytes rise far quicker


class Range(NamedTuple):
    """The levels of a coder, how many of them halve the bytes, about, and how far apart are those that differ."""

    finest: float
    coarsest: float
    halving: float
    step: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """Pictures as coded, and the level they were coded at."""

    data: bytes
    level: float


class Fit:
    """One search over levels. The bytes fall about exponentially with the level, a little unevenly."""

    def __init__(self, code: Callable[[float], bytes], levels: Range) -> None:
        """`code`: a run of the coder at a level."""
        self._code, self._levels = code, levels
        self._tried: list[Fitted] = []

    def search(self, share: float, most: int, level: float) -> Fitted | None:
        """The largest group of at most `share` bytes found, from `level` on, or one that nearly fills it (EMPTY, after
        TRIALS runs POOR); failing that, the smallest if it is no larger than `most`."""
        share = max(1.0, share)
        for trial in range(MOST_TRIALS):
            self._run(level)
            best = self._best(share)
            enough = (POOR if trial + 1 >= TRIALS else EMPTY) * share
            if best and (len(best.data) >= enough or best.level <= self._levels.finest):
                return best
            if not best and self._tried[-1].level >= self._levels.coarsest:
                break
            level = self._next(share)
            if best and any(tried.level == self._rounded(level) for tried in self._tried):
                break
        if best:
            return best
        smallest = min(self._tried, key=lambda tried: len(tried.data))
        return smallest if len(smallest.data) <= most else None

    def expected(self, share: float) -> float:
        """The level at which a group like this has `share` bytes, as far as the search told."""
        return min(self._levels.coarsest, max(self._levels.finest, self._next(max(1.0, share))))

    def _run(self, level: float) -> None:
        level = self._rounded(level)
        self._tried.append(Fitted(self._code(level), level))

    def _rounded(self, level: float) -> float:
        step = self._levels.step
        return min(self._levels.coarsest, max(self._levels.finest, round(level / step) * step))

    def _best(self, share: float) -> Fitted | None:
        fitting = [tried for tried in self._tried if len(tried.data) <= share]
        return max(fitting, key=lambda tried: len(tried.data), default=None)

    def _next(self, share: float) -> float:
        """Where the bytes should be those aimed at: between what was tried, or beyond."""
        above = [t for t in self._tried if len(t.data) > share]
        below = [t for t in self._tried if len(t.data) <= share]
        if above and below:
            a, b = max(above, key=lambda t: t.level), min(below, key=lambda t: t.level)
            if a.level < b.level and len(a.data) > len(b.data):
                return a.level + (b.level - a.level) * _between(len(a.data), FULL * share, len(b.data))
        last = min(self._tried, key=lambda tried: (abs(math.log(len(tried.data) / share)), tried.level))
        error = math.log2(len(last.data) / (FULL * share))
        coarser = 0.5 * len(above) if error > 0 else 0.0  # it did not help enough: further
        return last.level + self._levels.halving * max(-BOLD, error) + coarser


def _between(more: float, wanted: float, fewer: float) -> float:
    """How far from more bytes to fewer the wanted ones are: bytes fall exponentially, or evenly, or in between."""
    exponential = math.log(more / wanted) / math.log(more / fewer)
    even = (more - wanted) / (more - fewer)
    return min(0.9, max(0.25, (exponential + even) / 2))
