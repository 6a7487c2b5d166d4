"""The tint of the trust overlay: what was received stays as it is, the rest is coloured.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from common.codec.base import IMAGINED, RECOVERED
from receiver.play.base import TrustMap
from receiver.play.osd.canvas import Colour, Rgba

TINTS: Mapping[int, Colour] = {RECOVERED: (255, 190, 60, 90), IMAGINED: (235, 80, 160, 120)}

_TABLE = np.zeros((256, 4), np.uint8)
for _trust, _colour in TINTS.items():
    _TABLE[_trust] = _colour


def tint(trust: TrustMap) -> Rgba:
    """One pixel with alpha for each block of the picture."""
    return _TABLE[trust]
