"""A unit as a closed AV1 group: where all moves, prediction along the motion is worth more than what is held.

The group stands alone, as common.codec.av1 has it; dav1d decodes it to the same samples on every machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.codec import av1
from common.codec.effort import Effort
from common.codec.fit import Fit
from common.codec.texture.past import STEPS
from common.video import Picture, picture_size

SHARE = 0.25  # of the time, that coding groups may take
DENSITY = 0.02  # bits for each luma sample below which a group is not tried
FIRST = 45.0  # level to begin with
NUMBER = (STEPS - 1) / av1.COARSEST  # numbers of quantiser steps to a level


class Group(NamedTuple):
    """What would be sent, and what is shown of it. `number`: stands in the header where a quantiser's step does."""

    data: bytes
    pictures: list[Picture]
    number: int


class Groups:
    """Codes units of one stream, each alone. Called by one thread."""

    def __init__(self, fps: float, adaptive: bool) -> None:
        """`adaptive`: code faster where this host is slow."""
        self._fps = fps
        self._effort = Effort(SHARE, 1, adaptive)
        self._level = FIRST

    def code(self, pictures: Sequence[Picture], room: float) -> Group | None:
        """The finest group of small pictures that fits in `room` bytes; None where that is no use, or none fits."""
        width, height = picture_size(pictures[0])
        if min(width, height) < av1.SMALLEST_SIDE or 8 * room < DENSITY * width * height * len(pictures):
            return None
        begun = time.perf_counter()
        fit = Fit(pictures, self._effort.preset(width * height, 1, self._fps))
        found = fit.search(room, int(room), self._level)
        self._level = fit.expected(room)
        self._effort.took((time.perf_counter() - begun) / len(pictures))
        if found is None:
            return None
        shown = av1.decode(found.data, width, height, len(pictures))
        return Group(found.data, shown, min(STEPS - 1, round(NUMBER * found.level)))


def squared_error(shown: Sequence[Picture], pictures: Sequence[Picture]) -> float:
    """Summed over all samples."""
    apart = np.subtract(np.stack(shown), np.stack(pictures), dtype=np.int32)
    return float(np.square(apart).sum(dtype=np.int64))
