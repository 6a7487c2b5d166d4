"""Maps and stand-ins for pictures through a sender's Control and over a link, in virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import numpy as np

from common.codec.texture.encoder import unit_frames
from common.maps.base import MapSource
from common.maps.part import MapPart
from common.maps.told import LegendPart
from common.values import Size
from proto.announce import KIND_LEGEND
from proto.origins import Address
from proto.packet import Segment
from proto.packetizer import segments
from proto.recover import RecoveredUnit
from proto.report import PlayoutState
from proto.session import Answer, Arrival, Message, ReceiverEndpoint, Recovered, Rules, SenderSession
from proto.streams import CONTOURS, VIDEO
from proto.wire import IP_UDP_BYTES, MAX_STREAM, OVERHEAD_BYTES, Mode
from receiver.replies import Replies
from sender.build import FIRST_SHARE
from sender.ceiling import Ceiling
from sender.congestion import RateLimits
from sender.contours.settings import ContoursSection
from sender.contours.share import ContourShare
from sender.contours.stage import ContourStage, MapUnit
from sender.contours.stream import ContourStream
from sender.control import Control
from sender.pacer import Pacer
from sender.rate_held import HeldRate
from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.proto.link import EPOCH, PSK
from tests.sender.contours.scene import FPS, HEIGHT, WIDTH, Squares, frame
from tests.sender.contours.watched import Watched

STEP = 0.01
START = 100.0
AFTER_S = 0.45  # from when a unit of pictures is whole until its first one is shown
SIZE = Size(WIDTH, HEIGHT)
SENDER: Address = ("192.0.2.1", 4000)


class StructureLink:
    """`advance` lets time pass: a map every tenth of a second, and units of pictures."""

    def __init__(
        self,
        kbps: float,
        mode: Mode = Mode.AUTO,
        loss: float = 0.0,
        seed: int = 1,
        *,
        maps: MapSource | None = None,
        size: Size = SIZE,
    ) -> None:
        self.now = START
        watched, maps = maps is not None, maps or Squares()
        part: Callable[[float], float] = lambda kbps: ContoursSection().part(kbps, self.ceiling.loss)  # noqa: E731
        self.unit_s = unit_frames(FPS, kbps * (1 - ContoursSection().part(kbps, 0.0))) / FPS
        clock: Callable[[], float] = lambda: self.now  # noqa: E731
        self.session = SenderSession(PSK, mode=mode, rules=Rules(first_share=FIRST_SHARE))
        self.pacer: Pacer[Segment] = Pacer()
        self.ceiling = Ceiling(kbps)
        overhead = OVERHEAD_BYTES + IP_UDP_BYTES
        self.rate = HeldRate(
            *(kbps, self.unit_s, overhead, self.session.payload_limit),
            part=lambda kbps: 1 - part(kbps),
            ceiling=self.ceiling,
            spread=0.75,
            clock=clock,
        )
        limits = RateLimits(kbps, minimum=2.0, cap=kbps, safe=kbps, fixed=mode is Mode.ONE_WAY)
        self.control = Control(self.session, limits, self.rate, self.pacer)
        every = ContoursSection().every(FPS, kbps)
        share = ContourShare(part, FPS / every, kbps, self.ceiling, self.unit_s)
        self.stream = ContourStream(self.session.payload_limit, maps.legend, share, self.ceiling)
        self.control.contours, self.control.ceiling = self.stream, self.ceiling
        self.stage = ContourStage(
            *(maps, size, FPS, self.stream),
            every=every,
            highest=0.99,
            payload_limit=self.session.payload_limit,
            deliver=self._deliver,
            ready=lambda: self.control.ready,
            clock=clock,
        )
        self.endpoint = ReceiverEndpoint(PSK, mode=mode)
        self.watched = Watched(maps, size, self.unit_s + AFTER_S)
        """Of maps that were given, what a viewer sees."""
        self._watching = watched
        self.replies = Replies(self.endpoint, lambda: (PlayoutState.PLAYING, 0.8))
        self.sent: list[tuple[float, int, int]] = []  # time, stream, wire bytes
        self.maps: list[MapUnit] = []
        self.recovered: list[RecoveredUnit] = []
        self.legends: list[LegendPart] = []
        self.withheld = 0
        there = Impairments(loss=loss, delay_s=0.04)
        self._links = Link(there, seed), Link(there, seed, Direction.BACK)
        self._order, self._queue = count(), list[tuple[float, int, bool, bytes]]()
        self._frame = self._unit = 0
        self._polled = float("-inf")

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP)):
            self._step()
            self.now += STEP

    def most(self, seconds: float = 10.0) -> int:
        """The most bytes that were sent in so many seconds."""
        times = np.array([at for at, _, _ in self.sent])
        sums = np.concatenate(([0], np.cumsum([size for _, _, size in self.sent])))
        return int(
            max(sums[i + 1] - sums[np.searchsorted(times, at - seconds)] for i, at in enumerate(times))
        )

    def wire(self, since: float, stream: int | None = None) -> int:
        """Bytes sent since then."""
        return sum(size for at, of, size in self.sent if at >= since and stream in (None, of))

    def map_units(self) -> set[int]:
        """Numbers of the map units of which something arrived in time or was brought back."""
        return {MapPart.parse(unit.data).unit for unit in self.recovered}

    def _deliver(self, unit: MapUnit) -> None:
        self.maps.append(unit)
        self.stream.push(unit.parts, unit.timestamp, unit.duration, self.now)

    def _step(self) -> None:
        if self.now >= START + self._frame / FPS:
            self.stage.take(frame(self._frame, EPOCH + self.now))
            if self._watching:
                self.watched.captured(self._frame, self.now)
            self._frame += 1
        if self.now >= self.control.next_time():
            self._send(self.control.poll(self.now, EPOCH + self.now))
        if self.now >= START + (self._unit + 1) * self.unit_s:
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
        if self.now >= self.replies.next_time(self._polled):
            for datagram, _ in self.replies.poll(self.now):
                self._carry(datagram, False)
            self._polled = self.now
        self.watched.step(self.now)

    def _encode(self) -> None:
        room = int(self.rate.budget().wire_bytes) - OVERHEAD_BYTES - IP_UDP_BYTES
        payload = bytes(max(20, min(room, self.session.payload_limit)))
        size = len(payload) + OVERHEAD_BYTES + IP_UDP_BYTES
        count = self.rate.admit([size])
        self.rate.spent(size * count)
        self.withheld += not count
        if count:
            cut = segments(VIDEO.id, self._unit, EPOCH + self.now, [payload], self.session.payload_limit)
            self.control.unit_sent(self._unit, 1)
            self.pacer.submit(cut, self.unit_s, self.now)
        self._unit += 1

    def _send(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self.sent.append((self.now, datagram[0] & MAX_STREAM, len(datagram) + IP_UDP_BYTES))
            self._carry(datagram, True)

    def _carry(self, datagram: bytes, forwards: bool) -> None:
        for at, data in self._links[not forwards].transfer(datagram, self.now):
            heapq.heappush(self._queue, (at, next(self._order), forwards, data))

    def _take_in(self, datagram: bytes) -> None:
        event = self.endpoint.receive(datagram, self.now, SENDER)
        if isinstance(event, Answer):
            self._carry(event.datagram, False)
        elif isinstance(event, Arrival):
            self.replies.arrived(event, self.now)
        elif isinstance(event, Recovered) and event.stream == CONTOURS.id:
            self.recovered += event.units
            self.watched.player.recovered(event.origin, event.units, self.now)
        elif isinstance(event, Message) and event.body[:1] == bytes((KIND_LEGEND,)):
            self.legends.append(LegendPart.parse(event.body))
