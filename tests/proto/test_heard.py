"""What the endpoint tells of the sender's packets: the hook that reports are built from."""

from __future__ import annotations

from dataclasses import dataclass, field

from proto.crypto import Sealer, read_header
from proto.keys import KeySchedule
from proto.session import ReceiverEndpoint, SenderSession
from proto.streams import CONTROL, VIDEO
from proto.wire import IP_UDP_BYTES, Mode
from tests.proto.duplex import pair
from tests.proto.link import PSK


@dataclass
class Listener:
    """An endpoint, and what its hook was told. The packet that puts a sender on show is not: it was not before."""

    endpoint: ReceiverEndpoint = field(default_factory=lambda: ReceiverEndpoint(PSK))
    told: list[tuple[bytes, int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint.heard = lambda *packet: self.told.append(packet)


def test_every_fresh_packet_is_told_once_with_its_size() -> None:
    listener, session = Listener(), SenderSession(PSK)
    listener.endpoint.receive(session.packets(VIDEO.id, 0, 0.0, [b"first"])[0], 0.0)
    datagrams = session.packets(VIDEO.id, 1, 0.0, [b"abc", b"d"])
    datagrams += session.poll(0.0, 0.0)  # an announcement counts as well
    for number, datagram in enumerate(datagrams):
        listener.endpoint.receive(datagram, float(number))
        listener.endpoint.receive(datagram, float(number))  # a copy does not
        listener.endpoint.receive(datagram[:-1] + b"\0", float(number))
    assert listener.told == [
        (session.session, read_header(datagram).counter, len(datagram) + IP_UDP_BYTES, float(number))
        for number, datagram in enumerate(datagrams)
    ]


def test_a_packet_that_comes_too_late_to_be_of_use_is_told() -> None:
    listener, session = Listener(), SenderSession(PSK)
    first, late, newer = (session.packets(VIDEO.id, unit, unit * 0.25, [b"x"])[0] for unit in range(3))
    for datagram in (first, newer):
        listener.endpoint.receive(datagram, 0.0)
    reassembler = listener.endpoint.reassembler(VIDEO.id)
    assert reassembler is not None
    reassembler.take(2)
    listener.endpoint.receive(late, 0.1)
    assert [counter for _, counter, _, _ in listener.told] == [2, 1]


def test_a_sender_that_is_not_on_show_is_not_told() -> None:
    listener, shown, other = Listener(), SenderSession(PSK), SenderSession(PSK)
    for unit in range(3):
        for session in (shown, other):
            for datagram in session.packets(VIDEO.id, unit, 0.0, [b"x"]):
                listener.endpoint.receive(datagram, unit * 0.1)
    assert {session for session, *_ in listener.told} == {shown.session}


def test_packets_that_a_two_way_receiver_refuses_are_not_told() -> None:
    listener = Listener(ReceiverEndpoint(PSK, mode=Mode.TWO_WAY))
    datagram = Sealer(KeySchedule(PSK)).seal(CONTROL.id, b"\0")
    listener.endpoint.receive(datagram, 0.0)
    assert listener.told == []


def test_the_sessions_of_a_sender_follow_one_another() -> None:
    link = pair(SenderSession(PSK, mode=Mode.AUTO), unit_seconds=0.1)
    listener = Listener(link.receiver)
    link.advance(3.0)
    sessions = [session for session, *_ in listener.told]
    change = sessions.index(link.sender.session)
    assert set(sessions[:change]) <= {link.sender.origin}
    assert set(sessions[change:]) == {link.sender.session}
    counters = [counter for session, counter, *_ in listener.told if session == link.sender.session]
    assert counters == list(range(len(counters)))
