"""A bad link, as arithmetic: what happens to packet number n, and when. No sockets, no clock.

Every random decision about a packet is a hash of (seed, packet number, purpose). So the same seed loses the
same packet numbers whatever else is switched on, on every platform, and a run can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

IP_UDP_BYTES = 28  # what IPv4 and UDP add to a datagram; the rate cap counts it
_MASK = (1 << 64) - 1


class Purpose(IntEnum):
    """What a random number decides; each purpose has a sequence of its own."""

    LOSS = 1
    DUPLICATE = 2
    CORRUPT = 3
    PLACE = 4
    JITTER = 5
    REORDER = 6


def uniform(seed: int, number: int, purpose: Purpose) -> float:
    """A number in [0, 1) that depends on nothing but the arguments (splitmix64 over their mix)."""
    word = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + purpose * 0x8CB92BA72F3D8DD7) & _MASK
    for _ in range(2):
        word = (word + 0x9E3779B97F4A7C15) & _MASK
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
        word ^= word >> 31
    return (word >> 11) / float(1 << 53)


@dataclass(frozen=True, slots=True)
class Impairments:
    """The link. Times are in seconds, probabilities in 0..1.

    With `burst` (mean length of a run of lost packets, at least 1/(1-loss)) losses follow a two-state
    Gilbert-Elliott chain; without it they are independent. Jitter keeps the order of packets, `reorder`
    does not: such a packet waits `reorder_s` longer than its neighbours. `outages` are (start, length)
    after the first packet. `rate_kbps` is a bottleneck with a queue of `queue_s`, tail drop.
    """

    loss: float = 0.0
    burst: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.02
    duplicate: float = 0.0
    corrupt: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    rate_kbps: float | None = None
    queue_s: float = 0.2

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate", "corrupt"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: must be between 0 and 1 (got {getattr(self, name)})")
        for name in ("delay_s", "jitter_s", "reorder_s", "queue_s"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name}: must not be negative (got {getattr(self, name)})")
        if self.rate_kbps is not None and self.rate_kbps <= 0.0:
            raise ValueError(f"rate_kbps: must be above 0 (got {self.rate_kbps})")
        if (
            self.burst is not None
            and self.loss < 1.0
            and self.burst * (1.0 - self.loss) < max(self.loss, 1e-9)
        ):
            least = self.loss / (1.0 - self.loss)
            raise ValueError(
                f"burst: at a loss of {self.loss} runs last at least {least:.2f} packets on average"
            )
        if self.burst is not None and self.burst < 1.0:
            raise ValueError(f"burst: must be at least 1 packet (got {self.burst})")


@dataclass(slots=True)
class Counts:
    """What became of the packets. received = forwarded - duplicated + lost + outage + overflow."""

    received: int = 0
    forwarded: int = 0
    lost: int = 0
    outage: int = 0
    overflow: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    wire_bytes: int = 0  # of what was received, with IP and UDP


@dataclass(slots=True)
class Channel:
    """Applies Impairments to packets, numbered from 0 in the order of the calls."""

    link: Impairments
    seed: int = 1
    counts: Counts = field(default_factory=Counts)
    _bad: bool = False
    _started: float | None = None
    _free_at: float = 0.0
    _last_at: float = 0.0

    def transfer(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """Deliveries of one packet: (time, datagram) pairs, none if it is lost. `now` never goes back."""
        number = self.counts.received
        self.counts.received += 1
        self.counts.wire_bytes += len(data) + IP_UDP_BYTES
        if self._started is None:
            self._started = now
        elapsed = now - self._started
        lost = self._loses(number)
        if any(start <= elapsed < start + length for start, length in self.link.outages):
            self.counts.outage += 1
            return []
        if lost:
            self.counts.lost += 1
            return []
        leaves = self._leaves_bottleneck(len(data) + IP_UDP_BYTES, now)
        if leaves is None:
            self.counts.overflow += 1
            return []
        at = self._arrives(number, leaves)
        payload = self._corrupted(number, data)
        deliveries = [(at, payload)]
        if uniform(self.seed, number, Purpose.DUPLICATE) < self.link.duplicate:
            self.counts.duplicated += 1
            deliveries.append((at, payload))
        self.counts.forwarded += len(deliveries)
        return deliveries

    def _loses(self, number: int) -> bool:
        draw = uniform(self.seed, number, Purpose.LOSS)
        loss, burst = self.link.loss, self.link.burst
        if burst is None or loss in (0.0, 1.0):
            return draw < loss
        # Gilbert-Elliott with certain loss in the bad state; its stationary loss is `loss`. The first
        # packet is drawn from that distribution.
        if number == 0:
            self._bad = draw < loss
        elif self._bad:
            self._bad = draw >= 1.0 / burst
        else:
            self._bad = draw < loss / (burst * (1.0 - loss))
        return self._bad

    def _leaves_bottleneck(self, size: int, now: float) -> float | None:
        if self.link.rate_kbps is None:
            return now
        starts = max(now, self._free_at)
        if starts - now > self.link.queue_s:
            return None
        self._free_at = starts + size * 8e-3 / self.link.rate_kbps
        return self._free_at

    def _arrives(self, number: int, leaves: float) -> float:
        at = leaves + self.link.delay_s + self.link.jitter_s * uniform(self.seed, number, Purpose.JITTER)
        if uniform(self.seed, number, Purpose.REORDER) < self.link.reorder:
            self.counts.reordered += 1
            return at + self.link.reorder_s
        self._last_at = max(self._last_at, at)
        return self._last_at

    def _corrupted(self, number: int, data: bytes) -> bytes:
        if not data or uniform(self.seed, number, Purpose.CORRUPT) >= self.link.corrupt:
            return data
        self.counts.corrupted += 1
        bit = int(uniform(self.seed, number, Purpose.PLACE) * len(data) * 8)
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        return bytes(changed)
