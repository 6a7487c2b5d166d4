"""Backward-adaptive contexts of the entropy coder: integers only, computed inside one packet.

The channels of a position are coded in groups. The context of an element is how large the elements of the same
position in the groups before were; so a packet adapts to busy and quiet regions without any side information, and
without another packet. Everything is integer arithmetic: each decoder on each machine finds the same contexts
(shared by training, which mirrors it in torch).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONTEXTS = 8


def group_sizes(channels: int) -> tuple[int, ...]:
    """Sizes of the channel groups, in coding order: small first, so that contexts exist early."""
    unit = channels // 12
    sizes = (unit, unit, 2 * unit, 4 * unit, channels - 8 * unit)
    if unit < 1:
        raise ValueError(f"channels: at least 12 are needed (got {channels})")
    return sizes


def contexts(magnitude_sum: NDArray[np.int64], coded: int) -> NDArray[np.int64]:
    """Context in [0, CONTEXTS) of each position from the sum of |elements| over its `coded` coded channels.

    Bit length of the mean magnitude in 1/16: 0, then doubling; no context yet (coded = 0) is context 0."""
    if coded == 0:
        return np.zeros_like(magnitude_sum)
    mean16 = np.minimum(16 * magnitude_sum // coded, 64)
    return np.searchsorted(np.array([1, 2, 4, 8, 16, 32, 64]), mean16, side="right")
