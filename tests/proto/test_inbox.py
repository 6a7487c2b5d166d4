"""Protected and reliable streams through both ends of a session."""

from __future__ import annotations

import random

import pytest

from proto.packet import Segment
from proto.protected import Protector
from proto.protection import Losses, Policy
from proto.reliable import ReliableSender
from proto.reliable_packet import Acknowledgement, Announcement, Messages
from proto.session import (
    Answer,
    Arrival,
    Delivered,
    Dropped,
    Message,
    ReceiverEndpoint,
    Recovered,
    SenderSession,
)
from proto.streams import AUDIO, TEXT, VIDEO
from proto.wire import Mode, Reason
from tests.proto.link import PSK

HERE = ("192.0.2.1", 4000)


def agreed() -> tuple[SenderSession, ReceiverEndpoint]:
    """Two ends with keys, the sender on show."""
    sender, receiver = SenderSession(PSK, mode=Mode.AUTO), ReceiverEndpoint(PSK)
    for datagram in sender.poll(0.0, 0.0):
        event = receiver.receive(datagram, 0.0, HERE)
        if isinstance(event, Answer):
            sender.receive(event.datagram, 0.0)
    assert sender.two_way
    for datagram in sender.packets(VIDEO.id, 0, 0.0, [b"picture"]):
        receiver.receive(datagram, 0.0, HERE)
    assert receiver.can_reply
    return sender, receiver


def test_a_protected_stream_is_whole_after_losses_that_its_code_was_made_for() -> None:
    rng = random.Random(3)
    sender, receiver = agreed()
    protector = Protector(AUDIO.id, sender.payload_limit, Policy(Losses(0.3), target=1e-3, window_s=0.5))
    came: dict[int, bytes] = {}
    units = 200
    for number in range(units):
        now = 1 + number * 0.06
        made = protector.push(bytes((number,)) * 40, now, 0.06, now)
        for segment in made.source + made.parity:
            datagram = sender.seal_segment(segment)
            assert datagram is not None
            if rng.random() < 0.3:
                continue
            event = receiver.receive(datagram, now, HERE)
            assert isinstance(event, Recovered) and event.active and event.stream == AUDIO.id
            came |= {unit.unit: unit.data for unit in event.units}
    assert all(data == bytes((number & 0xFF,)) * 40 for number, data in came.items())
    assert len(came) > 0.97 * units
    receiver.poll(60.0)
    tally = receiver.recovered[AUDIO.id]
    assert tally.units_delivered == len(came) and tally.units_repaired > 20
    assert tally.windows_failed <= 2


def test_messages_are_acknowledged_once_and_arrive_in_order() -> None:
    sender, receiver = agreed()
    reliable = ReliableSender(2000.0, sender.payload_limit)
    for word in (b"one", b"two"):
        reliable.send(word, 1.0)
    (payload,) = reliable.poll(1.0)
    datagram = sender.seal(TEXT.id, payload)
    assert datagram is not None
    event = receiver.receive(datagram, 1.0, HERE)
    assert isinstance(event, Delivered) and event.messages == (b"one", b"two") and event.active
    assert receiver.next_time() <= 1.0
    answers = [datagram for datagram, address in receiver.poll(1.01) if address == HERE]
    given = [
        message for datagram in answers if isinstance(message := sender.receive(datagram, 1.02), Message)
    ]
    (acknowledgement,) = [message.body for message in given if message.stream == TEXT.id]
    assert reliable.acknowledge(acknowledgement, 1.02) == [0, 1]
    assert not [datagram for datagram, _ in receiver.poll(1.03) if len(datagram) == len(answers[0])]


def test_announced_messages_come_once_a_version_and_owe_nothing() -> None:
    sender, receiver = SenderSession(PSK), ReceiverEndpoint(PSK, mode=Mode.ONE_WAY)
    came: list[bytes] = []
    for version, word in ((0, b"old"), (0, b"old"), (1, b"new")):
        datagram = sender.seal(TEXT.id, bytes(Announcement(0, version, word)))
        assert datagram is not None
        event = receiver.receive(datagram, 1.0 + version, HERE)
        assert isinstance(event, Delivered) and not event.active  # nothing of it has been shown yet
        came += event.messages
    assert came == [b"old", b"new"]
    assert receiver.poll(5.0) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.SHORT),
        (b"\x07", Reason.MALFORMED),
        (bytes(Acknowledgement(0, 0, 0, 0)), Reason.MALFORMED),
        (bytes(Messages(0, 0, ((0, b"word"),)))[:-1], Reason.SHORT),
    ],
)
def test_what_is_no_message_costs_one_count(body: bytes, reason: Reason) -> None:
    sender, receiver = agreed()
    datagram = sender.seal(TEXT.id, body)
    assert datagram is not None
    assert receiver.receive(datagram, 1.0, HERE) == Dropped(reason)
    assert receiver.dropped[reason] == 1
    assert not [datagram for datagram, _ in receiver.poll(1.0) if len(datagram) > 40]


def test_a_packet_kept_back_under_the_shared_key_does_not_move_a_protected_stream() -> None:
    sender, receiver = agreed()
    shared = sender._own  # what an observer may have kept from before the handshake
    protector = Protector(AUDIO.id, sender.payload_limit, Policy(max_overhead=0.0, window_s=0.0))
    kept = []
    for number in range(300):
        segment = protector.push(b"sound", number * 0.06, 0.06, number * 0.06).source[0]
        if number == 100:
            kept.append(shared.seal(AUDIO.id, bytes(segment)))
        datagram = sender.seal_segment(segment)
        assert datagram is not None
        if number < 10 or number > 290:
            now = 1.0 if number < 10 else 2.0
            for each in sender.packets(VIDEO.id, number, now, [b"picture"]):
                receiver.receive(each, now, HERE)
            receiver.receive(datagram, now, HERE)
    assert receiver.receive(kept[0], 2.0, HERE) == Dropped(Reason.REPLAYED)


def test_sound_comes_back_after_an_outage_though_nothing_goes_back_any_more() -> None:
    sender, receiver = agreed()
    shared = sender._own  # what a sender that hears nothing falls back to
    protector = Protector(AUDIO.id, sender.payload_limit, Policy(max_overhead=0.0, window_s=0.0))
    came = []
    for number in range(600):  # units of 20 ms; from the 100th on nothing arrives for 6 s
        now = 1.0 + number * 0.02
        segment = protector.push(b"sound", now, 0.02, now).source[0]
        datagram = shared.seal(AUDIO.id, bytes(segment))
        if 100 <= number < 400:
            continue
        if number % 20 == 0:
            picture = Segment(VIDEO.id, 1 + number // 20, 0, 1, 0, b"picture")
            assert isinstance(receiver.receive(shared.seal(VIDEO.id, bytes(picture)), now, HERE), Arrival)
        came.append(isinstance(receiver.receive(datagram, now, HERE), Recovered))
    assert len(came) == 300 and all(came)
