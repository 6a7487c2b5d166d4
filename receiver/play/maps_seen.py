"""The map of classes in the window: how it is shown, and painting it only when it changes."""

from __future__ import annotations

from receiver.contours.figures import same
from receiver.contours.store import ShownMap
from receiver.play.base import Shown, SignalState
from receiver.play.osd.canvas import Rgba
from receiver.play.osd.classes import LEAST, MOST, STEP, USUAL, Entry, MapMode, entries, paint


class MapsSeen:
    """Owned by the window's thread."""

    def __init__(self) -> None:
        self.mode = MapMode.OFF
        self.strength = USUAL
        """Of the tint, per cent."""
        self.pixels: Rgba | None = None
        """What is laid over the picture; None: nothing."""
        self.entries: tuple[Entry, ...] = ()
        """Its legend."""
        self._painted: tuple[ShownMap | None, MapMode, int] = (None, self.mode, self.strength)

    def next(self, shown: Shown | None) -> str:
        """Go on to the next way of showing it; returns what to tell the viewer."""
        self.mode = self.mode.next
        missing = self.mode is not MapMode.OFF and (shown is None or shown.map is None)
        return f"CLASSES: {self.mode.upper()}" + (" (NO MAP IS SENT)" if missing else "")

    def stronger(self, steps: int) -> None:
        """More (or less) of the tint."""
        self.strength = min(MOST, max(LEAST, self.strength + steps * STEP))

    def look(self, shown: Shown | None) -> tuple[bool, Rgba | None]:
        """(whether anything changed, what to lay over the picture from now on). A lost signal has no map."""
        wanted = shown is not None and shown.state is SignalState.LIVE and self.mode is not MapMode.OFF
        found = shown.map if wanted and shown is not None else None
        before, mode, strength = self._painted
        if (
            (before is None) == (found is None)
            and (before is None or found is None or same(before, found))
            and (found is None or (mode, strength) == (self.mode, self.strength))
        ):
            return False, self.pixels
        self._painted = found, self.mode, self.strength
        self.pixels = None if found is None else paint(found, self.mode, self.strength)
        self.entries = () if found is None else entries(found)
        return True, self.pixels
