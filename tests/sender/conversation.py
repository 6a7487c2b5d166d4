"""A sender's Control and a receiver's Replies on a link that is bad both ways, in virtual time."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from common.codec.base import Budget
from proto.origins import Address
from proto.packet import Segment
from proto.packetizer import segments
from proto.recover import RecoveredUnit
from proto.report import PlayoutState
from proto.session import Answer, Arrival, Delivered, ReceiverEndpoint, Recovered, SenderSession
from proto.streams import VIDEO
from proto.wire import IP_UDP_BYTES, MAX_STREAM, OVERHEAD_BYTES, Mode
from receiver.replies import Replies
from receiver.text import TextLog
from sender.congestion import RateLimits
from sender.control import Control
from sender.pacer import Pacer
from sender.packet_length.adapt import PacketLength
from sender.packet_length.join import LateJoin
from sender.rate import RateController
from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.proto.link import EPOCH, PSK

STEP = 0.005
UNIT_SECONDS = 4 / 15
PAYLOAD = 250
PACKET = PAYLOAD + OVERHEAD_BYTES + IP_UDP_BYTES
DEFAULT_LIMITS = RateLimits(60.0, cap=60.0)
DEFAULT_LINK = Impairments(delay_s=0.04)
SENDER: Address = ("192.0.2.1", 4000)


@dataclass
class Conversation:
    """`advance` lets time pass. Units are as many packets of one size as the budget has room for; the receiver takes
    each `playout` seconds after it was encoded."""

    mode: Mode = Mode.AUTO
    receiver_mode: Mode = Mode.AUTO
    limits: RateLimits = DEFAULT_LIMITS
    lengths: PacketLength | None = None
    late_join: LateJoin | None = None
    seed: int = 1
    link: Impairments = DEFAULT_LINK
    back_link: Impairments | None = None  # as `link` if not given
    playout: float = 0.6
    now: float = 100.0
    told: list[tuple[int, tuple[bool, ...] | None]] = field(default_factory=list)
    arrived: dict[int, list[bool]] = field(default_factory=dict)  # by unit, which packets did
    sent: list[tuple[float, int, int]] = field(default_factory=list)  # time, stream, wire bytes
    recovered: list[RecoveredUnit] = field(default_factory=list)  # of protected streams
    replied: int = 0  # datagrams that the receiver sent
    unit: int = 0

    def __post_init__(self) -> None:
        self.session = SenderSession(PSK, mode=self.mode)
        self.pacer: Pacer[Segment] = Pacer()
        self.rate = RateController(
            self.limits.start, UNIT_SECONDS, OVERHEAD_BYTES + IP_UDP_BYTES, self.session.payload_limit
        )
        self.control = Control(
            self.session, self.limits, self.rate, self.pacer, self.lengths, late_join=self.late_join
        )
        self.endpoint = ReceiverEndpoint(PSK, mode=self.receiver_mode)
        self.restart_receiver()
        self.there = Link(self.link, self.seed)
        self.back = Link(self.back_link or self.link, self.seed, Direction.BACK)
        self._order = count()
        self._queue: list[tuple[float, int, bool, bytes]] = []
        self._due: deque[tuple[float, int]] = deque()
        self._unit_at = self.now
        self._polled = float("-inf")

    def restart_receiver(self) -> None:
        """The receiver begins anew and knows nothing."""
        self.endpoint = ReceiverEndpoint(PSK, mode=self.receiver_mode)
        self.replies = Replies(self.endpoint, lambda: (PlayoutState.PLAYING, self.playout))
        self.text = TextLog()

    @property
    def line(self) -> str | None:
        """The operator's text on show."""
        return self.text.last(self.session.origin)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end - STEP / 2:
            self._step()
            self.now += STEP

    def wire_bytes(self, since: float, stream: int | None = None) -> int:
        """Sent since then; of one stream, or of all."""
        return sum(size for at, of, size in self.sent if at >= since and stream in (None, of))

    def _step(self) -> None:
        if self.now >= self.control.next_time():
            self._send(self.control.poll(self.now, EPOCH + self.now))
        if self.now >= self._unit_at:
            self._unit_at += UNIT_SECONDS
            self._encode()
        for segment in self.pacer.take(self.now):
            datagram = self.control.seal(segment, self.now)
            self._send([] if datagram is None else [datagram])
        while self._queue and self._queue[0][0] <= self.now:
            _, _, forwards, datagram = heapq.heappop(self._queue)
            if forwards:
                self._take_in(datagram)
            else:
                self.control.receive(datagram, self.now)
        while self._due and self._due[0][0] <= self.now:
            unit = self._due.popleft()[1]
            reassembler = self.endpoint.reassembler(VIDEO.id)
            taken = None if reassembler is None else reassembler.take(unit)
            if taken is not None:
                self.replies.decoded(unit, False, True, self.now)
            if taken is not None:
                self.arrived[unit] = list(taken.arrived)
        if self.now >= self.replies.next_time(self._polled):
            for datagram, address in self.replies.poll(self.now):
                assert address == SENDER
                self._reply(datagram)
            self._polled = self.now

    def _encode(self) -> None:
        self.told += self.control.take_reports()
        if not self.control.ready:
            return
        self.control.plan_packets()
        payloads = self.encode(self.rate.budget())
        self.rate.spent(sum(len(payload) + OVERHEAD_BYTES + IP_UDP_BYTES for payload in payloads))
        self.arrived[self.unit] = [False] * len(payloads)
        cut = segments(VIDEO.id, self.unit, EPOCH + self.now, payloads, self.session.payload_limit)
        self.control.unit_sent(self.unit, len(payloads))
        self.pacer.submit(cut, UNIT_SECONDS, self.now)
        self._due.append((self.now + self.playout, self.unit))
        self.unit += 1

    def encode(self, budget: Budget) -> list[bytes]:
        """The payloads of a unit."""
        return [bytes(PAYLOAD)] * max(1, round(budget.wire_bytes / PACKET))

    def _send(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self.sent.append((self.now, datagram[0] & MAX_STREAM, len(datagram) + IP_UDP_BYTES))
            self._carry(self.there, datagram, True)

    def _reply(self, datagram: bytes) -> None:
        self.replied += 1
        self._carry(self.back, datagram, False)

    def _carry(self, link: Link, datagram: bytes, forwards: bool) -> None:
        for at, data in link.transfer(datagram, self.now):
            heapq.heappush(self._queue, (at, next(self._order), forwards, data))

    def _take_in(self, datagram: bytes) -> None:
        event = self.endpoint.receive(datagram, self.now, SENDER)
        if isinstance(event, Answer):
            self._reply(event.datagram)
        elif isinstance(event, Arrival):
            self.replies.arrived(event, self.now)
        elif isinstance(event, Delivered):
            self.text.delivered(event, self.now)
            self._polled = float("-inf")  # it is to be acknowledged
        elif isinstance(event, Recovered):
            self.recovered += event.units
