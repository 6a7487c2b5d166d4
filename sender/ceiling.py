"""Holds the wire rate over any ten seconds where a packet is much of it: at a few kbit/s. Pure.

Where the rate changes, what was sent before counts as the same part of the new one: after a cut nothing could be sent
for seconds otherwise. No ten seconds have more than the highest of their rates.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import deque
from collections.abc import Sequence

from sender.protect import UNKNOWN_LOSS

SECONDS = 10.0
RESERVE, RESERVE_SHARE = 200.0, 0.04  # bytes, and share of all: what is sent beside media between two looks
MOST_ENTRIES = 8192
HEADROOM = 0.95
"""Of the rate, that is aimed at: units come in whole packets, and the ceiling shall seldom be met."""


def reserve(whole: float) -> float:
    """Of so many bytes, those that are kept for what is sent beside media."""
    return min(RESERVE, RESERVE_SHARE * whole)


class Ceiling:
    """Counts what leaves. Any thread; `now` and `at` are monotonic seconds."""

    def __init__(self, kbps: float) -> None:
        """`kbps`: on the wire, over any SECONDS."""
        self._kbps = kbps
        self._lock = threading.Lock()
        self._entries: deque[tuple[float, float]] = deque()  # time, bytes; by rising time
        self._sum = 0.0
        self._left: deque[tuple[float, float]] = deque()
        self._left_sum = 0.0
        self._held = 0.0
        self.loss = UNKNOWN_LOSS
        """Share of the packets that the link is believed to lose: what each stream may take goes by it."""
        self.reserve = 0
        """Bytes that something beside media waits for."""

    def set_rate(self, kbps: float) -> None:
        """From now on."""
        with self._lock:
            scale, self._kbps = kbps / self._kbps, kbps
            if scale == 1:
                return
            for entries in (self._entries, self._left):
                scaled = [(at, size * scale) for at, size in entries]
                entries.clear()
                entries.extend(scaled)
            self._sum = sum(size for _, size in self._entries)
            self._left_sum = sum(size for _, size in self._left)

    def add(self, wire_bytes: int, at: float) -> None:
        """So much leaves at `at`, which may be to come."""
        with self._lock:
            self._add(wire_bytes, at)

    def take(self, packets: Sequence[tuple[int, float]], now: float) -> int:
        """Of packets (bytes, when each leaves): how many of the first there is room for; these count from now on."""
        with self._lock:
            room, count = self._room(now), 0
            for size, at in packets:
                if size > room:
                    break
                room, count = room - size, count + 1
                self._add(size, at)
        return count

    def hold(self, most: float, now: float) -> float:
        """As much of the room as there is, up to `most` bytes, is kept for the caller until `settle`. One at a time."""
        with self._lock:
            self._held = 0.0
            self._held = max(0.0, min(most, self._room(now)))
            return self._held

    def settle(self, packets: Sequence[tuple[int, float]] = ()) -> None:
        """What was held becomes these (bytes, when each leaves); the rest is given back."""
        with self._lock:
            self._held = 0.0
            for size, at in packets:
                self._add(size, at)

    def left(self, wire_bytes: int, now: float) -> None:
        """So much has really left."""
        with self._lock:
            self._left.append((now, wire_bytes))
            self._left_sum += wire_bytes
            if len(self._left) > MOST_ENTRIES:
                self._left_sum -= self._left.popleft()[1]

    def full(self, wire_bytes: int, now: float) -> bool:
        """Whether so much more would pass what may leave: a packet that can be left out should be."""
        with self._lock:
            self._expire(now)
            return self._left_sum + wire_bytes > self._kbps * 125 * SECONDS

    def room(self, now: float) -> float:
        """Bytes that may still be added now: beyond what is promised, and beyond what has left, perhaps later than it
        was promised for."""
        with self._lock:
            return self._room(now)

    def _room(self, now: float) -> float:
        self._expire(now)
        whole = self._kbps * 125 * SECONDS
        taken = max(self._sum, self._left_sum) + self._held + self.reserve
        return max(0.0, whole - reserve(whole) - taken)

    def _add(self, wire_bytes: int, at: float) -> None:
        if wire_bytes <= 0:
            return
        insort(self._entries, (at, wire_bytes))  # nearly always at the end
        self._sum += wire_bytes
        if len(self._entries) > MOST_ENTRIES:
            self._sum -= self._entries.popleft()[1]

    def _expire(self, now: float) -> None:
        while self._entries and self._entries[0][0] <= now - SECONDS:
            self._sum -= self._entries.popleft()[1]
        while self._left and self._left[0][0] <= now - SECONDS:
            self._left_sum -= self._left.popleft()[1]
