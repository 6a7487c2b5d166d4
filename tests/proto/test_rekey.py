"""One-way sessions that change their keys, and numbers that wrap."""

from __future__ import annotations

import pytest

from proto.crypto import MAX_PACKETS, Opener, Sealer
from proto.keys import KeySchedule
from proto.origins import SUCCESSORS
from proto.packet import Segment
from proto.session import Announced, Arrival, Dropped, ReceiverEndpoint, Rules, SenderSession
from proto.streams import VIDEO
from proto.wire import TIMESTAMP_SPAN, Mode, Reason, latest_time
from tests.proto.duplex import pair
from tests.proto.link import EPOCH, PSK, UNIT_SECONDS


def one_way(**rules: float) -> SenderSession:
    return SenderSession(PSK, rules=Rules(**rules))  # type: ignore[arg-type]


def arrival(endpoint: ReceiverEndpoint, datagram: bytes, now: float) -> Arrival:
    event = endpoint.receive(datagram, now)
    assert isinstance(event, Arrival), event
    return event


def unit(sender: SenderSession, number: int) -> bytes:
    return sender.packets(VIDEO.id, number, EPOCH + number * UNIT_SECONDS, [b"payload"])[0]


def test_every_change_of_keys_at_80_percent_loss_goes_unnoticed() -> None:
    """By time and by packets; the successor is known beforehand, so that nothing has to arrive in between."""
    link = pair(one_way(rekey_packets=40, rekey_seconds=5.0), unit_seconds=0.05, loss=0.8, seed=2)
    link.advance(120.0)
    assert link.sender._number > 50
    assert len({event.session for event in link.arrivals()}) > 40
    assert {event.origin for event in link.arrivals()} == {link.sender.origin}
    assert link.receiver.takeovers == 1
    assert link.receiver.sessions == 1
    units = [event.unit for event in link.arrivals()]
    assert units == sorted(set(units))


def test_an_outage_over_many_changes_of_keys() -> None:
    endpoint, sender = ReceiverEndpoint(PSK), one_way()
    arrival(endpoint, unit(sender, 0), 0.0)
    for _ in range(SUCCESSORS):
        sender._renew()
    assert arrival(endpoint, unit(sender, 1), 100.0).origin == sender.origin
    for _ in range(SUCCESSORS + 1):
        sender._renew()
    event = arrival(endpoint, unit(sender, 2), 200.0)
    assert (event.origin, event.took_over) == (
        sender.session,
        True,
    )  # beyond that it is a sender like any other


def test_old_keys_are_good_for_ten_seconds_more() -> None:
    endpoint, sender = ReceiverEndpoint(PSK), one_way()
    arrival(endpoint, unit(sender, 0), 0.0)
    held = [unit(sender, number) for number in (1, 2)]
    sender._renew()
    arrival(endpoint, unit(sender, 3), 1.0)
    assert arrival(endpoint, held[0], 10.9).unit == 1
    assert endpoint.receive(held[1], 11.0) == Dropped(Reason.REPLAYED)


def test_a_receiver_that_joins_later_is_told_the_origin() -> None:
    sender = one_way()
    for _ in range(3):
        sender._renew()
    endpoint = ReceiverEndpoint(PSK)
    assert arrival(endpoint, unit(sender, 0), 0.0).origin == sender.session
    [announcement] = sender.poll(5.0, EPOCH)
    assert isinstance(endpoint.receive(announcement, 0.1), Announced)
    event = arrival(endpoint, unit(sender, 1), 20.0)
    assert (event.origin, event.took_over, event.active) == (sender.origin, False, True)
    sender._renew()
    assert arrival(endpoint, unit(sender, 2), 20.5).origin == sender.origin
    assert endpoint.sessions == 1
    assert endpoint.takeovers == 1


@pytest.mark.parametrize("stranger_is_active", [True, False])
def test_what_was_taken_for_two_senders_becomes_one(stranger_is_active: bool) -> None:
    """The receiver missed more changes of keys than it looks ahead; the announcement joins the two."""
    endpoint, sender = ReceiverEndpoint(PSK), one_way()
    arrival(endpoint, unit(sender, 0), 0.0)
    for _ in range(SUCCESSORS + 1):
        sender._renew()
    event = arrival(endpoint, unit(sender, 1), 5.0 if stranger_is_active else 0.5)
    assert event.took_over is stranger_is_active
    assert endpoint.sessions == 2
    [announcement] = sender.poll(5.0, EPOCH)
    assert isinstance(endpoint.receive(announcement, 5.1), Announced)
    assert endpoint.sessions == 1
    event = arrival(endpoint, unit(sender, 2), 5.2)
    assert (event.origin, event.active, event.took_over) == (sender.origin, True, False)


