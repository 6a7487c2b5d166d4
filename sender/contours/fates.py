"""What became of the packets of map units, from the receiver's reports. Pure.

A packet that was lost counts as arrived where enough of its window came for the erasure code to bring it back.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

MOST_WINDOWS = 32
PATIENCE_S = 2.5
"""After the first packet of a window, at most: what has not been told by then is lost."""

Verdict = tuple[int, tuple[bool, ...]]
"""A map unit, and which of its parts have arrived, or were brought back."""


@dataclass(slots=True)
class _Window:
    opened: float
    parts: list[tuple[int, int, int]] = field(default_factory=list)  # (map unit, index, counter)
    parity: list[int] = field(default_factory=list)  # counters
    arrived: set[int] = field(default_factory=set)  # counters

    @property
    def whole(self) -> bool:
        """All of it has arrived, or can be rebuilt."""
        return len(self.arrived) >= len(self.parts)


class Fates:
    """One of the sender; the event loop owns it. Bounded."""

    def __init__(self) -> None:
        self._windows: OrderedDict[int, _Window] = OrderedDict()
        self._counters: dict[int, int] = {}  # the window of each

    def sent(self, window: int, counter: int, part: tuple[int, int] | None, now: float) -> None:
        """A packet left: `part` (map unit, index) of a source packet, None of parity."""
        found = self._windows.get(window)
        if found is None:
            found = self._windows[window] = _Window(now)
            if len(self._windows) > MOST_WINDOWS:
                self._forget(*self._windows.popitem(last=False))
        self._counters[counter] = window
        if part is None:
            found.parity.append(counter)
        else:
            found.parts.append((*part, counter))

    def arrived(self, counters: list[int]) -> None:
        """These packets are known to have arrived."""
        for counter in counters:
            window = self._counters.get(counter)
            if window is not None:
                self._windows[window].arrived.add(counter)

    def take(self, now: float, patience: float = PATIENCE_S) -> list[Verdict]:
        """The map units whose fate is settled, each once; `patience`: seconds after which it is."""
        units: dict[int, dict[int, bool]] = {}
        for number, window in list(self._windows.items()):
            if now - window.opened < min(patience, PATIENCE_S) and not window.whole:
                break
            whole = window.whole
            for unit, index, counter in window.parts:
                units.setdefault(unit, {})[index] = whole or counter in window.arrived
            del self._windows[number]
            self._forget(number, window)
        return [
            (unit, tuple(found.get(i, True) for i in range(max(found) + 1))) for unit, found in units.items()
        ]

    def renew(self) -> None:
        """Other keys: counters begin again, and nothing will be told of those before."""
        self._windows.clear()
        self._counters.clear()

    def _forget(self, number: int, window: _Window) -> None:
        for counter in (*window.parity, *(counter for _, _, counter in window.parts)):
            if self._counters.get(counter) == number:
                del self._counters[counter]
