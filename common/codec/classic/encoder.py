"""The `classic` encoder: pictures -> one H.265 stream across units, coded to fill the budget -> symbols."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from common.codec import symbols
from common.codec.base import Budget, EncodedUnit
from common.codec.classic import body, protection
from common.codec.classic.body import Body
from common.codec.classic.group import Group, Search
from common.codec.classic.header import LAST_LINK, ClassicHeader
from common.codec.effort import Effort
from common.codec.header import FRAMES, QUALITIES, SHRINKS
from common.codec.hevc.stream import COARSEST, FINEST
from common.codec.view import coded_size, take
from common.video import Picture

REPORTED_UNITS = 64  # units back that a report may tell of
HEARD_SECONDS = 2.0  # after a report for so long the receiver is taken to tell of what it lacks
KEY_SECONDS = (3.0, 6.0)  # from key unit to key unit at most: without reports, with them
KEY_GAP_SECONDS = 0.5  # from key unit to key unit at least
RESIZE_SECONDS = 2.0  # likewise where nothing but the size of the coded pictures asks for one
MISFIT = 1.03  # a unit this much over its room is coded anew as a key unit

# Quantisers from which on smaller pictures look better, and below which larger ones do, by shrink; from training clips.
TOO_COARSE = {1: 44.0, 2: 46.0}
FINE_ENOUGH = {2: 33.0, 4: 35.0}
SMALLER = 8.0  # steps by which pictures of half the sides can be coded finer
PRESETS = {
    4: "slow",
    6: "medium",
    7: "medium",
    8: "veryfast",
    9: "veryfast",
    10: "ultrafast",
}  # by Effort's, of AV1


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a report on a unit is held against."""

    chain: int
    needed: int
    count: int


class ClassicEncoder:
    """Encodes units that each refer to the one before, up to a key unit. Called by one thread."""

    def __init__(self, width: int, height: int, fps: float, effort: Effort | None = None) -> None:
        self._header = ClassicHeader(width, height, round(4 * fps) / 4)
        self._effort = effort or Effort()
        self._unit_seconds = FRAMES / self._header.fps
        self.belief = protection.Belief()
        self._sent: dict[int, _Sent] = {}
        self._group: Group | None = None
        self._chain, self._link = -1, 0
        self._shrink, self._quantiser = 1, 38.0  # of the next key unit
        self._key_wanted = False
        self._heard = -math.inf  # newest unit that was coded when a report came
        self._next_unit = 0

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return FRAMES

    def prospect(self, budget: Budget) -> protection.Shape:
        """How a unit would be protected now, and how often it would be lost for all that."""
        return protection.choose(budget, self.belief.weights)

    def restart(self) -> None:
        """Begin with a key unit: what came before has not reached the decoder as units of this profile."""
        self._group = None

    def observe(self, arrived: Sequence[bool]) -> None:
        """Packets of another profile on the same link: they tell of the loss too."""
        self.belief.learn(arrived)
        self._heard = self._next_unit

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """See UnitEncoder.report. A unit that was lost asks for a key unit, unless there has been one since."""
        sent = self._sent.pop(unit, None)
        if sent is None:
            return
        self._heard = self._next_unit
        if arrived is not None and len(arrived) == sent.count:
            self.belief.learn(arrived)
        if sent.chain == self._chain and (arrived is None or sum(map(bool, arrived)) < sent.needed):
            self._key_wanted = True

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """Encode one unit as well as the budget allows. See UnitEncoder.encode."""
        begun = time.perf_counter()
        width, height = self._header.width, self._header.height
        if len(pictures) != FRAMES or any(picture.shape != (height * 3 // 2, width) for picture in pictures):
            raise ValueError(f"pictures: must be {FRAMES} of {width}x{height}")
        self._next_unit = unit + 1
        weights = self.belief.weights
        shape = protection.choose(budget, weights)
        coded = None if self._key_due() else self._go_on(pictures, shape.room)
        if coded is None:
            coded = self._begin(pictures, shape.room)
        assert self._group is not None
        data = bytes(Body(_quality(self._group.quantiser), coded))
        shape = protection.fit_to(shape, len(data), budget, weights)
        header = replace(self._header, shrink=self._shrink, chain=self._chain % 256, link=self._link)
        payloads = [
            bytes(replace(header, needed=shape.needed, index=index)) + symbol
            for index, symbol in enumerate(symbols.cut(data, shape.needed, shape.count))
        ]
        self._link += 1
        self._sent[unit] = _Sent(self._chain, shape.needed, shape.count)
        self._sent.pop(unit - REPORTED_UNITS, None)
        self._effort.took((time.perf_counter() - begun) / FRAMES)
        wire = sum(map(len, payloads)) + len(payloads) * budget.packet_overhead
        steps = tuple(range(shape.needed, shape.count + 1))
        return EncodedUnit(payloads, data[0], wire, {"encode": time.perf_counter() - begun}, steps)

    def _key_due(self) -> bool:
        if self._group is None or self._link > LAST_LINK:
            return True
        age = self._link * self._unit_seconds
        heard = (self._next_unit - self._heard) * self._unit_seconds <= HEARD_SECONDS
        if self._key_wanted and age >= KEY_GAP_SECONDS:
            return True
        if age >= RESIZE_SECONDS and self._better_shrink() != self._shrink:
            return True
        return age >= KEY_SECONDS[heard]

    def _better_shrink(self) -> int:
        """By the mean quantiser since the key unit."""
        assert self._group is not None
        level = self._group.mean
        if level > TOO_COARSE.get(self._shrink, math.inf) and self._can_shrink():
            return self._shrink * 2
        return self._shrink // 2 if level < FINE_ENOUGH.get(self._shrink, -math.inf) else self._shrink

    def _go_on(self, pictures: Sequence[Picture], room: int) -> tuple[bytes, ...] | None:
        """The unit as it follows from the one before; None where it came out too large: then the scene has changed."""
        assert self._group is not None
        coded = self._group.follow(take(pictures, replace(self._header, shrink=self._shrink).view), room)
        return coded if body.cost(coded) <= MISFIT * room else None

    def _begin(self, pictures: Sequence[Picture], room: int) -> tuple[bytes, ...]:
        """A key unit, of smaller pictures where it has no room; below the floor of the codec larger than asked for."""
        if self._group is not None and (better := self._better_shrink()) != self._shrink:
            self._quantiser += SMALLER if better < self._shrink else -SMALLER
            self._shrink = better
        while True:
            header = replace(self._header, shrink=self._shrink).view
            preset = PRESETS[self._effort.preset(math.prod(coded_size(header)), 1, self._header.fps)]
            search = Search(take(pictures, header), preset)
            found = search.run(room, self._quantiser)
            if body.cost(found.coded) <= room or not self._can_shrink():
                break
            self._shrink *= 2
            self._quantiser = max(FINEST, self._quantiser - SMALLER)
        self._group, self._quantiser = found.group, float(min(COARSEST, found.key))
        self._chain, self._link, self._key_wanted = self._chain + 1, 0, False
        return found.coded

    def _can_shrink(self) -> bool:
        """Whether pictures of half the sides would be smaller ones."""
        if self._shrink >= SHRINKS[-1]:
            return False
        now, then = (
            coded_size(replace(self._header, shrink=s).view) for s in (self._shrink, 2 * self._shrink)
        )
        return now != then


def _quality(quantiser: float) -> int:
    """0..31 as in the other profile: finer is more."""
    share = (COARSEST - quantiser) / (COARSEST - FINEST)
    return max(0, min(QUALITIES - 1, round(share * (QUALITIES - 1))))
