"""The two clocks of a daemon: one that only goes forward, and wall time that cannot jump.

Pure code never reads a clock; it is given `now` (seconds, monotonic). The shells read `monotonic()`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Something that returns seconds. `monotonic`, `WallClock.now`, or a hand-moved clock in a test."""


def monotonic() -> float:
    """Seconds of a clock that never goes back; it has no fixed origin. asyncio's own clock."""
    return time.monotonic()


class WallClock:
    """Seconds since the Unix epoch that never jump inside one process. Any thread may read it.

    The offset between wall time and the monotonic clock is read once, when the object is made. A system clock
    that is set forward or back later (NTP at boot, an operator) therefore moves neither pacing nor latency
    figures; the new time is taken over when the daemon restarts.
    """

    def __init__(self, *, epoch: Clock = time.time, monotonic: Clock = monotonic) -> None:
        self._monotonic = monotonic
        self._offset = epoch() - monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._monotonic() + self._offset

    def from_monotonic(self, moment: float) -> float:
        """The epoch time of a monotonic time."""
        return moment + self._offset