def test_an_announcement_cannot_speak_for_another_sender() -> None:
    endpoint, victim, liar = ReceiverEndpoint(PSK), one_way(), one_way()
    victim._renew()
    arrival(endpoint, unit(victim, 0), 0.0)
    arrival(endpoint, unit(liar, 0), 0.0)
    liar.origin, liar._number = victim.origin, victim._number
    [lie] = liar.poll(0.0, EPOCH)
    assert isinstance(endpoint.receive(lie, 0.1), Announced)
    assert endpoint.active is not None
    assert endpoint.active.id == victim.session
    assert endpoint.sessions == 2


def test_the_counter_near_its_end() -> None:
    endpoint, sender = ReceiverEndpoint(PSK), one_way(rekey_packets=2**40)
    sender._own._counter = MAX_PACKETS - 3
    events = []
    for number in range(6):
        for datagram in sender.packets(VIDEO.id, number, EPOCH, [b"a", b"b"]):
            events.append(arrival(endpoint, datagram, number * 0.1))
    assert [event.session == sender.origin for event in events] == [True] * 2 + [False] * 10
    assert {event.origin for event in events} == {sender.origin}


def test_two_way_keys_near_the_end_of_the_counter() -> None:
    link = pair(SenderSession(PSK, mode=Mode.TWO_WAY, rules=Rules(rekey_packets=2**40)), unit_seconds=0.05)
    link.advance(2.0)
    assert link.sender._two_way is not None
    link.sender._two_way.sealer._counter = MAX_PACKETS - 5
    link.sender._rules = Rules(rekey_packets=MAX_PACKETS - 2)
    link.advance(2.0)
    assert link.sender.handshakes == 2
    assert link.sender.ready
    assert link.receiver.takeovers == 1


def test_unit_numbers_past_their_wrap() -> None:
    endpoint, sender = ReceiverEndpoint(PSK), one_way()
    for number in range(65530, 65530 + 20):
        assert arrival(endpoint, unit(sender, number), number * UNIT_SECONDS).unit == number


def test_72_minutes_of_timestamps_with_changes_of_keys() -> None:
    """A packet each 4/15 s for 72 minutes: units stay in order, times stay right through 16 wraps."""
    endpoint, sender = ReceiverEndpoint(PSK), one_way(rekey_packets=1000)
    units = int(72 * 60 / UNIT_SECONDS)
    assert units * UNIT_SECONDS > 16 * TIMESTAMP_SPAN
    for number in range(units):
        now = number * UNIT_SECONDS
        event = arrival(endpoint, unit(sender, number), now)
        reassembler = endpoint.reassembler(VIDEO.id)
        assert reassembler is not None
        stamp = reassembler.timestamp(event.unit)
        assert stamp is not None
        if number % 100 == 0:
            assert latest_time(stamp, EPOCH + now + 0.1) == pytest.approx(EPOCH + now, abs=0.003)
        assert (event.unit, event.origin) == (number, sender.origin)
    assert sender._number == units // 1000
    assert endpoint.tallies[VIDEO.id].lost == 0


def test_the_ids_of_an_origin_differ_and_depend_on_the_key() -> None:
    keys = KeySchedule(PSK)
    ids = [keys.session(b"origin", number) for number in range(1000)]
    assert ids[0] == b"origin"
    assert len(set(ids)) == 1000
    assert KeySchedule(bytes(32)).session(b"origin", 1) != ids[1]


def test_a_packet_with_the_last_counter_replaces_the_whole_window() -> None:
    sealer, opener = Sealer(PSK), Opener(PSK)
    first = sealer.seal(1, bytes(Segment(1, 0, 0, 1, 0, b"")))
    sealer._counter = MAX_PACKETS - 1
    assert opener.open(sealer.seal(1, b"")).newest
    with pytest.raises(ValueError, match="too old"):
        opener.open(first)
