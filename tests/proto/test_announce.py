"""Announcements: what they hold, when they are sent, and how soon somebody who joins late hears one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.announce import MAX_NAME_BYTES, Announcement, Announcer, StreamInUse
from proto.session import Announced, Arrival, ReceiverEndpoint, SenderSession
from proto.streams import DeliveryClass
from proto.wire import Mode, Reason, WireError
from tests.proto.duplex import pair
from tests.proto.link import EPOCH, PSK

FULL = Announcement(
    b"origin",
    7,
    EPOCH + 0.123456,
    Mode.AUTO,
    (
        StreamInUse(1, DeliveryClass.TOLERANT, "resilient"),
        StreamInUse(3, DeliveryClass.PROTECTED, "classic", 8, 12),
    ),
    "bow camera ⚓",
)

streams_in_use = st.builds(
    lambda stream, delivery, profile, pair: StreamInUse(stream, delivery, profile, min(pair), max(pair)),
    st.integers(0, 63),
    st.sampled_from(DeliveryClass),
    st.text("abc-ö", max_size=16),
    st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
announcements = st.builds(
    Announcement,
    st.binary(min_size=6, max_size=6),
    st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**52).map(lambda micros: micros / 1_000_000),
    st.none() | st.sampled_from(Mode),
    st.lists(streams_in_use, max_size=5).map(tuple),
    st.text("Käse 9", max_size=16),
)


@given(announcements)
def test_parse_undoes_bytes(announcement: Announcement) -> None:
    parsed = Announcement.parse(bytes(announcement))
    if announcement.time is not None:
        assert parsed.time == pytest.approx(announcement.time, abs=1e-6)
    assert (parsed.origin, parsed.number, parsed.mode) == (
        announcement.origin,
        announcement.number,
        announcement.mode,
    )
    assert (parsed.streams, parsed.name) == (announcement.streams, announcement.name)


@given(st.binary(max_size=300))
def test_parse_raises_only_wire_error(body: bytes) -> None:
    for message in (body, b"\x01" + body, bytes(FULL) + body):
        try:
            parsed = Announcement.parse(message)
        except WireError as error:
            assert error.reason is Reason.MALFORMED
        else:
            assert len(parsed.origin) == 6


def test_unknown_fields_and_longer_ones_are_passed_over() -> None:
    data = bytes(FULL)
    assert Announcement.parse(data + b"\xc8\x03abc") == Announcement.parse(data)
    assert Announcement.parse(b"\x01\x01\x0corigin\x00\x00\x00\x07zz").number == 7
    assert Announcement.parse(data + b"\x03\x01\x63").mode is None
    assert Announcement.parse(data + b"\x04\x04\x01\x63\x00\x00").streams == FULL.streams


@pytest.mark.parametrize(
    ("cut", "message"),
    [(b"", "not an announcement"), (b"\x00", "not an announcement"), (b"\x01", "without an origin")],
)
def test_bad_announcements_are_malformed(cut: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        Announcement.parse(cut)
    with pytest.raises(WireError, match="cut off"):
        Announcement.parse(bytes(FULL)[:-1])


def test_fields_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="name: at most 32 bytes of UTF-8"):
        bytes(Announcement(b"origin", name="ö" * 17))
    with pytest.raises(ValueError, match="name: at most 32"):
        SenderSession(PSK, name="x" * (MAX_NAME_BYTES + 1))
    with pytest.raises(ValueError, match="out of range"):
        bytes(Announcement(b"origin", streams=(StreamInUse(1, DeliveryClass.PROTECTED, "", 3, 2),)))


def test_a_name_cannot_carry_control_characters_into_a_log() -> None:
    assert Announcement.parse(bytes(Announcement(b"origin", name="a\n\x1b[2Jb"))).name == "a[2Jb"


@pytest.mark.parametrize(("rate", "later"), [(2000.0, 10), (7500.0, 18), (60_000.0, 50)])
def test_often_at_first_then_in_a_share_of_the_rate_but_once_a_second(rate: float, later: int) -> None:
    announcer = Announcer()
    announcer.restart(5.0)
    at, sent = 5.0, []
    while at < 18.0:
        if announcer.next_time() <= at:
            announcer.sent(74, rate, at)
            sent.append(at)
        at += 0.001
    assert sum(at < 8.0 for at in sent) == pytest.approx(15, abs=1)
    assert sum(at >= 8.0 for at in sent) == pytest.approx(later, abs=1)
    assert max(b - a for a, b in pairwise(sent)) < 1.002


def test_a_receiver_learns_what_packets_leave_out() -> None:
    sender = SenderSession(PSK, name="bow")
    sender.streams = FULL.streams
    link = pair(sender, delay=0.02)
    link.advance(0.1)
    [heard] = link.announced()
    assert heard.time == pytest.approx(EPOCH + 100.0, abs=1e-5)
    assert (heard.origin, heard.number, heard.mode) == (sender.origin, 0, Mode.ONE_WAY)
    assert (heard.streams, heard.name) == (FULL.streams, "bow")
    assert link.receiver.active is None  # there is nothing to show yet
    assert link.receiver.sessions == 1


def test_a_late_joiner_at_80_percent_loss_has_segments_at_once_and_is_told_soon() -> None:
    """Median and 99th percentile over 300 receivers that join the same stream, 60 kbit/s, 80 % loss."""
    sender = SenderSession(PSK)
    link = pair(sender, unit_seconds=0.12)
    link.advance(10.0)
    segment, told = [], []
    for seed in range(300):
        link.receiver, link.loss = ReceiverEndpoint(PSK), 0.8
        link.random.seed(seed)
        link.events.clear()
        link._queue.clear()
        begun = link.now
        link.advance(2.0, lambda: any(isinstance(event, Arrival) for event in link.events))
        segment.append(link.now - begun)
        link.advance(30.0, lambda: any(isinstance(event, Announced) for event in link.events))
        told.append(link.now - begun)
    assert sorted(segment)[296] < 2.0  # twelve packets a second: more of them only make it faster
    assert sorted(segment)[150] < 0.6
    assert sorted(told)[150] < 2.5
    assert sorted(told)[296] < 15.0


def test_a_sender_that_only_announces_makes_room_for_one_that_sends() -> None:
    endpoint, stalled, other = ReceiverEndpoint(PSK), SenderSession(PSK), SenderSession(PSK)
    endpoint.receive(stalled.packets(1, 0, EPOCH, [b"a"])[0], 0.0)
    for tick in range(1, 15):
        for datagram in stalled.poll(tick * 0.1, EPOCH):
            endpoint.receive(datagram, tick * 0.1)
    event = endpoint.receive(other.packets(1, 0, EPOCH, [b"a"])[0], 1.5)
    assert isinstance(event, Arrival) and event.took_over


def test_many_receivers_take_the_same_datagrams() -> None:
    sender = SenderSession(PSK)
    receivers = [ReceiverEndpoint(PSK, mode=mode) for mode in (Mode.ONE_WAY, Mode.AUTO, Mode.ONE_WAY)]
    datagrams = sender.poll(0.0, EPOCH) + sender.packets(1, 0, EPOCH, [b"a", b"b"])
    for receiver in receivers:
        kinds = [type(receiver.receive(datagram, 1.0)) for datagram in datagrams]
        assert kinds == [Announced, Arrival, Arrival]
        assert receiver.poll(2.0) == []
