"""Which quantiser a picture gets, so that its unit fills its room. The bytes fall about exponentially with it. Pure."""

from __future__ import annotations

import math
from collections import deque

from common.codec.hevc.stream import COARSEST, FINEST

HALVING = 6.0  # steps that halve the bytes, about
WINDOW = 4  # pictures that the next are expected to be like
NEWEST = 0.8  # how much the last picture counts where it was harder than those before
BACK = 2.0  # steps by which a picture may be finer than the one before


class Pictures:
    """How hard the last pictures that refer to others were to code."""

    def __init__(self, quantiser: float) -> None:
        """`quantiser`: of the key frame they begin with, for the first of them."""
        self.last = quantiser
        self._hard: deque[float] = deque(maxlen=WINDOW)

    def learn(self, size: int, quantiser: int) -> None:
        """A picture as it was coded."""
        self._hard.append(size * 2 ** (quantiser / HALVING))
        self.last = float(quantiser)

    def choose(self, room: float, left: int) -> int:
        """For the next of `left` pictures that share `room` bytes."""
        if room <= 0:
            return COARSEST
        if not self._hard:
            return _limited(self.last + 2)
        # What begins to move goes on moving; what stops may begin again.
        mean = sum(self._hard) / len(self._hard)
        hard = max(mean, (1 - NEWEST) * mean + NEWEST * self._hard[-1])
        wanted = HALVING * math.log2(max(1e-9, hard * left / room))
        return _limited(max(wanted, self.last - BACK))


def _limited(quantiser: float) -> int:
    return max(FINEST, min(COARSEST, math.ceil(quantiser - 0.4)))
