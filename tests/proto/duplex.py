"""A sender and a receiver on a link that loses, delays, repeats and forges in both directions, in virtual time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from proto.announce import Announcement
from proto.origins import Address
from proto.session import Announced, Answer, Arrival, Event, Message, ReceiverEndpoint, SenderSession
from proto.streams import REPORT, VIDEO
from proto.wire import IP_UDP_BYTES
from tests.proto.link import EPOCH, PSK

STEP = 0.01
AT_HOME: Address = ("192.0.2.1", 4000)


@dataclass
class Duplex:
    """`advance` polls both ends every 10 ms and carries what they say; `media` adds units of one packet."""

    sender: SenderSession
    receiver: ReceiverEndpoint
    loss: float = 0.0
    delay: float = 0.05
    back_loss: float | None = None  # as `loss` if not given
    seed: int = 1
    unit_seconds: float = 0.0  # a unit so often; 0 for none
    report_seconds: float = 0.0  # a report so often; 0 for none
    now: float = 100.0
    address: Address = AT_HOME  # the sender's
    unit: int = 0
    payload: int = 100
    events: list[Event] = field(default_factory=list)
    heard: list[Message] = field(default_factory=list)  # by the sender
    answered_to: list[Address] = field(default_factory=list)
    bytes_there: int = 0
    bytes_back: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._order = count()
        self._queue: list[tuple[float, int, bool, bytes, Address]] = []
        self._unit_at = self._report_at = self.now

    def there(self, datagrams: Iterable[bytes]) -> None:
        """Sender to receiver."""
        for datagram in datagrams:
            self.bytes_there += len(datagram) + IP_UDP_BYTES
            self._put(datagram, True, self.address, self.loss)

    def back(self, datagram: bytes, address: Address) -> None:
        """Receiver to sender; what goes to an address that the sender has left is gone."""
        self.bytes_back += len(datagram) + IP_UDP_BYTES
        self.answered_to.append(address)
        self._put(datagram, False, address, self.loss if self.back_loss is None else self.back_loss)

    def advance(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; ends early, and returns True, when `until` holds."""
        end = self.now + seconds
        while self.now < end - STEP / 2:
            self._step()
            if until():
                return True
            self.now += STEP
        return False

    def arrivals(self) -> list[Arrival]:
        return [event for event in self.events if isinstance(event, Arrival)]

    def announced(self) -> list[Announcement]:
        return [event.announcement for event in self.events if isinstance(event, Announced)]

    def _step(self) -> None:
        wall = EPOCH + self.now
        if self.now >= self.sender.next_time():
            self.there(self.sender.poll(self.now, wall))
        if self.unit_seconds and self.now >= self._unit_at:
            self._unit_at += self.unit_seconds
            self.there(self.sender.packets(VIDEO.id, self.unit, wall, [bytes(self.payload)]))
            self.unit += 1
        if self.report_seconds and self.now >= self._report_at:
            self._report_at += self.report_seconds
            report, to = self.receiver.seal_reply(REPORT.id, b"report", self.now), self.receiver.reply_to
            if report is not None and to is not None:
                self.back(report, to)
        if self.now >= self.receiver.next_time():
            for datagram, address in self.receiver.poll(self.now):
                self.back(datagram, address)
        while self._queue and self._queue[0][0] <= self.now:
            _, _, forwards, datagram, address = heapq.heappop(self._queue)
            if forwards:
                event = self.receiver.receive(datagram, self.now, address)
                self.events.append(event)
                if isinstance(event, Answer):
                    self.back(event.datagram, address)
            elif address == self.address:
                reply = self.sender.receive(datagram, self.now)
                if isinstance(reply, Message):
                    self.heard.append(reply)

    def _put(self, datagram: bytes, forwards: bool, address: Address, loss: float) -> None:
        if self.random.random() >= loss:
            heapq.heappush(
                self._queue, (self.now + self.delay, next(self._order), forwards, datagram, address)
            )


def pair(sender: SenderSession, **link: float) -> Duplex:
    """The sender on a link to a receiver of the default mode."""
    return Duplex(sender, ReceiverEndpoint(PSK), **link)  # type: ignore[arg-type]
