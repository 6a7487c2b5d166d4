"""How fast something flows: a sum over the last seconds, pure."""

from __future__ import annotations

from collections import deque

STEP = 0.1
"""Seconds that are counted together; bounds the memory to window / STEP entries."""


class RateMeter:
    """Amount per second over a sliding window. One thread adds; others may read."""

    def __init__(self, window: float = 4.0) -> None:
        self._window = window
        self._steps: deque[tuple[float, float]] = deque()
        self._start: float | None = None

    def add(self, amount: float, now: float) -> None:
        """Count `amount` at time `now` (seconds, never going back)."""
        if self._start is None:
            self._start = now
        if self._steps and now - self._steps[-1][0] < STEP:
            begun, total = self._steps[-1]
            self._steps[-1] = (begun, total + amount)
        else:
            self._steps.append((now, amount))
            self._forget(now)

    def rate(self, now: float) -> float:
        """Amount per second over the last `window` seconds, or since the first `add` if that is later."""
        if self._start is None:
            return 0.0
        span = min(self._window, max(now - self._start, STEP))
        return sum(total for begun, total in tuple(self._steps) if begun > now - self._window) / span

    def _forget(self, now: float) -> None:
        while self._steps and self._steps[0][0] <= now - self._window:
            self._steps.popleft()
