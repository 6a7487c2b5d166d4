"""A unit as H.265 pictures, predicted along the motion: alone, or from a picture that the receiver has.

What common.codec.hevc.group codes; FFmpeg decodes it to the same samples on every machine. All but every second,
fourth and so on of the pictures may be left out of it, and are made of their neighbours."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from common.codec.base import CodecError
from common.codec.effort import Effort
from common.codec.fit import Fit, Fitted
from common.codec.hevc import group as hevc
from common.codec.hevc.sets import SMALLEST_SIDE
from common.codec.texture.chain import MOST_BACK, Reference
from common.codec.texture.header import EVERY
from common.codec.texture.past import STEPS
from common.video import Picture, picture_size

SHARE = 0.4  # of the time, that coding groups may take
DENSITY = 0.01  # bits for each luma sample coded below which a group is not tried
FIRST = 40.0  # level to begin with
NEIGHBOURS = 3  # numbers of pictures that are tried
LAST = 10.0  # times all pictures that the last one counts besides, where nothing moves
NUMBER = (STEPS - 1) / hevc.LEVELS.coarsest  # numbers of quantiser steps to a level


def qp_of_group(number: int) -> float:
    """H.265's quantiser parameter of the header's number."""
    return number / NUMBER


class Group(NamedTuple):
    """What would be sent, and what is shown of it. `number`: stands in the header where a quantiser's step does;
    `every`: which pictures it holds; `back`: how many units back it refers, None where it stands alone."""

    data: bytes
    pictures: list[Picture]
    number: int
    every: int
    back: int | None


class Groups:
    """Codes units of one stream. Called by one thread."""

    def __init__(self, fps: float, adaptive: bool) -> None:
        """`adaptive`: code faster where this host is slow, and leave units out where that takes too long."""
        self._fps = fps
        self._effort = Effort(SHARE / 2, 1, adaptive)
        self._left = 0.0  # seconds that coding may take
        self._every = EVERY[0]  # which came nearest last
        self._levels: dict[tuple[int, bool], float] = {}

    def code(
        self,
        pictures: Sequence[Picture],
        room: float,
        before: Picture | None = None,
        reference: Reference | None = None,
        change: float = 0.0,
    ) -> Group | None:
        """The finest group of small pictures that fits in `room` bytes, of all, every second, fourth of them and so on,
        whichever comes nearest; None where that is no use, or none fits. `before`: what is shown before them, if it
        is known; `reference`: what it is to be predicted from; `change`: how much moves, see encoder.change."""
        width, height = picture_size(pictures[0])
        most = 8 * room / (DENSITY * width * height)  # pictures that may be of use
        if min(width, height) < SMALLEST_SIDE or most < 1:
            return None
        share = SHARE * len(pictures) / self._fps
        self._left = min(share, self._left + share)
        if self._left <= 0.0 and self._effort.adaptive:
            return None
        begun = time.perf_counter()
        preset = self._effort.preset(width * height, 1, self._fps)
        groups, coded, tried = list[Group](), 0, 0
        # The level of the kind tried last, and how far it is from its last unit's.
        found, moved = FIRST, 0.0
        for every in sorted(EVERY, key=lambda every: abs(math.log(every / self._every))):
            if not every <= len(pictures) <= most * every or (groups and tried >= NEIGHBOURS):
                continue
            kind = every, reference is not None
            known = self._levels.get(kind)
            begin = found if known is None else known + moved
            group = self._fit(pictures, every, room, preset, before, reference, begin)
            found = self._levels.get(kind, begin)
            moved = moved if known is None else found - known
            coded, tried = coded + len(pictures) // every, tried + 1
            if group is not None:
                groups.append(group)
            if self._effort.adaptive and time.perf_counter() - begun > share / 2:
                break
        took = time.perf_counter() - begun
        self._left -= took
        self._effort.took(took / max(1, coded))
        best = min(groups, key=lambda group: cost(group.pictures, pictures, change), default=None)
        self._every = self._every if best is None else best.every
        return best

    def _fit(
        self,
        pictures: Sequence[Picture],
        every: int,
        room: float,
        preset: int,
        before: Picture | None,
        reference: Reference | None,
        level: float,
    ) -> Group | None:
        """`level`: to begin with."""
        back, known = (None, None) if reference is None else reference
        code = partial(hevc.encode, pictures[every - 1 :: every], preset=preset, before=known)
        fit = Fit(code, hevc.LEVELS)
        room -= reference is not None
        try:
            found = fit.search(room, int(room), level)
            self._levels[every, reference is not None] = fit.expected(room)
            if found is None:
                return None
            data = _written(found, back)
            coded = decoded(data, *picture_size(pictures[0]), len(pictures), every, known)
        except CodecError:  # this FFmpeg does not code, or not as the parameter sets say
            return None
        shown = filled(coded, len(pictures), every, before)
        return Group(data, shown, min(STEPS - 1, round(NUMBER * found.level)), every, back)


def cost(shown: Sequence[Picture], pictures: Sequence[Picture], change: float) -> float:
    """Squared error, in which the last picture counts more, the less moves: what follows is predicted from it."""
    last = LAST / (1 + change**2) * len(pictures)
    return squared_error(shown, pictures) + last * squared_error(shown[-1:], pictures[-1:])


def _written(found: Fitted, back: int | None) -> bytes:
    return found.data if back is None else bytes((back,)) + found.data


def refers(data: bytes) -> int:
    """How many units back a group refers that does; raises CodecError."""
    if not data or not 1 <= data[0] <= MOST_BACK:
        raise CodecError(f"unit: refers to none of the last {MOST_BACK}")
    return data[0]


def decoded(
    data: bytes, width: int, height: int, frames: int, every: int, known: Picture | None
) -> list[Picture]:
    """The small pictures that a group holds of a unit of so many; `known`: what it refers to, if it does. Raises
    CodecError."""
    if frames < every:
        raise CodecError("unit: fewer pictures than one is left of")
    if min(width, height) < SMALLEST_SIDE:  # no sender codes them, and no motion is found there
        raise CodecError(f"unit: a group of pictures of {width}x{height}")
    return hevc.decode(data[known is not None :], width, height, frames // every, known)


def filled(coded: Sequence[Picture], frames: int, every: int, before: Picture | None) -> list[Picture]:
    """All pictures of a unit from those that its group holds, the last of each `every`."""
    if every == 1:
        return list(coded)
    from common.codec.texture.between import between  # and OpenCV with it

    out = list[Picture]()
    for after in coded:
        out += [after] * (every - 1) if before is None else between(before, after, every - 1)
        out.append(after)
        before = after
    return [*out, *[coded[-1]] * (frames - len(out))]


def squared_error(shown: Sequence[Picture], pictures: Sequence[Picture]) -> float:
    """Summed over all samples."""
    apart = np.subtract(np.stack(shown), np.stack(pictures), dtype=np.int32)
    return float(np.square(apart).sum(dtype=np.int64))
