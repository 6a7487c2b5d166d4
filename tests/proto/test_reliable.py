"""Every message once and in order, whatever the link does; and how soon."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.budget import PACKET_COST
from proto.reliable import ReliableReceiver, ReliableSender, SenderFull
from proto.reliable_packet import SPAN, Acknowledgement, Messages
from proto.wire import Reason, WireError
from tests.proto.two_way import Fate, TwoWayLink

RATE = 20_000.0  # wire bytes a second
LIMIT = 1171  # bytes of payload
LARGE = 150  # bytes of a message that shares no packet with another such


def fate(chance: random.Random, loss: float, delay: float, spread: float = 0.0, double: float = 0.0) -> Fate:
    def arrivals(sent: float) -> list[float]:
        copies = 0 if chance.random() < loss else 2 if chance.random() < double else 1
        return [sent + delay + spread * chance.random() for _ in range(copies)]

    return arrivals


def acked(sender: ReliableSender, receiver: ReliableReceiver, now: float) -> list[int]:
    answer = receiver.acknowledgement(now)
    assert answer is not None
    return sender.acknowledge(answer, now)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=30), st.floats(0, 0.5)), max_size=50),
    st.floats(0, 0.8),
    st.floats(0, 0.8),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.randoms(use_true_random=False),
)
def test_once_and_in_order_over_any_link(
    messages: list[tuple[bytes, float]],
    loss: float,
    loss_back: float,
    spread: float,
    double: float,
    chance: random.Random,
) -> None:
    link = TwoWayLink(
        ReliableSender(RATE, LIMIT),
        ReliableReceiver(),
        fate(chance, loss, 0.05, spread, double),
        fate(chance, loss_back, 0.05, spread, double),
    )
    at = 0.0
    for message, pause in messages:
        at += pause
        link.submit(message, at)
    link.run(at + 120.0)
    assert [message for _, message in link.delivered] == [message for message, _ in messages]
    assert len(link.sender) == 0
    assert link.sender.acknowledged == link.receiver.delivered == len(messages)
    assert link.receiver.received == link.receiver.duplicates + len(messages)


def test_ids_wrap() -> None:
    """140 000 messages in bunches, of which the first try of every third packet and every second answer is lost."""
    sender, receiver, out = ReliableSender(1e9, LIMIT), ReliableReceiver(), 0
    for bunch in range(2500):
        now = bunch * 0.1
        for number in range(56):
            assert sender.send(number.to_bytes(20), now) == bunch * 56 + number
        for number, payload in enumerate(sender.poll(now)):
            out += len(receiver.receive(payload, now)) if number % 3 else 0
        if bunch % 2:
            acked(sender, receiver, now)
        for payload in reversed(sender.poll(now + 1.0)):
            delivered = receiver.receive(payload, now)
            assert [int.from_bytes(message) for message in delivered] == [
                number % 56 for number in range(out, out + len(delivered))
            ]
            out += len(delivered)
        acked(sender, receiver, now)
        assert len(sender) == 0
    assert out == receiver.delivered == 140_000


def test_small_messages_share_a_packet_and_large_ones_do_not() -> None:
    sender, receiver = ReliableSender(RATE, LIMIT), ReliableReceiver()
    sizes = [0, 1024, 60, 60, 60, 60, 195]
    for size in sizes:
        sender.send(bytes(size), 0.0)
    payloads = sender.poll(0.0)
    shared = [[ahead for ahead, _ in Messages.parse(payload).contents] for payload in payloads]
    assert shared == [[0], [1], [2, 3, 4], [5], [6]]
    assert (sender.packets, sender.transmissions) == (5, 7)
    assert [len(m) for payload in payloads for m in receiver.receive(payload, 0.0)] == sizes
    small = ReliableSender(RATE, 30)
    for _ in range(4):
        small.send(bytes(9), 0.0)
    assert [len(payload) for payload in small.poll(0.0)] == [29, 29]
    with pytest.raises(ValueError, match="at most 22"):
        small.send(bytes(23), 0.0)


def test_a_new_message_goes_ahead_of_repeats() -> None:
    sender = ReliableSender(RATE, LIMIT)
    for number in range(5):
        sender.send(bytes([number]) * 190, 0.0)
    assert len(sender.poll(0.0)) == 5
    sender.budget.set_rate(1000.0, 1.0)
    sender.send(b"new", 5.0)
    first = Messages.parse(sender.poll(5.0)[0])
    assert first.contents[-1] == (5, b"new")


def test_a_full_sender_refuses_and_loses_nothing() -> None:
    sender, receiver = ReliableSender(RATE, LIMIT, limit=3), ReliableReceiver()
    for number in range(3):
        sender.send(bytes([number]) * LARGE, 0.0)
    with pytest.raises(SenderFull, match="3 at a time"):
        sender.send(b"more", 0.0)
    payloads = sender.poll(0.0)
    assert receiver.receive(payloads[2], 0.05) == []
    assert acked(sender, receiver, 0.1) == [2]  # but the oldest is not, and ids must stay within the span
    with pytest.raises(SenderFull):
        sender.send(b"more", 0.1)
    assert receiver.receive(payloads[0], 0.15) == [b"\0" * LARGE]
    assert acked(sender, receiver, 0.2) == [0]
    assert sender.send(b"more", 0.2) == 3
    assert receiver.receive(payloads[1], 0.3) == [b"\1" * LARGE, b"\2" * LARGE]


def test_only_what_is_missing_is_repeated_and_after_the_interval() -> None:
    sender, receiver = ReliableSender(RATE, LIMIT), ReliableReceiver()
    for number in range(3):
        sender.send(bytes([number]) * LARGE, 0.0)
    first = sender.poll(0.0)
    assert sender.next_time(0.0) == pytest.approx(0.2)
    receiver.receive(first[1], 0.04)
    answer = receiver.acknowledgement(0.04)
    assert answer is not None
    assert sender.acknowledge(answer, 0.08) == [1]
    assert sender.rtt.smoothed == pytest.approx(0.08)
    assert sender.rtt.rto == pytest.approx(0.24)
    assert sender.poll(0.2) == []
    again = [Messages.parse(payload) for payload in sender.poll(0.24)]
    assert [(m.base, m.contents[0][0], m.stamp) for m in again] == [(0, 0, 240), (0, 2, 240)]
    assert (sender.transmissions, sender.repeats) == (5, 2)


def test_the_rate_bounds_the_repeats_and_every_message_has_its_turn() -> None:
    sender = ReliableSender(1000.0, LIMIT)
    for number in range(20):
        sender.send(bytes([number]) * LARGE, 0.0)
    now, sent = 0.0, list[int]()
    while now < 10.0:
        sent += [Messages.parse(payload).contents[0][0] for payload in sender.poll(now)]
        now += 0.01
    size = 8 + LARGE + PACKET_COST
    assert (len(sent) - 1) * size <= 1000.0 * 10.25
    assert len(sent) * size >= 0.95 * 1000.0 * 10.0
    counts = [sent.count(number) for number in range(20)]
    assert max(counts) - min(counts) <= 1


def test_the_round_trip_time_is_known_though_answers_are_held_and_stamps_wrap() -> None:
    sender, receiver = ReliableSender(RATE, LIMIT), ReliableReceiver()
    for now in (0.0, 65.5, 200.0):
        sender.send(b"x", now)
        receiver.receive(sender.poll(now)[0], now + 0.03)
        answer = receiver.acknowledgement(now + 5.03)
        assert answer is not None
        sender.acknowledge(answer, now + 5.06)
        assert sender.rtt.smoothed == pytest.approx(0.06, abs=0.002)
    late = receiver.acknowledgement(1000.0)
    assert late is not None
    before = sender.rtt.rto
    sender.acknowledge(late, 1000.0)
    assert sender.rtt.rto == before


def test_answers_in_the_wrong_order_and_of_messages_never_sent() -> None:
    sender, receiver = ReliableSender(RATE, LIMIT), ReliableReceiver()
    assert receiver.acknowledgement(0.0) is None
    sender.send(b"a" * LARGE, 0.0)
    sender.send(b"b" * LARGE, 0.0)
    payloads, answers = sender.poll(0.0), []
    for payload in payloads:
        receiver.receive(payload, 0.0)
        answers.append(receiver.acknowledgement(0.0) or b"")
    assert sender.acknowledge(answers[1], 0.1) == [0, 1]
    for payload, reason in [
        (answers[0], Reason.LATE),
        (bytes(Acknowledgement(3, 0, 0, 0)), Reason.CONFLICT),
        (bytes(Acknowledgement(2, 1, 0, 0)), Reason.CONFLICT),
        (bytes(Acknowledgement(0xFFFF, 0, 0, 0)), Reason.LATE),
        (payloads[0], Reason.MALFORMED),
    ]:
        with pytest.raises(WireError) as caught:
            sender.acknowledge(payload, 0.2)
        assert caught.value.reason is reason
    assert sender.acknowledge(answers[1], 0.3) == []
    assert (len(sender), sender.next_time(1.0)) == (0, None)


def test_a_restarted_receiver_goes_on_where_the_sender_is() -> None:
    sender, first, second = ReliableSender(RATE, LIMIT), ReliableReceiver(), ReliableReceiver()
    for number in range(10):
        sender.send(bytes([number]) * LARGE, 0.0)
    payloads = sender.poll(0.0)
    assert len(first.receive(payloads[0], 0.0)) == 1
    acked(sender, first, 0.0)
    assert second.receive(sender.poll(0.5)[2], 1.0) == []  # id 3; it is told that 1 is the oldest
    for payload in payloads[1:3]:
        first.receive(payload, 1.0)
    acked(sender, first, 1.0)  # a late answer of the first: 1 and 2 will not come again
    delivered = [message[0] for payload in sender.poll(2.0) for message in second.receive(payload, 2.0)]
    assert delivered == [3, 4, 5, 6, 7, 8, 9]
    assert second.skipped == 2
    acked(sender, second, 2.0)
    assert len(sender) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Messages,
            st.integers(0, 300) | st.integers(65000, 65535),
            st.just(0),
            st.integers(0, 63).map(lambda ahead: ((ahead, b"x"),)),
        ),
        max_size=60,
    )
)
def test_authentic_nonsense_stays_bounded(messages: list[Messages]) -> None:
    receiver = ReliableReceiver()
    for message in messages:
        receiver.receive(bytes(message), 0.0)
        answer = receiver.acknowledgement(0.0)
        assert answer is not None
        assert Acknowledgement.parse(answer).bits.bit_count() < SPAN


@given(st.binary(max_size=20))
def test_hostile_bytes_raise_only_wire_error(payload: bytes) -> None:
    sender = ReliableSender(RATE, LIMIT)
    sender.send(b"x", 0.0)
    for take in (ReliableReceiver().receive, sender.acknowledge):
        try:
            take(payload, 0.0)
        except WireError as error:
            assert error.reason in {
                Reason.SHORT,
                Reason.MALFORMED,
                Reason.OVERSIZED,
                Reason.LATE,
                Reason.CONFLICT,
            }


def test_at_80_percent_loss_both_ways_a_message_takes_seconds_at_most() -> None:
    link = TwoWayLink(
        ReliableSender(RATE, LIMIT),
        ReliableReceiver(),
        fate(random.Random(1), 0.8, 0.05),
        fate(random.Random(2), 0.8, 0.05),
    )
    for number in range(300):
        link.submit(number.to_bytes(2) * 50, number * 0.5)
    link.run(200.0)
    times = sorted(at - number * 0.5 for number, (at, _) in enumerate(link.delivered))
    assert len(times) == 300
    assert times[150] < 1.0
    assert times[285] < 4.0


@pytest.mark.parametrize("limit", [0, SPAN + 1])
def test_bad_limits_are_named(limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        ReliableSender(RATE, LIMIT, limit)


def test_a_message_too_long_is_refused() -> None:
    sender = ReliableSender(RATE, LIMIT)
    with pytest.raises(ValueError, match="at most 1024"):
        sender.send(bytes(1025), 0.0)
    assert sender.send(bytes(1024), 0.0) == 0
