"""What happens to packet number n of a bad link, and when. No sockets, no clock: every `now` is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.bench.link.bottleneck import Bottleneck, Service
from tests.bench.link.counts import Counts
from tests.bench.link.draws import Direction, Purpose, uniform
from tests.bench.link.impairments import Impairments
from tests.bench.link.losses import LossProcess, damaged_symbols, symbols_of, with_wrong_symbols
from tests.bench.link.replay import Conditions, Opportunities

IP_UDP_BYTES = 28  # what IPv4 and UDP add to a datagram; rate and symbol errors count it


@dataclass(slots=True)
class Link:
    """Applies Impairments to packets, numbered from 0 in the order of the calls. Raises ValueError as Impairments does.

    `now` is in seconds and never goes back. What an outage meets is gone; the rest waits for the bottleneck, and what
    is lost, damaged, delayed or doubled after it has taken its share of the rate, as on the air. Arrival times are told
    when a packet comes: a change of the link does not touch those that are on their way.
    """

    impairments: Impairments
    seed: int = 1
    direction: Direction = Direction.FORWARD
    counts: Counts = field(default_factory=Counts)
    # Seconds that the packet of the last transfer waits for the bottleneck; None if it did not get that far.
    waited: float | None = field(default=None, init=False)
    _losses: LossProcess = field(init=False)
    _bottleneck: Bottleneck = field(default_factory=Bottleneck)
    _started: float | None = None
    _dead_until: float = 0.0
    _last_at: float = 0.0
    _lines: int = 0  # of a replay, in force so far

    def __post_init__(self) -> None:
        self._losses = LossProcess(self.seed, self.direction)
        _check_replay(self.impairments, 0)

    def start(self, now: float) -> None:
        """The time from which outages and replays count; the first packet's when not called before it."""
        if self._started is None:
            self._started = self._last_at = now

    def change(self, **fields: Any) -> None:
        """Other fields of the impairments from now on. Raises ValueError, and then nothing has changed.

        A replay begins at its first line, but keeps the time of the link.
        """
        changed = self.changed(**fields)
        if changed.replay is not self.impairments.replay:
            self._lines = 0
        self.impairments = changed

    def changed(self, **fields: Any) -> Impairments:
        """What `change` would put in force. Raises ValueError."""
        changed = replace(self.impairments, **fields)
        _check_replay(changed, self._lines)
        return changed

    def outage(self, now: float, seconds: float) -> None:
        """Nothing gets in from now on for so long."""
        self._dead_until = max(self._dead_until, now + seconds)

    def transfer(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """Deliveries of one packet: (time, datagram) pairs, none if it is lost."""
        number, lost = self._receive(data, now)
        link, counts = self.impairments, self.counts
        self.waited = None
        if self._is_dead(now):
            counts.outage += 1
            return []
        leaves = self._leaves(len(data) + IP_UDP_BYTES, now)
        if leaves is None:
            counts.overflow += 1
            return []
        if lost:
            counts.lost += 1
            return []
        payload = self._damaged(number, data) if link.symbol_errors else data
        if payload is None:
            counts.damaged += 1
            return []
        if link.corrupt:
            payload = self._corrupted(number, payload)
        if payload is not data:
            counts.corrupted += 1
        deliveries = [(self._arrives(number, leaves), payload)]
        if link.duplicate and self._draw(number, Purpose.DUPLICATE) < link.duplicate:
            counts.duplicated += 1
            deliveries *= 2
        counts.forwarded += len(deliveries)
        counts.wire_bytes_out += len(deliveries) * (len(data) + IP_UDP_BYTES)
        return deliveries

    def refuse(self, data: bytes, now: float) -> None:
        """Counts a packet that the caller has no room for; it has its number like any other."""
        self._receive(data, now)
        self.counts.overflow += 1

    def _receive(self, data: bytes, now: float) -> tuple[int, bool]:
        """The packet's number, and whether it is lost: decided for each, so that nothing else moves the chain."""
        number = self.counts.received
        self.counts.received += 1
        self.counts.wire_bytes += len(data) + IP_UDP_BYTES
        self.start(now)
        if isinstance(self.impairments.replay, Conditions):
            self._replay(self.impairments.replay, now)
        return number, self._losses.loses(number, self.impairments.loss, self.impairments.burst)

    def _replay(self, conditions: Conditions, now: float) -> None:
        place = conditions.place(self._elapsed(now))
        for fields in conditions.between(self._lines, place):
            self.impairments = replace(self.impairments, **fields)
        self._lines = place

    def _elapsed(self, now: float) -> float:
        return now - (now if self._started is None else self._started)

    def _is_dead(self, now: float) -> bool:
        if now < self._dead_until:
            return True
        outages = self.impairments.outages
        if not outages:
            return False
        elapsed = self._elapsed(now)
        return any(start <= elapsed < start + length for start, length in outages)

    def _leaves(self, size: int, now: float) -> float | None:
        """When a packet of `size` bytes has left the bottleneck; None if the queue is full."""
        link, elapsed = self.impairments, self._elapsed(now)
        service: Service | None
        if isinstance(link.replay, Opportunities):
            service = self._bottleneck.at_opportunities(size, elapsed, link.queue_s, link.replay)
        elif link.replay is not None and link.replay.rates is not None:
            service = self._bottleneck.on_schedule(size, elapsed, link.queue_s, link.replay.rates)
        elif link.rate_kbps is not None:
            service = self._bottleneck.at_rate(size, elapsed, link.queue_s, link.rate_kbps)
        else:
            self.waited = 0.0
            return now
        if service is None:
            return None
        begins, ends = service
        self.waited = begins - elapsed
        self.counts.waits.add(self.waited)
        return now + (ends - elapsed)

    def _arrives(self, number: int, leaves: float) -> float:
        link, at = self.impairments, leaves + self.impairments.delay_s
        if link.jitter_s:
            at += link.jitter_s * self._draw(number, Purpose.JITTER)
        if link.reorder and self._draw(number, Purpose.REORDER) < link.reorder:
            self.counts.reordered += 1
            return at + link.reorder_s
        self._last_at = max(self._last_at, at)
        return self._last_at

    def _damaged(self, number: int, data: bytes) -> bytes | None:
        """The packet after symbol errors; None if it is dropped for them."""
        link = self.impairments
        symbols = symbols_of(len(data) + IP_UDP_BYTES, link.symbol_bits)
        hit = damaged_symbols(self.seed, number, self.direction, symbols, link.symbol_errors)
        if not hit:
            return data
        if link.damaged == "drop":
            return None
        return with_wrong_symbols(
            data, hit, IP_UDP_BYTES, link.symbol_bits, self.seed, number, self.direction
        )

    def _corrupted(self, number: int, data: bytes) -> bytes:
        if not data or self._draw(number, Purpose.CORRUPT) >= self.impairments.corrupt:
            return data
        bit = int(self._draw(number, Purpose.PLACE) * len(data) * 8)
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        return bytes(changed)

    def _draw(self, number: int, purpose: Purpose) -> float:
        return uniform(self.seed, number, purpose, self.direction)


def _check_replay(link: Impairments, lines: int) -> None:
    """Every state that a replay will bring is possible. Raises ValueError."""
    if isinstance(link.replay, Conditions):
        for fields in link.replay.between(lines, lines + len(link.replay)):
            link = replace(link, **fields)
