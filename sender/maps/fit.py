"""Maps brought to the size of a frame just as pictures are: scaled to cover it, the centre cut out; nearest sample."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.values import Size
from common.video import cover

Sample = TypeVar("Sample", np.uint8, np.uint16)


def fit(map: NDArray[Sample], size: Size) -> NDArray[Sample]:
    """(h, w) or (h, w, channels) -> (H, W) or (H, W, channels) of the frame; itself where the size is right."""
    height, width = map.shape[:2]
    if (width, height) == (size.width, size.height):
        return map
    wide, high, left, top = cover(width, height, size.width, size.height)
    rows = _nearest(size.height, top, height, high)
    columns = _nearest(size.width, left, width, wide)
    return map[rows[:, None], columns]


def _nearest(count: int, begin: int, source: int, scaled: int) -> NDArray[np.intp]:
    """Where the centres of `count` samples from `begin` on lie, when `source` samples became `scaled`."""
    return ((np.arange(begin, begin + count) + 0.5) * source / scaled).astype(np.intp)
