"""What viewers are told of a map of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.codec.base import IMAGINED, RECOVERED
from receiver.contours.store import ShownMap


def shares(trust: NDArray[np.uint8]) -> tuple[float, float]:
    """Shares of a map's blocks that are held over for a while, and for long; `trust` as in ShownMap."""
    size = max(1, trust.size)
    return float((trust == RECOVERED).sum()) / size, float((trust == IMAGINED).sum()) / size


def same(one: ShownMap, other: ShownMap) -> bool:
    """Whether two maps look the same, whatever their age."""
    return (
        (one.labels is other.labels or np.array_equal(one.labels, other.labels))
        and (one.trust is other.trust or np.array_equal(one.trust, other.trust))
        and (one.legend is other.legend or one.legend == other.legend)
    )
