"""A bounded share of the wire rate: a token bucket that may go into debt for one packet. Pure."""

from __future__ import annotations

from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES

PACKET_COST = IP_UDP_BYTES + OVERHEAD_BYTES  # bytes on the wire that are not payload
_SLACK = 1e-3  # bytes; a wait until the level is 0 must be enough, whatever floats round


class Budget:
    """Lets packets out at `rate` wire bytes a second. `now` is monotonic seconds.

    A packet may leave while the level is not below 0 and is then paid in full, so a packet of any size gets out at any
    rate, and over t seconds at most rate * (t + `burst_s`) bytes and one packet leave.
    """

    def __init__(self, rate: float, burst_s: float = 0.25) -> None:
        """`rate`: wire bytes (payload, our own overhead, IP and UDP) a second; 0 lets nothing out."""
        if not rate >= 0.0:
            raise ValueError(f"rate: must not be negative (got {rate})")
        if not burst_s >= 0.0:
            raise ValueError(f"burst_s: must not be negative (got {burst_s})")
        self._rate, self._burst_s = rate, burst_s
        self._level = rate * burst_s
        self._at: float | None = None

    @property
    def rate(self) -> float:
        """Wire bytes a second."""
        return self._rate

    def set_rate(self, rate: float, now: float) -> None:
        """From `now` on. What has been saved or is owed stays. Raises ValueError."""
        if not rate >= 0.0:
            raise ValueError(f"rate: must not be negative (got {rate})")
        self._fill(now)
        self._rate = rate

    def spend(self, payload_bytes: int, now: float) -> bool:
        """Pay for one packet; False, and nothing is paid, if it has to wait."""
        self._fill(now)
        if self._rate <= 0.0 or self._level < -_SLACK:
            return False
        self._level -= payload_bytes + PACKET_COST
        return True

    def ready(self, now: float) -> float | None:
        """When `spend` will next say yes: `now` or later; None at rate 0."""
        self._fill(now)
        if self._rate <= 0.0:
            return None
        return now + max(0.0, -self._level) / self._rate

    def _fill(self, now: float) -> None:
        if self._at is not None:
            passed = max(0.0, now - self._at)
            self._level = min(self._level + passed * self._rate, self._rate * self._burst_s)
        self._at = now if self._at is None else max(self._at, now)
