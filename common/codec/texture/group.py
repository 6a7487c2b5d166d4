"""A unit as a closed AV1 group: where all moves, prediction along the motion is worth more than what is held.

The group stands alone, as common.codec.av1 has pyramids; dav1d decodes it to the same samples on every machine. Every
second picture may be left out of it, and is made of its neighbours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.codec import av1
from common.codec.base import CodecError
from common.codec.effort import Effort
from common.codec.fit import Fit
from common.codec.texture.past import STEPS
from common.video import Picture, picture_size

SHARE = 0.4  # of the time, that coding groups may take
DENSITY = 0.02  # bits for each luma sample below which a group is not tried
MOVES = 2.0  # mean change of a sample, see encoder.change, below which it is not either
FIRST = 45.0  # level to begin with
NUMBER = (STEPS - 1) / av1.COARSEST  # numbers of quantiser steps to a level


class Group(NamedTuple):
    """What would be sent, and what is shown of it. `number`: stands in the header where a quantiser's step does;
    `half`: every second picture is left out."""

    data: bytes
    pictures: list[Picture]
    number: int
    half: bool


class Groups:
    """Codes units of one stream, each alone. Called by one thread."""

    def __init__(self, fps: float, adaptive: bool) -> None:
        """`adaptive`: code faster where this host is slow, and leave units out where that takes too long."""
        self._fps = fps
        self._effort = Effort(SHARE / 2, 1, adaptive)
        self._left = 0.0  # seconds that coding may take
        self._half = False  # whether half of the pictures was nearer last
        self._levels = {False: FIRST, True: FIRST}

    def code(self, pictures: Sequence[Picture], room: float, before: Picture | None = None) -> Group | None:
        """The finest group of small pictures that fits in `room` bytes, of all or of every second of them, whichever
        comes nearer; None where that is no use, or none fits. `before`: what is shown before them, if it is known."""
        width, height = picture_size(pictures[0])
        if min(width, height) < av1.SMALLEST_SIDE or 8 * room < DENSITY * width * height * len(pictures):
            return None
        share = SHARE * len(pictures) / self._fps
        self._left = min(share, self._left + share)
        if self._left <= 0.0 and self._effort.adaptive:
            return None
        begun = time.perf_counter()
        preset = self._effort.preset(width * height, 1, self._fps)
        groups = list[Group]()
        for half in (self._half, not self._half):
            group = self._fit(pictures, half, room, preset, before)
            if group is None:
                continue
            groups.append(group)
            if self._effort.adaptive and time.perf_counter() - begun > share / 2:
                break
        took = time.perf_counter() - begun
        self._left -= took
        self._effort.took(took / max(1, len(groups)) / len(pictures))
        best = min(groups, key=lambda group: squared_error(group.pictures, pictures), default=None)
        self._half = self._half if best is None else best.half
        return best

    def _fit(
        self, pictures: Sequence[Picture], half: bool, room: float, preset: int, before: Picture | None
    ) -> Group | None:
        coded = pictures[1::2] if half else pictures
        if not coded:
            return None
        fit = Fit(coded, preset, pyramid=True)
        found = fit.search(room, int(room), self._levels[half])
        self._levels[half] = fit.expected(room)
        if found is None:
            return None
        shown = filled(
            read(found.data, *picture_size(pictures[0]), len(pictures), half), len(pictures), before
        )
        return Group(found.data, shown, min(STEPS - 1, round(NUMBER * found.level)), half)


def read(data: bytes, width: int, height: int, frames: int, half: bool) -> list[Picture]:
    """The small pictures that a group holds of a unit of so many; raises CodecError."""
    if half and frames < 2:
        raise CodecError("unit: half of one picture")
    if half and min(width, height) < av1.SMALLEST_SIDE:  # no sender does so, and no motion is found there
        raise CodecError(f"unit: half of pictures of {width}x{height}")
    return av1.decode(data, width, height, frames // 2 if half else frames, pyramid=True)


def filled(coded: Sequence[Picture], frames: int, before: Picture | None) -> list[Picture]:
    """All pictures of a unit from those that its group holds: of `frames` all, or the second, fourth and so on."""
    if len(coded) == frames:
        return list(coded)
    from common.codec.texture.between import between  # and OpenCV with it

    out = list[Picture]()
    for after in coded:
        out += [after if before is None else between(before, after), after]
        before = after
    return [*out, *[coded[-1]] * (frames - len(out))]


def squared_error(shown: Sequence[Picture], pictures: Sequence[Picture]) -> float:
    """Summed over all samples."""
    apart = np.subtract(np.stack(shown), np.stack(pictures), dtype=np.int32)
    return float(np.square(apart).sum(dtype=np.int64))
