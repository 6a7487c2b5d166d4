"""What viewers are told of a map of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.codec.base import IMAGINED, RECOVERED


def shares(trust: NDArray[np.uint8]) -> tuple[float, float]:
    """Shares of a map's blocks that are held over for a while, and for long; `trust` as in ShownMap."""
    size = max(1, trust.size)
    return float((trust == RECOVERED).sum()) / size, float((trust == IMAGINED).sum()) / size
