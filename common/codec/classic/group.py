"""What hangs on one key frame: a run of the coder, and how the quantisers of its pictures are chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from common.codec.classic import body
from common.codec.classic.quantiser import Pictures
from common.codec.hevc.stream import COARSEST, FINEST, Coder
from common.video import Picture, picture_size

FULL, ENOUGH = 0.95, 0.85  # of the room: what is aimed at, what is good enough
CAREFUL = 0.7  # likewise of what is left for the last picture: nothing comes after it that could make it up
MOST_TRIALS = 6  # runs of the coder for a key unit
TRIALS = 4  # those that are worth their time once it fits
KEY_HALVING = 7.0  # steps of the quantiser that halve a key unit
AFTER = 3  # steps by which the pictures after a key frame are coarser
LEARN = 0.1  # how fast the mean quantiser follows


class Group:
    """One run of the coder. Called by one thread."""

    def __init__(self, width: int, height: int, preset: str) -> None:
        self._coder = Coder(width, height, preset)
        self._pictures: Pictures | None = None
        self.quantiser = float(COARSEST)  # mean of the last unit
        self.mean = float(COARSEST)  # of the last few seconds

    def begin(self, pictures: Sequence[Picture], quantiser: int) -> tuple[bytes, ...]:
        """The key frame and what follows it in its unit."""
        after = min(COARSEST, quantiser + AFTER)
        self._pictures = Pictures(after)
        coded = [self._coder.encode(pictures[0], quantiser)]
        for picture in pictures[1:]:
            coded.append(self._coder.encode(picture, after))
            self._pictures.learn(len(coded[-1]), after)
        self.quantiser = self.mean = float(after)
        return tuple(coded)

    def follow(self, pictures: Sequence[Picture], room: float) -> tuple[bytes, ...]:
        """The next unit, in about so many bytes. Where they are spent before its end the last pictures are repeated."""
        assert self._pictures is not None
        coded: list[bytes] = []
        quantisers = []
        for index, picture in enumerate(pictures):
            left = FULL * room - body.cost([*coded, *[b""] * (len(pictures) - index)])
            if coded and left <= 0:
                coded.append(b"")
                continue
            if index == len(pictures) - 1:
                left *= CAREFUL
            quantiser = self._pictures.choose(left, len(pictures) - index)
            coded.append(self._coder.encode(picture, quantiser))
            self._pictures.learn(len(coded[-1]), quantiser)
            quantisers.append(quantiser)
        self.quantiser = sum(quantisers) / len(quantisers)
        self.mean += LEARN * (self.quantiser - self.mean)
        return tuple(coded)


@dataclass(frozen=True, slots=True)
class Found:
    """A key unit as it was coded, and the run that goes on from it."""

    group: Group
    coded: tuple[bytes, ...]
    key: int  # quantiser of the key frame


class Search:
    """Finds the finest key unit that fits: each trial is a run of its own, and the best goes on."""

    def __init__(self, pictures: Sequence[Picture], preset: str) -> None:
        self._pictures, self._preset = pictures, preset

    def run(self, room: float, quantiser: float) -> Found:
        """From `quantiser` on. The largest that fits the room; failing that, the smallest."""
        low, high = FINEST - 1, COARSEST + 1  # too fine, fits; as far as known
        best: Found | None = None
        smallest: Found | None = None
        target = max(1.0, FULL * room)
        wanted = round(quantiser)
        for trial in range(MOST_TRIALS):
            found = self._try(max(FINEST, min(COARSEST, wanted)))
            size = body.cost(found.coded)
            if smallest is None or size < body.cost(smallest.coded):
                smallest = found
            if size <= room:
                best, high = found, found.key
            else:
                low = found.key
            if high - low <= 1 or (best and (size >= ENOUGH * room or trial + 1 >= TRIALS) and size <= room):
                break
            step = KEY_HALVING * math.log2(size / target)
            wanted = found.key + (math.ceil(step - 0.25) or (1 if size > room else -1))
            wanted = max(low + 1, min(high - 1, wanted))
        assert smallest is not None
        return best or smallest

    def _try(self, quantiser: int) -> Found:
        group = Group(*picture_size(self._pictures[0]), self._preset)
        return Found(group, group.begin(self._pictures, quantiser), quantiser)
