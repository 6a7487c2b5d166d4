"""Which packets of a session were opened: the highest counter and a bit for each of those below it."""

from __future__ import annotations

REPLAY_WINDOW = 1024  # packets; 20 s of reordering at 50 packets/s

_MASK = (1 << REPLAY_WINDOW) - 1


class ReplayWindow:
    """A sliding window of counters (RFC 4303 section 3.4.3). Starts empty."""

    __slots__ = ("newest", "seen")

    def __init__(self) -> None:
        self.newest = -1
        """The highest counter marked; -1 before the first."""
        self.seen = 0  # bit i: packet newest - i was marked

    def is_replay(self, counter: int) -> bool:
        """Whether this counter was marked, or is too old to tell."""
        age = self.newest - counter
        return age >= REPLAY_WINDOW or (age >= 0 and bool(self.seen >> age & 1))

    def mark(self, counter: int) -> bool:
        """Note a packet that has authenticated; returns whether it is the newest so far."""
        ahead = counter - self.newest
        if ahead <= 0:
            self.seen |= 1 << -ahead
            return False
        self.newest = counter
        self.seen = 1 if ahead >= REPLAY_WINDOW else (self.seen << ahead | 1) & _MASK
        return True
