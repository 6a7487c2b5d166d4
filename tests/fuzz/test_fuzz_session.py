"""Whole sessions through a channel that hypothesis drives: it loses, delays, repeats, swaps and forges."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from proto.keys import KeySchedule
from proto.session import Answer, Arrival, Dropped, ReceiverEndpoint, Rules, SenderSession
from proto.streams import CONTROL, LATENTS, REPORT
from proto.wire import Mode

PSK = bytes(range(32))
KEYS = KeySchedule(PSK)
HERE = ("192.0.2.1", 1)

actions = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.1, 0.6, 2.1, 11.0])),
    st.tuples(st.just("unit"), st.integers(1, 4)),
    st.tuples(st.just("there"), st.integers(0, 30)),
    st.tuples(st.just("back"), st.integers(0, 30)),
    st.tuples(st.just("flow"), st.none()),
    st.tuples(st.just("again"), st.integers(0, 10_000)),
    st.tuples(st.just("forge"), st.integers(0, 10_000)),
    st.tuples(st.just("noise"), st.binary(max_size=120)),
    st.tuples(st.just("report"), st.binary(max_size=40)),
    st.tuples(st.just("control"), st.binary(max_size=40)),
    st.tuples(st.just("restart receiver"), st.none()),
)


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
        before = self.receiver.tallies[LATENTS.id].received
        event = self.receiver.receive(datagram, self.now, HERE)
        if isinstance(event, Answer):
            assert len(event.datagram) < len(datagram)
            self.answer([event.datagram])
        taken = self.receiver.tallies[LATENTS.id].received - before
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
                self.send(self.sender.packets(LATENTS.id, self.unit, self.now, payloads))
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


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(Mode),
    st.sampled_from(Mode),
    st.integers(1, 40),
    st.lists(actions, max_size=80),
)
def test_whole_sessions_never_raise_and_never_deliver_twice(
    here: Mode, there: Mode, rekey: int, script: list[tuple[str, object]]
) -> None:
    rules = Rules(silence=0.5, rekey_packets=rekey, rekey_seconds=20.0)
    world = World(SenderSession(PSK, mode=here, rules=rules), ReceiverEndpoint(PSK, mode=there))
    for action, value in script:
        world.poll()
        world.act(action, value)
        assert world.receiver.sessions <= 4
        assert len(world.receiver._opener) <= 64 + 16 + 8
