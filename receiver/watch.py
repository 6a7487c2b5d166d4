"""Whether there is a signal: what the viewer is told, and how old the last word from the sender is.

Pure: `now` is passed in.  The state is about what can be seen, not about packets alone: after an outage the first
packets make no picture for a playout delay, during which the old one stays marked.
"""

from __future__ import annotations

import math

from receiver.play.base import SignalState

Key = tuple[int, int]
"""(generation of the run, unit): rises."""


class SignalWatch:
    """Owned by the event loop thread."""

    def __init__(self, lost_after: float) -> None:
        """`lost_after`: seconds of silence."""
        self.state = SignalState.WAITING
        self.lost_after = lost_after
        self._last = -math.inf  # when the newest packet arrived
        self._silent_since = 0.0  # when the last packet before the loss arrived
        self._back: tuple[Key, float] | None = (
            None  # the first unit after the loss, and when it began to arrive
        )

    def heard(self, now: float) -> None:
        """Something of the sender on show came: it is there, though perhaps without pictures."""
        self._last = max(self._last, now)

    def arrived(self, key: Key, now: float) -> None:
        """A packet of this unit was taken in."""
        self.heard(now)
        if self.state is SignalState.LOST and self._back is None:
            self._back = (key, now)

    def look(self, now: float, patience: float) -> SignalState:
        """The state at `now`; call often.  `patience`: seconds of packets without a picture after which the signal
        counts as back all the same (units that cannot be decoded say little of the link)."""
        silent = now - self._last >= self.lost_after
        if self.state is SignalState.LIVE and silent:
            self.state, self._silent_since = SignalState.LOST, self._last
        elif self.state is SignalState.LOST and silent:
            self._back = None
        elif self._back is not None and now - self._back[1] >= patience:
            self._live()
        return self.state

    def shown(self, key: Key, received: bool) -> SignalState:
        """A picture of this unit is shown; `received`: something of the unit has arrived."""
        first = self.state is SignalState.WAITING
        if first or (self._back is not None and received and key >= self._back[0]):
            self._live()
        return self.state

    def silence(self, now: float) -> float:
        """Seconds since the last packet before the signal was lost; 0 unless it is lost."""
        return now - self._silent_since if self.state is SignalState.LOST else 0.0

    def _live(self) -> None:
        self.state, self._back = SignalState.LIVE, None
