"""Holds the wire rate over any ten seconds where a packet is much of it: at a few kbit/s. Pure."""

from __future__ import annotations

import threading
from bisect import insort
from collections import deque

SECONDS = 10.0
RESERVE, RESERVE_SHARE = 200.0, 0.04  # bytes, and share of all: what is sent beside media between two looks
MOST_ENTRIES = 8192
HEADROOM = 0.97
"""Of the rate, that is aimed at: units come in whole packets, and the ceiling shall seldom be met."""


class Ceiling:
    """Counts what leaves. Any thread; `now` and `at` are monotonic seconds."""

    def __init__(self, kbps: float) -> None:
        """`kbps`: on the wire, over any SECONDS."""
        self._kbps = kbps
        self._lock = threading.Lock()
        self._entries: deque[tuple[float, int]] = deque()  # by rising time
        self._sum = 0
        self.reserve = 0
        """Bytes that something beside media waits for."""

    def set_rate(self, kbps: float) -> None:
        """From now on."""
        self._kbps = kbps

    def add(self, wire_bytes: int, at: float) -> None:
        """So much leaves at `at`, which may be to come."""
        with self._lock:
            if wire_bytes <= 0:
                return
            insort(self._entries, (at, wire_bytes))  # nearly always at the end
            self._sum += wire_bytes
            if len(self._entries) > MOST_ENTRIES:
                self._sum -= self._entries.popleft()[1]

    def passed(self, now: float) -> bool:
        """Whether more is promised than there is: what can be left out should be."""
        free = self.room(now)
        with self._lock:
            return free <= 0.0 and self._sum > self._kbps * 125 * SECONDS

    def room(self, now: float) -> float:
        """Bytes that may still be added now."""
        with self._lock:
            while self._entries and self._entries[0][0] <= now - SECONDS:
                self._sum -= self._entries.popleft()[1]
            whole = self._kbps * 125 * SECONDS
            return max(0.0, whole - min(RESERVE, RESERVE_SHARE * whole) - self.reserve - self._sum)
