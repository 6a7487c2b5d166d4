"""Which unit's last picture a receiver surely has, so that the next unit may be predicted from it. Pure.

As in H.263's reference picture selection (annex N) and newer coders' long-term references: what is acknowledged is
referred to, so a loss costs the units that were on their way, and no picture has to be sent anew."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from common.video import Picture

MOST_BACK = 8  # units back that one may refer to; receivers keep as many pictures
LONGEST_S = 30.0  # after which a unit refers to nothing, for who joined meanwhile
FEWEST, CLEAN = 4, 8
"""Units, at least and at most, that were told of last; where all of these came, others are believed to come."""
UNTOLD_S, UNTOLD = 3.0, 4  # for so long, or so many units; a way back that is silent for longer is none


class Reference(NamedTuple):
    """A picture of the unit so many units back."""

    back: int
    picture: Picture


@dataclass(slots=True)
class _Link:
    picture: Picture
    to: int | None  # unit it refers to
    came: bool | None = None  # None: not told yet


class Chain:
    """Of one sender. Called by one thread."""

    def __init__(self, unit_s: float) -> None:
        """`unit_s`: how long a unit lasts."""
        self._unit_s = unit_s
        self._links: dict[int, _Link] = {}
        self._told = deque[bool](maxlen=CLEAN)
        self._newest = -1  # unit that was told of
        self._alone = -1  # the last unit that refers to nothing

    @property
    def answered(self) -> bool:
        """Whether somebody has told of a unit that came."""
        return any(self._told)

    def restart(self) -> None:
        """Pictures of another size follow, which refer to none of those before."""
        self._links.clear()

    def hopeful(self, unit: int) -> bool:
        """Whether what begins with `unit` may be gone on with: reports come, or may yet begin to."""
        untold = unit - max(0, self._newest)
        return untold <= UNTOLD or untold * self._unit_s <= UNTOLD_S

    def reference(self, unit: int) -> Reference | None:
        """What `unit` may be predicted from."""
        if self._newest < 0 or not self.hopeful(unit) or (unit - self._alone) * self._unit_s > LONGEST_S:
            return None
        clean = len(self._told) >= FEWEST and all(self._told)
        for number, link in reversed(self._links.items()):
            if unit - number > MOST_BACK:
                break
            if link.came or (link.came is None and clean):
                return Reference(unit - number, link.picture)
        return None

    def sent(self, unit: int, picture: Picture, back: int | None) -> None:
        """A unit of which receivers keep the last picture; `back`: how many units back it refers, if it does."""
        self._links[unit] = _Link(picture, None if back is None else unit - back)
        if back is None:
            self._alone = unit
        if len(self._links) > 2 * MOST_BACK:
            del self._links[next(iter(self._links))]

    def report(self, unit: int, came: bool | None) -> None:
        """What became of a unit, of whatever kind. None: it came, or not, and could not be made use of."""
        if came is not False:
            self._newest = max(self._newest, unit)
        link = self._links.get(unit)
        if came is None and link is not None and link.came is not False:
            self.restart()  # the receiver is another than the one that had what was referred to
        if came is not None:
            self._told.append(came)
            self._came(unit, came)

    def withheld(self, unit: int) -> None:
        """A unit did not leave: nobody has it, which says nothing of the path."""
        self._came(unit, False)

    def _came(self, unit: int, came: bool) -> None:
        link = self._links.get(unit)
        if link is not None and link.came is None:
            link.came = came
            self._follow()

    def _follow(self) -> None:
        """What refers to something that was lost is of no use."""
        for link in self._links.values():
            if link.to in self._links and self._links[link.to].came is False:
                link.came = False
