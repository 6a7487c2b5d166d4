"""Both daemons' cores on a lossy link in virtual time: keys, media, reports and rate, from one event to the next."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from proto.packet import Segment
from proto.report import PlayoutState
from proto.session import Answer, Arrival, ReceiverEndpoint, SenderSession
from proto.streams import VIDEO
from proto.wire import HANDSHAKE_BYTE, IP_UDP_BYTES, OVERHEAD_BYTES, Mode, to_ticks
from receiver.replies import Replies
from sender.congestion import RateLimits
from sender.control import Control
from sender.pacer import Pacer
from sender.rate import RateController

PSK = bytes(range(32))
HERE = ("192.0.2.1", 4000)
EPOCH = 1_800_000_000.0


@dataclass
class Conversation:
    """`run` lets time pass; the lists tell what came when, by the sender's clock."""

    loss: float = 0.3
    delay: float = 0.05
    seed: int = 1
    start: float = 100.0
    unit: int = 0  # the next one's number
    unit_seconds: float = 0.5
    clock_offset: float = 0.0  # s, of the receiver's clock from the sender's
    handshakes_pass: bool = True
    units: list[tuple[float, int]] = field(default_factory=list)  # the first packet of each that was taken in
    transits: set[int] = field(
        default_factory=set
    )  # ticks between a unit's time and what the receiver makes of it
    reports: list[float] = field(default_factory=list)
    agreed: list[float] = field(default_factory=list)  # on keys
    counters: dict[bytes, int] = field(default_factory=dict)  # the highest of each session that was taken in

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = self.start
        self.session = SenderSession(PSK, mode=Mode.AUTO)
        pacer: Pacer[Segment] = Pacer()
        overhead = OVERHEAD_BYTES + IP_UDP_BYTES
        rate = RateController(60.0, self.unit_seconds, overhead, self.session.payload_limit)
        self.control = Control(self.session, RateLimits(start=60.0), rate, pacer)
        self.receiver = ReceiverEndpoint(PSK)
        self.replies = Replies(self.receiver, lambda: (PlayoutState.PLAYING, 0.3))
        self._number = count()
        self._queue: list[tuple[float, int, bool, bytes]] = []
        self._unit_at = self._control_at = self._replies_at = self.start

    @property
    def last(self) -> int:
        """The number of the newest unit that the receiver has."""
        return self.units[-1][1]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            arrives = self._queue[0][0] if self._queue else math.inf
            at = min(self._unit_at, self._control_at, self._replies_at, arrives)
            if at > end:
                break
            self.now = max(self.now, at)
            if at == arrives:
                _, _, forwards, datagram = heapq.heappop(self._queue)
                (self._receive if forwards else self._reply)(datagram)
            elif at == self._unit_at:
                self._unit_at += self.unit_seconds
                self._put(self._media(), True)
            elif at == self._control_at:
                self._poll_sender()
            else:
                self._put([d for d, _ in self.replies.poll(self._receivers(self.now))], False)
                self._replies_at = self.replies.next_time(self._receivers(self.now)) - self.clock_offset
        self.now = end

    def _receivers(self, now: float) -> float:
        return now + self.clock_offset

    def _media(self) -> Iterator[bytes]:
        self.control.unit_sent(self.unit, 2)
        ticks = to_ticks(EPOCH + self.now)
        for index in range(2):
            datagram = self.control.seal(
                Segment(VIDEO.id, self.unit & 0xFFFF, index, 2, ticks, bytes(200)), self.now
            )
            assert datagram is not None  # in this mode there are always keys
            yield datagram
        self.unit += 1

    def _poll_sender(self) -> None:
        self._put(self.control.poll(self.now, EPOCH + self.now), True)
        self._control_at = max(self.control.next_time(), self.now + 1e-3)

    def _receive(self, datagram: bytes) -> None:
        now = self._receivers(self.now)
        event = self.receiver.receive(datagram, now, HERE)
        if isinstance(event, Answer):
            self._put([event.datagram], False)
        elif isinstance(event, Arrival):
            self.replies.arrived(event, now)
            self.counters[event.session] = max(
                self.counters.get(event.session, 0), int.from_bytes(datagram[7:11])
            )
            if not self.units or event.unit > self.last:
                self._first_of(event)

    def _first_of(self, event: Arrival) -> None:
        self.units.append((self.now, event.unit))
        reassembler = self.receiver.reassembler(event.stream)
        assert reassembler is not None
        timestamp = reassembler.timestamp(event.unit)
        assert timestamp is not None
        self.transits.add(round((EPOCH + self._unit_at - self.unit_seconds - timestamp) / 0.004))
        reassembler.take(event.unit - 1)  # as the player does, a little later

    def _reply(self, datagram: bytes) -> None:
        reports, handshakes = self.control.feedback.reports, self.session.handshakes
        self.control.receive(datagram, self.now)
        if self.control.feedback.reports > reports:
            self.reports.append(self.now)
        if self.session.handshakes > handshakes:
            self.agreed.append(self.now)
        self._poll_sender()

    def _put(self, datagrams: Iterator[bytes] | list[bytes], forwards: bool) -> None:
        for datagram in datagrams:
            if datagram[0] == HANDSHAKE_BYTE and not self.handshakes_pass:
                continue
            if self.random.random() >= self.loss:
                heapq.heappush(self._queue, (self.now + self.delay, next(self._number), forwards, datagram))
