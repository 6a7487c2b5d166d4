"""Choosing among several senders, and what is told of each."""

from __future__ import annotations

import pytest

from proto.choice import Flow, SenderState
from proto.origins import CHOSEN_SECONDS
from proto.session import Announced, Arrival, ReceiverEndpoint, SenderSession
from proto.streams import VIDEO
from tests.proto.link import PSK


class Sender:
    """A sender of one packet a unit."""

    def __init__(self, name: str = "") -> None:
        self.session = SenderSession(PSK, name=name)
        self.unit = 0

    def announce(self, endpoint: ReceiverEndpoint, now: float) -> None:
        events = [endpoint.receive(datagram, now) for datagram in self.session.poll(now, 1e9 + now)]
        assert any(isinstance(event, Announced) for event in events)

    def packet(self) -> bytes:
        self.unit += 1
        return self.session.packets(VIDEO.id, self.unit, self.unit / 4, [b"payload"])[0]

    def arrive(self, endpoint: ReceiverEndpoint, now: float) -> Arrival:
        event = endpoint.receive(self.packet(), now)
        assert isinstance(event, Arrival)
        return event

    @property
    def id(self) -> str:
        return self.session.origin.hex()


def test_the_senders_are_listed_by_name_without_an_address() -> None:
    endpoint, one, two = ReceiverEndpoint(PSK), Sender("bridge"), Sender("stern")
    one.announce(endpoint, 0.0)
    one.arrive(endpoint, 0.1)
    two.arrive(endpoint, 0.2)
    views = endpoint.senders(0.3)
    assert [(view.id, view.name, view.state, view.active) for view in views] == [
        (one.id, "bridge", SenderState.LIVE, True),
        (two.id, "", SenderState.LIVE, False),
    ]
    two.announce(endpoint, 0.4)
    assert endpoint.senders(0.5)[1].name == "stern"
    assert [view.state for view in endpoint.senders(5.0)] == [SenderState.SILENT] * 2
    assert [view.id for view in endpoint.senders(20.0)] == [
        one.id
    ]  # the other one has been gone for too long


def test_the_chosen_one_takes_over_at_once_and_auto_leaves_it_there() -> None:
    endpoint, one, two = ReceiverEndpoint(PSK), Sender(), Sender()
    one.arrive(endpoint, 0.0)
    two.arrive(endpoint, 0.1)
    assert not endpoint.choose("00" * 8)
    assert endpoint.choice is None
    assert endpoint.choose(two.id)
    assert one.arrive(endpoint, 0.2).active
    assert two.arrive(endpoint, 0.3).took_over
    assert not one.arrive(endpoint, 0.4).active
    assert endpoint.choose(None)
    assert not one.arrive(endpoint, 0.5).active  # the rule: the one on show stays until it falls silent
    assert one.arrive(endpoint, 1.4).took_over


def test_when_the_chosen_one_is_silent_another_is_shown_until_it_is_back() -> None:
    endpoint, one, two = ReceiverEndpoint(PSK), Sender(), Sender()
    one.arrive(endpoint, 0.0)
    two.arrive(endpoint, 0.0)
    endpoint.choose(two.id)
    assert two.arrive(endpoint, 0.1).took_over
    assert not one.arrive(endpoint, CHOSEN_SECONDS).active  # a short gap is not worth a change
    assert one.arrive(endpoint, CHOSEN_SECONDS + 0.1).took_over
    assert endpoint.choice is not None and endpoint.choice.id == two.session.origin
    assert two.arrive(endpoint, 4.0).took_over


@pytest.mark.parametrize("name", ["stern", ""])
def test_a_restarted_sender_keeps_its_place_by_name(name: str) -> None:
    endpoint, one, two, again = ReceiverEndpoint(PSK), Sender("bridge"), Sender(name), Sender(name)
    for sender in (one, two):
        sender.announce(endpoint, 0.0)
        sender.arrive(endpoint, 0.0)
    endpoint.choose(two.id)
    assert two.arrive(endpoint, 0.1).took_over
    again.announce(endpoint, 0.5)
    assert not again.arrive(endpoint, 0.6).active  # while the first is heard, it is another of the same name
    one.arrive(endpoint, 1.2)
    assert again.arrive(endpoint, 1.3).took_over is bool(name)
    assert endpoint.choice is not None
    assert endpoint.choice.id == (again if name else two).session.origin
    if name:
        assert not two.arrive(endpoint, 1.4).active  # and the choice does not go to and fro


def test_the_choice_follows_a_sender_whose_first_session_becomes_known() -> None:
    sender = Sender()
    sender.session._renew()  # the receiver hears it from its second session on
    sender.session._own_since = 0.0
    endpoint, other = ReceiverEndpoint(PSK), Sender()
    other.arrive(endpoint, 0.0)
    sender.arrive(endpoint, 0.1)
    shown = next(view.id for view in endpoint.senders(0.1) if not view.active)
    assert shown != sender.id and endpoint.choose(shown)
    sender.announce(endpoint, 0.2)
    assert endpoint.choice is not None and endpoint.choice.id == sender.session.origin
    assert sender.arrive(endpoint, 0.3).took_over


def test_loss_is_what_the_counters_leave_out() -> None:
    flow = Flow()
    for number in range(400):
        if number % 4:
            flow.note(b"a", number, number / 100)
    assert flow.loss == pytest.approx(0.25, abs=0.01)
    flow.note(b"b", 7, 4.0)
    flow.note(b"a", 400, 4.0)  # a straggler of the session before
    for number in range(8, 300):
        flow.note(b"b", number, 4 + number / 100)
    assert flow.loss == 0.0


def test_loss_is_counted_again_after_the_keys_of_before_have_come_back() -> None:
    flow = Flow()
    for session, first in ((b"shared", 0), (b"agreed", 0)):
        for number in range(first, 300):
            flow.note(session, number, (number + 300 * (session == b"agreed")) / 100)
    assert flow.loss == 0.0
    for number in range(300, 900, 2):  # nothing goes back any more
        flow.note(b"shared", number, 6 + (number - 300) / 100)
    assert flow.loss == pytest.approx(0.5, abs=0.01)


def test_loss_is_unknown_at_first_and_never_negative() -> None:
    flow = Flow()
    flow.note(b"a", 10, 0.0)
    assert flow.loss is None
    for counter in (3, 4, 5):  # came late, and were counted nowhere
        flow.note(b"a", counter, 0.1)
    flow.note(b"a", 11, 3.0)
    assert flow.loss == 0.0
