"""What happened in the last seconds, for the page and for /metrics.  Pure: `now` is passed in."""

from __future__ import annotations

from collections import deque

WINDOW_S = 2.0
BUCKET_S = 0.25
KEYS = (
    "bytes",
    "contours",
    "sent",
    "lost",
    "cells",
    "imagined",
    "recovered",
    "pictures",
    "latency",
    "latencies",
)


class Figures:
    """Sums over a sliding window of two seconds: at most nine buckets of ten numbers."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, dict[str, float]]] = deque()

    def add(self, now: float, **amounts: float) -> None:
        """Add to the sums named (one of KEYS each)."""
        number = int(now // BUCKET_S)
        if not self._buckets or self._buckets[-1][0] < number:
            self._buckets.append((number, dict.fromkeys(KEYS, 0.0)))
            self._expire(now)
        sums = self._buckets[-1][1]
        for key, amount in amounts.items():
            sums[key] += amount

    def total(self, key: str, now: float) -> float:
        """The sum over the window."""
        self._expire(now)
        return sum(sums[key] for _, sums in self._buckets)

    def rate(self, key: str, now: float) -> float:
        """The sum over the window, per second of the part of the window that has passed."""
        total = self.total(key, now)
        if not self._buckets:
            return 0.0
        return total / max(BUCKET_S, now - self._buckets[0][0] * BUCKET_S)

    def share(self, part: str, whole: str, now: float, empty: float = 0.0) -> float:
        """part / whole over the window; `empty` when the whole is 0."""
        total = self.total(whole, now)
        return min(1.0, self.total(part, now) / total) if total > 0 else empty

    def _expire(self, now: float) -> None:
        while self._buckets and (self._buckets[0][0] + 1) * BUCKET_S <= now - WINDOW_S:
            self._buckets.popleft()
