"""Two ends and a channel that loses, delays, repeats, swaps and forges, for fuzzing whole sessions."""

from __future__ import annotations

from dataclasses import dataclass, field

from proto.keys import KeySchedule
from proto.session import Answer, Arrival, Dropped, ReceiverEndpoint, SenderSession
from proto.streams import CONTROL, REPORT, VIDEO

PSK = bytes(range(32))
KEYS = KeySchedule(PSK)
HERE = ("192.0.2.1", 1)

Step = tuple[str, object]


@dataclass
class World:
    """Two ends; `seen` is everything that was ever on the link, for repetition and forgery."""

    sender: SenderSession
    receiver: ReceiverEndpoint
    now: float = 10.0
    unit: int = 0
    there: list[bytes] = field(default_factory=list)
    back: list[bytes] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)
    delivered: set[bytes] = field(default_factory=set)

    def poll(self) -> None:
        self.send(self.sender.poll(self.now, self.now))
        self.answer([datagram for datagram, _ in self.receiver.poll(self.now)])
        self.sender.next_time()
        self.receiver.next_time()

    def send(self, datagrams: list[bytes]) -> None:
        self.there += datagrams
        self.seen += datagrams

    def answer(self, datagrams: list[bytes]) -> None:
        self.back += datagrams
        self.seen += datagrams

    def deliver(self, datagram: bytes) -> None:
        before = self.receiver.tallies[VIDEO.id].received
        event = self.receiver.receive(datagram, self.now, HERE)
        if isinstance(event, Answer):
            assert len(event.datagram) < len(datagram)
            self.answer([event.datagram])
        taken = self.receiver.tallies[VIDEO.id].received - before
        assert taken == isinstance(event, Arrival)
        if isinstance(event, Arrival):
            # Before it is told, a receiver may take a later session that it meets first for a sender of its own.
            assert event.origin in {KEYS.session(self.sender.origin, number) for number in range(100)}
            assert datagram not in self.delivered  # each segment is sealed once, so this is the segment
            self.delivered.add(datagram)

    def act(self, action: str, value: object) -> None:
        match action, value:
            case "wait", float(seconds):
                self.now += seconds
            case "unit", int(count):
                payloads = [bytes((self.unit & 0xFF, index)) for index in range(count)]
                self.send(self.sender.packets(VIDEO.id, self.unit, self.now, payloads))
                self.unit += 1
            case "there", int(place):
                if self.there:
                    self.deliver(self.there.pop(place % len(self.there)))
            case "back", int(place):
                if self.back:
                    self.sender.receive(self.back.pop(place % len(self.back)), self.now)
            case "flow", _:
                while self.there or self.back:
                    for datagram in self.there[::-1]:
                        self.deliver(datagram)
                    self.there.clear()
                    for datagram in self.back[::-1]:
                        self.sender.receive(datagram, self.now)
                    self.back.clear()
            case "again", int(place):
                if self.seen:
                    datagram = self.seen[place % len(self.seen)]
                    self.deliver(datagram)
                    self.sender.receive(datagram, self.now)
            case "forge", int(place):
                if self.seen:
                    changed = bytearray(self.seen[place % len(self.seen)])
                    changed[1 + place % (len(changed) - 1)] ^= 1 << place % 8
                    assert isinstance(self.receiver.receive(bytes(changed), self.now), Dropped)
                    assert isinstance(self.sender.receive(bytes(changed), self.now), Dropped)
            case "noise", bytes(data):
                for first in (b"", b"\x7f\x01", b"\x7f\x02", b"\x41" + self.sender.session):
                    assert isinstance(self.receiver.receive(first + data, self.now), Dropped)
                    assert isinstance(self.sender.receive(first + data, self.now), Dropped)
            case "report", bytes(data):
                report = self.receiver.seal_reply(REPORT.id, data, self.now)
                self.answer([] if report is None else [report])
            case "control", bytes(data):
                message = self.sender.seal(CONTROL.id, data)
                self.send([] if message is None else [message])
            case _:
                self.receiver = ReceiverEndpoint(PSK)
                self.delivered.clear()
