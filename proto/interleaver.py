"""Seeded interleaver: which positions of an access unit travel in which segment.

Consecutive positions (neighbours in the picture) never share a segment, and every run of `segments`
positions that starts at a multiple of `segments` gives exactly one position to each segment. So whatever
subset of packets arrives, the holes are spread evenly instead of lying in clumps. Only 64-bit integer
arithmetic decides, hence the layout is the same on every platform and in every version. README.md
section 6 is the spec, with test vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

MAX_POSITIONS = 1 << 20  # bounds one layout's memory (4 MiB an array); 4K at 1/8 size needs 130 000
MAX_SEGMENTS = 255  # the segment count is one byte on the wire

_MASK64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB


def mix64(value: int) -> int:
    """The SplitMix64 finaliser: a bijection of 64-bit integers."""
    value &= _MASK64
    value = ((value ^ (value >> 30)) * _MIX1) & _MASK64
    value = ((value ^ (value >> 27)) * _MIX2) & _MASK64
    return value ^ (value >> 31)


def random64(seed: int, length: int) -> npt.NDArray[np.uint64]:
    """The first `length` outputs of SplitMix64 started at state mix64(seed)."""
    state = np.arange(1, length + 1, dtype=np.uint64) * np.uint64(_GOLDEN) + np.uint64(mix64(seed))
    state = (state ^ (state >> np.uint64(30))) * np.uint64(_MIX1)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(_MIX2)
    return state ^ (state >> np.uint64(31))


def permutation(count: int, segments: int, seed: int) -> Positions:
    """All `count` positions, such that segment i carries `permutation(...)[i::segments]`. Read-only."""
    return _layout(count, segments, seed)[0]


def segment_map(count: int, segments: int, seed: int) -> Positions:
    """The segment that carries each position, shape (count,). Read-only."""
    return _layout(count, segments, seed)[1]


def segment_positions(count: int, segments: int, index: int, seed: int) -> Positions:
    """The positions that segment `index` carries, ascending. Read-only.

    There are `segment_size(count, segments, index)` of them, which differs by at most 1 between segments.
    """
    if not 0 <= index < segments:
        raise ValueError(f"index: must be 0..{segments - 1} (got {index})")
    return _layout(count, segments, seed)[0][index::segments]


def segment_size(count: int, segments: int, index: int) -> int:
    """How many of `count` positions segment `index` carries; known without the seed."""
    return (count - index + segments - 1) // segments


def loss_mask(count: int, segments: int, arrived: Sequence[bool] | Mask, seed: int) -> Mask:
    """Which positions arrived, shape (count,), given for each segment whether it arrived."""
    if len(arrived) != segments:
        raise ValueError(f"arrived: must have {segments} entries (got {len(arrived)})")
    mask: Mask = np.asarray(arrived, dtype=np.bool_)[_layout(count, segments, seed)[1]]
    return mask


@lru_cache(maxsize=16)
def _layout(count: int, segments: int, seed: int) -> tuple[Positions, Positions]:
    """(permutation, segment map), both read-only: the cache hands the same arrays to everyone."""
    if not 0 <= count <= MAX_POSITIONS:
        raise ValueError(f"count: must be 0..{MAX_POSITIONS} (got {count})")
    if not 1 <= segments <= MAX_SEGMENTS:
        raise ValueError(f"segments: must be 1..{MAX_SEGMENTS} (got {segments})")
    owner = _owners(count, segments, seed)
    order = np.empty(count, dtype=np.int32)
    positions = np.arange(count, dtype=np.int32)
    order[positions // segments * segments + owner] = positions
    order.flags.writeable = False
    owner.flags.writeable = False
    return order, owner


def _owners(count: int, segments: int, seed: int) -> Positions:
    """The segment of each position: every run of `segments` is shuffled, then the joints are mended."""
    if segments <= 2:
        return _alternate(count, segments, seed)
    keys = random64(seed, count)
    whole = count // segments
    owner = np.empty(count, dtype=np.int32)
    runs = owner[: whole * segments].reshape(whole, segments)
    runs[:] = _ranks(keys[: whole * segments].reshape(whole, segments))
    rest = owner[whole * segments :]
    if rest.size:
        rest[:] = _ranks(keys[None, whole * segments :])[0]
    # Where a run begins with the segment that the run before ends with, its first two change places.
    clash = np.flatnonzero(runs[1:, 0] == runs[:-1, -1]) + 1
    runs[clash, :2] = runs[clash, 1::-1]
    if whole and rest.size and rest[0] == runs[-1, -1]:
        if rest.size > 1:
            rest[:2] = rest[1::-1]
        else:  # a single position must stay in segment 0, so the run before gives way at its end
            runs[-1, -2:] = runs[-1, :-3:-1]
    return owner


def _alternate(count: int, segments: int, seed: int) -> Positions:
    """One or two segments leave no choice but the phase (none if segment 0 has to be the larger one)."""
    phase = int(random64(seed, 1)[0] >> np.uint64(63)) if count % 2 == 0 else 0
    return ((np.arange(count, dtype=np.int32) + np.int32(phase)) % np.int32(segments)).astype(np.int32)


def _ranks(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """The rank of each key in its row; equal keys rank by column."""
    order = np.argsort(keys, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(keys.shape[1])[None, :], axis=1)
    return ranks
