"""Sender, link and receiver in virtual time: units through the pacer and a link model, reports back through another.

Nothing here waits: a minute takes a fraction of a second, and the same seed gives the same run."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from proto.report import PlayoutState, Report
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES, max_payload
from receiver.reports import Reporter
from sender.congestion import CongestionControl, RateLimits
from sender.feedback import Feedback
from sender.pacer import Pacer
from sender.rate import RateController
from tests.bench.link import model
from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments

UNIT_S = 4 / 15
ENCODE_S = 0.05
PACKET_OVERHEAD = OVERHEAD_BYTES + IP_UDP_BYTES
TICK_S = 0.05
CLOCK_OFFSET = 4000.0  # of the receiver's clock


class Link:
    """One way of the link model, and losses before its bottleneck: its own come after it."""

    def __init__(
        self,
        impairments: Impairments,
        seed: int,
        direction: Direction = Direction.FORWARD,
        early_loss: float = 0.0,
    ) -> None:
        self._link = model.Link(impairments, seed, direction)
        self._early = model.Link(Impairments(loss=early_loss), ~seed, direction)

    def transfer(self, data: bytes, now: float) -> tuple[float | None, list[tuple[float, bytes]]]:
        """How long (s) the datagram waits for the bottleneck, None if that never sends it; and (time, datagram) pairs
        of its deliveries."""
        if not self._early.transfer(data, now):
            return None, []
        deliveries = self._link.transfer(data, now)
        return self._link.waited, deliveries

    @property
    def overflow(self) -> int:
        """Packets that the queue had no room for."""
        return self._link.counts.overflow

    def change(self, **impairments: float) -> None:
        """The link is another one from now on."""
        self._link.change(**impairments)


@dataclass(slots=True)
class Trace:
    """What happened in a flow: (time, value) pairs."""

    target: list[tuple[float, float]] = field(default_factory=list)  # kbit/s
    sent: list[tuple[float, int]] = field(default_factory=list)  # wire bytes
    carried: list[tuple[float, int]] = field(
        default_factory=list
    )  # wire bytes that the bottleneck sent, at entry
    queued: list[tuple[float, float]] = field(default_factory=list)  # s, of these packets
    states: list[tuple[float, str]] = field(default_factory=list)
    reports: list[tuple[float, int]] = field(default_factory=list)  # wire bytes
    units: dict[int, int] = field(default_factory=dict)  # how often each was told of
    dropped: int = 0


class World:
    """Virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Call `action` then."""
        self._number += 1
        heapq.heappush(self._events, (max(time, self.now), self._number, action))

    def run(self, until: float) -> None:
        """Everything up to then."""
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()


class Flow:
    """One sender and its receiver."""

    def __init__(
        self,
        world: World,
        forward: Link,
        back: Link,
        limits: RateLimits,
        seed: int = 1,
        begin: float = 0.0,
        spread: float = 0.75,
    ) -> None:
        self.trace = Trace()
        self.control = CongestionControl(limits)
        self.feedback = Feedback()
        self._world, self._forward, self._back = world, forward, back
        self._random = random.Random(seed)
        self._pacer: Pacer[bytes] = Pacer(spread)
        self._rate = RateController(limits.start, UNIT_S, PACKET_OVERHEAD, max_payload())
        self._reporter = Reporter()
        self._session = seed.to_bytes(6, "big")[::-1]
        self._counter = 0
        self._arrived: dict[int, list[bool]] = {}
        self._shown = self._due = 0
        self._heard = False
        world.at(begin, lambda: self._unit(0))
        world.at(begin, self._tick)
        world.at(begin + 0.01, self._receive_tick)

    def _unit(self, number: int) -> None:
        """Encode a unit: as many packets as its bytes need, all alike, a little less than the budget."""
        begun, world = self._world.now, self._world
        wire = self._rate.budget().wire_bytes * self._random.uniform(0.9, 1.0)
        count = min(64, max(2, round(wire / 500) if wire < 4000 else -int(-wire // 1228)))
        size = max(PACKET_OVERHEAD + 40, min(1228, int(wire / count)))

        def ready() -> None:
            admitted = self._rate.admit([size] * count)
            self._rate.spent(size * admitted)
            self.feedback.unit_sent(number, admitted)
            self._arrived[number] = [False] * admitted
            world.at(world.now + 0.6, lambda: self._close(number))
            datagrams = [
                number.to_bytes(4, "big") + bytes((i,)) + bytes(size - IP_UDP_BYTES - 5)
                for i in range(admitted)
            ]
            self._pacer.submit(datagrams, UNIT_S, world.now)
            self._pump()

        world.at(begun + ENCODE_S, ready)
        world.at(begun + UNIT_S, lambda: self._unit(number + 1))

    def _pump(self) -> None:
        world = self._world
        for datagram in self._pacer.take(world.now):
            self._send(datagram)
        due = self._pacer.next_time()
        if due is not None:
            world.at(due + 1e-9, self._pump)

    def _send(self, datagram: bytes) -> None:
        world, counter = self._world, self._counter
        now, size = world.now, len(datagram) + IP_UDP_BYTES
        self._counter += 1
        self.feedback.sent(self._session, counter, size, now)
        self.feedback.segment_sent(int.from_bytes(datagram[2:4], "big"))
        self.trace.sent.append((now, size))
        queued, deliveries = self._forward.transfer(datagram, now)
        if queued is not None:
            self.trace.carried.append((now, size))
            self.trace.queued.append((now, queued))
        for at, data in deliveries:
            world.at(at, lambda data=data: self._receive(counter, data))  # type: ignore[misc]

    def _receive(self, counter: int, data: bytes) -> None:
        now, unit = self._world.now, int.from_bytes(data[:4], "big")
        self._heard = True
        mask = self._arrived.get(unit)
        if mask is not None:
            mask[data[4]] = True
        self._reporter.packet(self._session, counter, len(data) + IP_UDP_BYTES, now + CLOCK_OFFSET)
        self._reporter.media(unit * UNIT_S, now + CLOCK_OFFSET)

    def _close(self, unit: int) -> None:
        mask = self._arrived.pop(unit)
        self._due += 1
        self._shown += any(mask)
        self._reporter.unit_closed(unit, len(mask), mask, self._world.now + CLOCK_OFFSET)

    def _receive_tick(self) -> None:
        world, now = self._world, self._world.now + CLOCK_OFFSET
        self._reporter.playout(
            PlayoutState.PLAYING if self._heard else PlayoutState.WAITING, self._shown, self._due, 0.4
        )
        if self._reporter.due(now):
            payload = self._reporter.build(now)
            self.trace.reports.append((world.now, len(payload) + PACKET_OVERHEAD))
            for at, data in self._back.transfer(payload, world.now)[1]:
                world.at(at, lambda data=data: self._report(data))  # type: ignore[misc]
        world.at(world.now + 0.01, self._receive_tick)

    def _report(self, payload: bytes) -> None:
        now = self._world.now
        update = self.feedback.report(Report.parse(payload), now)
        if update is None:
            return
        for unit, _ in update.units:
            self.trace.units[unit] = self.trace.units.get(unit, 0) + 1
        self.control.update(update, self.feedback.rtt or 0.0, now)
        self._follow()

    def _tick(self) -> None:
        world = self._world
        self.control.tick(self.feedback.dead(world.now), world.now)
        self._follow()
        self.trace.target.append((world.now, self.control.kbps))
        self.trace.states.append((world.now, str(self.control.state)))
        world.at(world.now + TICK_S, self._tick)

    def _follow(self) -> None:
        """What the event loop does with a new target."""
        before = self._rate.kbps
        if self.control.kbps != before:
            self._rate.set_target(self.control.kbps)
            if self.control.kbps < 0.8 * before:
                self._pacer.slow(self.control.kbps, self._world.now)
        self.trace.dropped = self._pacer.dropped
