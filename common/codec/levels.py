"""Levels: how finely each position of a unit is coded, and how the levels themselves are.

Level 0 leaves a position out: the receiver keeps what its state holds. Level 1..8 codes it at quality 3, 7, .. 31. The
levels of a packet are coded with one of eight distributions around the unit's own quality, named by the packet's
stillness. Integers only.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.codec.entropy import TOTAL
from common.codec.header import STILLNESSES

LEVELS = 8
LEFT_OUT = 0

Levels = NDArray[np.int32]  # (positions,), 0..LEVELS

_LEFT_OUT_COUNTS = (655, 6554, 16384, 26214, 36045, 45875, 55705, 62259)  # of 65 536, by stillness
_NEAR = (128, 64, 24, 8, 4, 2, 1, 1)  # weight of a level by its distance from that of the unit's quality


def quality_of(level: int) -> int:
    """Quality index at which a level other than 0 is coded."""
    return 4 * level - 1


def level_of(quality: int) -> int:
    """The level whose quality is the first at or above this one."""
    return quality // 4 + 1


@lru_cache(maxsize=256)
def level_counts(quality: int, stillness: int) -> tuple[int, ...]:
    """Counts of the levels 0..8 that sum to 65 536, at a unit's quality index and a packet's stillness."""
    left_out = _LEFT_OUT_COUNTS[stillness]
    weights = [_NEAR[abs(level - level_of(quality))] for level in range(1, LEVELS + 1)]
    room = TOTAL - left_out - LEVELS
    counts = [1 + room * weight // sum(weights) for weight in weights]
    counts[level_of(quality) - 1] += TOTAL - left_out - sum(counts)
    return (left_out, *counts)


def level_bits(quality: int, stillness: int) -> NDArray[np.float64]:
    """Cost in bits of each level, (LEVELS + 1,)."""
    bits: NDArray[np.float64] = 16.0 - np.log2(np.array(level_counts(quality, stillness), np.float64))
    return bits


def best_stillness(levels: Levels, quality: int) -> int:
    """The stillness that codes these levels with the fewest bits."""
    histogram = np.bincount(levels, minlength=LEVELS + 1)
    return int(np.argmin([histogram @ level_bits(quality, s) for s in range(STILLNESSES)]))
