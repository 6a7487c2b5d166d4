"""Which of several sessions is the one on show."""

from __future__ import annotations

import pytest

from proto.session import Arrival, Dropped, ReceiverEndpoint, SenderSession
from proto.streams import VIDEO
from proto.wire import Reason
from tests.proto.link import PSK, UNIT_SECONDS, Link


class Sender:
    """A sender that emits one packet a unit."""

    def __init__(self) -> None:
        self.session = SenderSession(PSK)
        self.unit = 0

    def packet(self) -> bytes:
        self.unit += 1
        return self.session.packets(VIDEO.id, self.unit, self.unit * UNIT_SECONDS, [b"payload"])[0]


def arrival(endpoint: ReceiverEndpoint, sender: Sender, now: float) -> Arrival:
    event = endpoint.receive(sender.packet(), now)
    assert isinstance(event, Arrival)
    return event


def test_a_restarted_sender_is_on_show_within_a_second() -> None:
    endpoint, old, new = ReceiverEndpoint(PSK), Sender(), Sender()
    assert arrival(endpoint, old, 0.0).took_over
    waiting = arrival(endpoint, new, 0.5)
    assert not waiting.active
    assert not arrival(endpoint, new, 0.99).active
    shown = arrival(endpoint, new, 1.0)
    assert shown.active
    assert shown.took_over
    assert not arrival(endpoint, new, 1.1).took_over
    reassembler = endpoint.reassembler(VIDEO.id)
    assert reassembler is not None
    assert reassembler.pending == (1, 2, 3, 4)  # what came while it waited is there
    assert endpoint.takeovers == 2


def test_a_restart_over_a_link() -> None:
    endpoint = ReceiverEndpoint(PSK)
    link = Link(endpoint, (True, False))
    for sender in (Sender(), Sender(), Sender()):
        for _ in range(40):
            link.send([sender.packet()])
            link.advance(UNIT_SECONDS)
        assert endpoint.active is not None
        assert endpoint.active.id == sender.session.session
    assert endpoint.takeovers == 3


def test_a_live_session_is_not_pushed_aside() -> None:
    endpoint, live, recording = ReceiverEndpoint(PSK), Sender(), Sender()
    for tick in range(100):
        assert arrival(endpoint, live, tick * 0.5).active
        assert not arrival(endpoint, recording, tick * 0.5 + 0.25).active


def test_a_session_on_show_is_kept_through_silence() -> None:
    endpoint, sender = ReceiverEndpoint(PSK), Sender()
    arrival(endpoint, sender, 0.0)
    back = arrival(endpoint, sender, 3600.0)
    assert back.active
    assert not back.took_over
    assert back.unit == 2


def test_inactive_sessions_are_forgotten_after_ten_seconds() -> None:
    endpoint, live, gone = ReceiverEndpoint(PSK), Sender(), Sender()
    arrival(endpoint, live, 0.0)
    arrival(endpoint, gone, 0.5)
    arrival(endpoint, live, 10.4)
    assert endpoint.sessions == 2
    arrival(endpoint, live, 10.5)
    assert endpoint.sessions == 1


def test_the_packets_of_a_forgotten_session_stay_refused() -> None:
    endpoint, live, gone = ReceiverEndpoint(PSK), Sender(), Sender()
    arrival(endpoint, live, 0.0)
    recorded = gone.packet()
    endpoint.receive(recorded, 0.1)
    for tick in range(30):
        arrival(endpoint, live, float(tick))
    assert endpoint.sessions == 1
    assert endpoint.receive(recorded, 30.0) == Dropped(Reason.REPLAYED)
    assert arrival(endpoint, gone, 30.0).unit == 2


def test_a_fifth_session_waits_until_one_is_forgotten() -> None:
    endpoint = ReceiverEndpoint(PSK)
    senders = [Sender() for _ in range(5)]
    for sender in senders[:4]:
        arrival(endpoint, sender, 0.0)
    assert endpoint.receive(senders[4].packet(), 9.0) == Dropped(Reason.SESSION_LIMIT)
    assert endpoint.dropped[Reason.SESSION_LIMIT] == 1
    assert arrival(endpoint, senders[4], 10.0).took_over
    assert endpoint.sessions == 2


def test_an_endpoint_needs_room_for_a_restart() -> None:
    with pytest.raises(ValueError, match="max_sessions: must be >= 2"):
        ReceiverEndpoint(PSK, max_sessions=1)
