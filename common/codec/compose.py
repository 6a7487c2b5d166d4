"""Whatever views of a unit arrived, and the last pictures, as one draft of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from common.codec.header import FRAMES, QUALITIES, SHRINKS
from common.codec.pictures import Planes, Values

LONG = 8  # units without a view that count as all there are
FACTS = 5  # numbers that the network is told of a draft


class Last(NamedTuple):
    """A picture before the unit, 0 to 255: luma (H, W), chroma (2, H/2, W/2)."""

    luma: Values
    chroma: Values


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of a unit before the network sees it.

    luma (T, H, W), chroma (T, 2, H/2, W/2): the mean of the views that arrived, 0 to 255; the last picture where none
    did. spread (H, W): how much they differ. facts (FACTS,): one view, several, quality, shrink, units
    right before that had none; each 0 to 1."""

    luma: Values
    chroma: Values
    spread: Values
    facts: Values


def compose(views: Sequence[Planes], qualities: Sequence[int], shrink: int, last: Last, missed: int) -> Draft:
    """One draft from the views of a unit; `missed`: units right before it of which none was there."""
    count = len(views)
    quality = float(np.mean(qualities)) / (QUALITIES - 1) if count else 0.0
    facts = np.array(
        [count == 1, count > 1, quality, (shrink - 1) / (SHRINKS[-1] - 1), min(missed, LONG) / LONG],
        np.float32,
    )
    spread = np.zeros_like(last.luma)
    if count == 0:
        luma, chroma = (np.repeat(plane[None], FRAMES, 0) for plane in last)
        return Draft(luma, chroma, spread, facts)
    luma, chroma = (
        sum(plane.astype(np.float32) for plane in kind) / np.float32(count)
        for kind in zip(*views, strict=True)
    )
    if count > 1:
        spread = np.sqrt(sum(np.square(view.luma - luma).mean(0) for view in views) / np.float32(count))
    return Draft(luma, chroma, spread, facts)
