"""Round-trip time and repeat interval as in RFC 6298 section 2, from samples that say which packet they answer."""

from __future__ import annotations

INITIAL_RTO = 0.2  # s; RFC 6298 says 1 s for fear of congestion, which here the bounded share prevents
MIN_RTO = 0.02
MAX_RTO = 1.0
_GRANULARITY = 0.001  # s, of the stamps


class RttEstimator:
    """Smoothed round-trip time (s). No back-off: loss is not taken for congestion, and a share bounds the repeats."""

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self._variation = 0.0

    @property
    def rto(self) -> float:
        """After how many seconds without an answer a message is repeated."""
        if self.smoothed is None:
            return INITIAL_RTO
        return min(max(self.smoothed + max(_GRANULARITY, 4.0 * self._variation), MIN_RTO), MAX_RTO)

    def sample(self, rtt: float) -> None:
        """Take one measurement (s, not negative)."""
        if self.smoothed is None:
            self.smoothed, self._variation = rtt, rtt / 2.0
            return
        self._variation += (abs(self.smoothed - rtt) - self._variation) / 4.0
        self.smoothed += (rtt - self.smoothed) / 8.0
