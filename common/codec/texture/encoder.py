"""The texture encoder: pictures of the full size -> small ones -> what fills the budget -> one payload a unit: levels
over what is held, or, where that is nearer, a group."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget, EncodedUnit
from common.codec.contour.coder import Encoder
from common.codec.header import QUALITIES
from common.codec.texture import tables
from common.codec.texture.chain import Chain
from common.codec.texture.choose import MOVING, Choice, Held, choose, fewer, worth_of
from common.codec.texture.group import Group, Groups, cost
from common.codec.texture.header import HEADER_BYTES, MOST_FRAMES, MOST_SAMPLES, TextureHeader
from common.codec.texture.partial import Fit, finer
from common.codec.texture.past import STEPS, Past, smoothing
from common.codec.texture.scaling import shrink
from common.codec.texture.syntax import FRESH, most_visited, walk
from common.codec.texture.transform import BLOCKS, Values, forward, grid, to_pictures
from common.video import Picture

LONGEST_SECONDS = 2.0  # that a unit lasts
HEADERS = 57  # wire bytes of a packet that are not ours
HEADER_SHARE = 0.1  # of the rate, that they may take
FULL_BYTES = 1150  # wire bytes that nearly fill a packet
FULL_SECONDS = 1.3  # that a unit lasts for them at most
USUAL_KBPS = 2.0
COARSE, FINE = 4, 2  # sides of the pictures over those of the small ones
FINE_DENSITY, MOVING_DENSITY = (0.03, 0.012), (0.0044, 0.0005)
"""Bits a second for each sample of the full size, from which finer pictures look better: where nothing moves, and times
the square of `change`; where units stand alone, and where they are predicted from each other."""
CHANGE_SECONDS = 0.1
MOVES = 2.0  # change below which no group is tried that nothing will be predicted from
SURE, SURE_UNITS = (
    0.5,
    4,
)  # how much nearer a group must be for levels not to be looked at in so many units after it
HOPE = 1.5  # times the squared error of levels that a group may have which others will be predicted from
FINE_SPEED = (
    1.3e6  # luma samples a second of small pictures, which take half a core to encode, or all of it where
)
# they stand still and nobody hurries
SLOW_SHARE = 0.25  # of a unit's time, that encoding it may take before it is done more quickly
REPORTED_UNITS = 64  # units back that a report may tell of
FEWER = ((MOST_FRAMES, 64), (MOST_FRAMES, 16), (4, 16), (1, 16), (1, 4), (1, 1), (0, 0))
"""Temporal and spatial frequencies that are kept where the coarsest step does not fit either, tried in this order."""
LOSS, LEARN = 0.2, 0.05  # loss that is expected before anything is reported; how fast it follows reports
FORGET_SECONDS = 60.0  # after which a receiver is as likely as not to have joined since something was sent


def unit_frames(fps: float, kbps: float = USUAL_KBPS) -> int:
    """Pictures of a unit at a wire rate, an even number: as many as headers ask for, or, as more is predicted in longer
    units, as a packet holds; each is waited for."""
    rate = 125 * max(kbps, 0.1)
    seconds = max(HEADERS / HEADER_SHARE / rate, min(FULL_SECONDS, FULL_BYTES / rate))
    seconds = min(LONGEST_SECONDS, seconds)
    return max(4, min(MOST_FRAMES, round(seconds * fps / 2) * 2))


def change(pictures: Sequence[Picture], fps: float) -> float:
    """Mean difference of a sample from what it was CHANGE_SECONDS before, of 255, as neighbouring pictures tell."""
    pairs = zip(pictures[1:], pictures, strict=False)
    apart = [float(np.abs(np.subtract(one, other, dtype=np.int16)).mean()) for one, other in pairs]
    return CHANGE_SECONDS * fps * sum(apart) / max(1, len(apart))


def usual_scale(
    width: int, height: int, fps: float, frames: int, kbps: float, change: float, chained: bool = False
) -> int:
    """Sides of the pictures over those of the small ones that suit a wire rate: finer ones where little changes, a unit
    of them is not too large and they are not too many to encode in time. `chained`: units are predicted from each
    other. For the whole stream: another size drops what receivers hold, which costs more, and for longer, than a size
    that does not suit any more (README.md, section 5)."""
    area = width * height
    fits = area * frames <= MOST_SAMPLES * FINE**2 and area * fps <= FINE_SPEED * FINE**2
    density = max(FINE_DENSITY[chained], MOVING_DENSITY[chained] * change**2)
    return FINE if fits and 1000 * kbps >= density * area else COARSE


class _Levels(NamedTuple):
    """A unit as levels: number of the step, what was chosen, its bytes, what is shown, and what is held after it."""

    number: int
    choice: Choice
    body: bytes
    frames: list[Values]
    past: Past


class TextureEncoder:
    """Encodes units, each one packet. Called by one thread. Raises CodecError for a size or rate out of range."""

    def __init__(
        self,
        width: int,
        height: int,
        fps: float,
        frames: int | None = None,
        scale: int | None = None,
        loss: float = LOSS,
        kbps: float = USUAL_KBPS,
        adaptive: bool = False,
    ) -> None:
        """`frames` of a unit, 1 to 32; `scale`: sides of the pictures over those of the small ones: 1, 2, 4, 8; `loss`:
        share of the packets that is expected to be lost until reports tell; `kbps`: wire rate to be expected, which
        sets `frames` where they are not given, and `scale`, which is then chosen by the first unit, and by the
        first that may be predicted from others, for good; `adaptive`: look less for the best step where this host is
        slow, so that what comes out depends on its speed."""
        fps = round(4 * fps) / 4
        frames = frames or unit_frames(fps, kbps)
        self._chain = Chain(frames / fps)
        self._begin(TextureHeader(width, height, fps, frames, scale or COARSE))
        self._kbps = None if scale else kbps  # that decides the size
        self._decided: bool | None = None  # whether for units that are predicted from each other
        self._loss = loss
        self._forget = 1 - 0.5 ** (frames / fps / FORGET_SECONDS)
        self._number, self._place = STEPS // 2, 0
        self._adaptive, self._slow = adaptive, False
        self._sure = 0  # units in which groups go without a look at levels
        self._groups = Groups(fps, adaptive)

    def _begin(self, header: TextureHeader) -> None:
        self._header = header
        self._small = header.coded_size
        self._chain.restart()
        rows, columns = grid(*self._small)
        self._past = Past.nothing(rows, columns)
        self._strength: float | None = None  # of the smoothing of what is shown
        self._lacking = [np.ones((rows, columns, side * side), np.float32) for side in BLOCKS]
        self._sent: dict[int, list[NDArray[np.bool_]]] = {}

    def _decide(self, kbps: float, changed: float) -> None:
        """The size, once before anything is told, and once when it turns out that somebody tells."""
        if self._decided in (True, self._chain.answered):
            return
        h, self._decided = self._header, self._chain.answered
        scale = usual_scale(h.width, h.height, h.fps, h.frames, kbps, changed, self._decided)
        if scale != h.scale:
            self._begin(TextureHeader(h.width, h.height, h.fps, h.frames, scale))

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return self._header.frames

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """Encode one unit as well as the budget allows. See UnitEncoder.encode."""
        begun = time.perf_counter()
        header = self._header
        if len(pictures) != header.frames or any(
            picture.shape != (header.height * 3 // 2, header.width) for picture in pictures
        ):
            raise ValueError(f"pictures: must be {header.frames} of {header.width}x{header.height}")
        changed = change(pictures, header.fps)
        if self._kbps is not None:
            self._decide(self._kbps, changed)
        room = min(budget.max_payload, budget.wire_bytes - budget.packet_overhead) - HEADER_BYTES
        small = [shrink(picture, *self._small) for picture in pictures]
        group = self._group(small, unit, room, changed)
        levels = None
        if group is None or group.back is None or not self._sure:
            levels = self._levels(small, room, changed)
            nearer = math.inf if group is None else self._ratio(group, levels, small, unit, changed)
            group = group if nearer < 1 else None
            self._sure = SURE_UNITS * (nearer < SURE)
        else:
            self._sure -= 1
        number, payload = self._sent_levels(unit, levels) if group is None else self._sent_group(unit, group)
        quality = round((1 - number / (STEPS - 1)) * (QUALITIES - 1))
        took = time.perf_counter() - begun
        return EncodedUnit([payload], quality, len(payload) + budget.packet_overhead, {"encode": took})

    def _levels(self, small: Sequence[Picture], room: float, changed: float) -> _Levels:
        """The unit as levels."""
        begun = time.perf_counter()
        number, choice, body = self._fit(forward(small), room, changed)
        took = time.perf_counter() - begun
        self._slow = self._adaptive and took > SLOW_SHARE * self._header.frames / self._header.fps
        past = self._past.copy()
        return _Levels(number, choice, body, past.follow(choice.levels(), number), past)

    def _sent_levels(self, unit: int, levels: _Levels | None) -> tuple[int, bytes]:
        """Number of the step, and the payload."""
        assert levels is not None
        self._past, self._strength = levels.past, smoothing(levels.number, self._header.frames)
        self._take(unit, _said(levels.choice))
        return levels.number, self._header.with_step(levels.number) + levels.body

    def _sent_group(self, unit: int, group: Group) -> tuple[int, bytes]:
        self._chain.sent(unit, group.pictures[-1], group.back)
        self._past.show(group.pictures[-1])
        self._strength = 0.0
        self._take(unit, [np.ones_like(lacking, bool) for lacking in self._lacking])
        head = self._header.of_group(group.number, group.every, group.back is not None)
        return group.number, head + group.data

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """See UnitEncoder.report."""
        came = bool(arrived and arrived[0])
        if arrived is not None and len(arrived) == 0:
            self._chain.withheld(unit)
        else:
            self._chain.report(unit, None if arrived is None else came)
        sent = self._sent.pop(unit, None)
        if sent is None:
            return
        if arrived is None or len(arrived):
            self._loss += LEARN * ((not came) - self._loss)
        for lacking, mask in zip(self._lacking, sent, strict=True):
            if came:
                lacking[mask] = 0.0
            else:
                lacking[mask] = 1.0

    def _fit(self, coefficients: Sequence[Values], room: float, changed: float) -> Fit:
        """The finest step whose levels fit; the coarsest if none does, with as much as fits: a unit in which nothing is
        sent takes a few bytes, and is what is left at last. Where little changed, some macroblocks at a finer step, if
        these bring more."""
        worth = worth_of(changed)
        held = Held(self._past.last, self._lacking)
        tried: dict[int, tuple[Choice, bytes, bool]] = {}

        def size(number: int) -> float:
            if number not in tried:
                choice = choose(coefficients, number, held, worth)
                tried[number] = choice, *_written(choice)
            return len(tried[number][1]) if tried[number][2] else math.inf

        low, high = -1, STEPS - 1  # does not fit; fits, or is all there is
        number, stride, seen = self._number - self._slow, 2, {False: False, True: False}
        while high - low > 1:
            number = max(low + 1, min(high - 1, number))
            fits = size(number) <= room
            seen[fits] = True
            low, high = (low, number) if fits else (number, high)
            if fits and self._slow:
                break
            if all(seen.values()):
                number = (low + high) // 2
            else:
                number += -stride if fits else stride
                stride *= 2
        fits = size(high) <= room
        choice, body, _ = tried[high]
        self._number = high
        if fits and changed <= MOVING and not self._slow:
            whole = Fit(high, choice, body)
            found, self._place = finer(coefficients, held, worth, whole, room, _written, self._place)
            return found
        for times, kept in () if fits else FEWER:
            choice = fewer(choice, times, kept)
            body, allowed = _written(choice)
            if allowed and len(body) <= room:
                break
        return Fit(high, choice, body)

    def _shown(self) -> Picture | None:
        """What receivers show that have the unit before; None where there was none."""
        if self._strength is None:
            return None
        return to_pictures([plane[None] for plane in self._past.last], *self._small, self._strength)[0]

    def _group(self, small: Sequence[Picture], unit: int, room: float, changed: float) -> Group | None:
        """The unit as a group, where that may be of use."""
        if changed <= MOVES and not self._chain.hopeful(unit):
            return None
        return self._groups.code(small, room, self._shown(), self._chain.reference(unit), changed)

    def _ratio(
        self, group: Group, levels: _Levels, small: Sequence[Picture], unit: int, changed: float
    ) -> float:
        """How much farther off the pictures a group is than what is shown of levels, or will be; below 1: nearer."""
        shown = to_pictures(levels.frames, *self._small, smoothing(levels.number, len(small)))
        hope = HOPE if self._chain.hopeful(unit) else 1.0
        return cost(group.pictures, small, changed) / (hope * max(1.0, cost(shown, small, changed)))

    def _take(self, unit: int, said: list[NDArray[np.bool_]]) -> None:
        """Receivers have what was sent, of each plane these coefficients, unless it is lost."""
        for lacking, mask in zip(self._lacking, said, strict=True):
            lacking += np.float32(self._forget) * (1 - lacking)
            lacking[mask] *= np.float32(self._loss)
        self._sent[unit] = said
        if len(self._sent) > REPORTED_UNITS:
            del self._sent[next(iter(self._sent))]


def _said(choice: Choice) -> list[NDArray[np.bool_]]:
    """Which coefficients of time 0 a choice sends, of each plane."""
    said = []
    for values, means in zip(choice.values, choice.sent, strict=True):
        mask = values[0] != 0
        mask[..., 0] = means
        said.append(mask | (choice.modes == FRESH)[..., None])
    return said


def _written(choice: Choice) -> tuple[bytes, bool]:
    """The bytes, and whether a decoder takes so many coefficients in them."""
    coder = Encoder(tables.contexts())
    visited = walk(coder, choice.levels(), False)
    body = coder.finish()
    return body, visited <= most_visited(len(body))
