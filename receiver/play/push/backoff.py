"""How long to wait before the next attempt: exponential, with jitter, for ever. Pure."""

from __future__ import annotations

import random


class Backoff:
    """Doubles from `first` to `most` seconds with each failure; begins anew after a connection that lasted.

    A half of each wait is random, so that many pushes do not come back to a restarted server at the same moment.
    """

    def __init__(
        self, first: float = 1.0, most: float = 30.0, settled: float = 10.0, rng: random.Random | None = None
    ) -> None:
        """`settled`: seconds that a connection must have lasted to count as a success."""
        self._first = first
        self._most = most
        self._settled = settled
        self._rng = rng or random.Random()
        self._next = first

    def failed(self, lasted: float = 0.0) -> float:
        """Seconds to wait now; `lasted`: seconds that the connection was up, 0 if it never was."""
        if lasted >= self._settled:
            self._next = self._first
        wait = self._next * self._rng.uniform(0.5, 1.0)
        self._next = min(self._most, 2 * self._next)
        return wait
