"""Both ends of the conversation, in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.packet import Segment
from proto.packetizer import segments
from proto.session import SenderSession
from proto.streams import REPORT, VIDEO
from proto.wire import HANDSHAKE_BYTE, Mode, Reason
from sender.congestion import RateLimits, State
from sender.control import MOST_REPORTS, Control
from sender.pacer import Pacer
from sender.packet_length.adapt import PacketLength
from sender.packet_length.join import LateJoin
from sender.rate import RateController
from tests.bench.link.impairments import Impairments
from tests.proto.link import PSK
from tests.sender.conversation import Conversation

LOSSY = Impairments(loss=0.3, delay_s=0.04)
HANDSHAKE = HANDSHAKE_BYTE & 0x3F


def control(mode: Mode = Mode.AUTO) -> Control:
    pacer: Pacer[Segment] = Pacer()
    return Control(
        SenderSession(PSK, mode=mode), RateLimits(60.0), RateController(60.0, 0.25, 57, 1000), pacer
    )


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.TWO_WAY])
def test_keys_are_agreed_and_reports_come_through_loss(mode: Mode) -> None:
    both = Conversation(mode, mode, link=LOSSY)
    both.advance(3.0)
    assert both.session.two_way
    assert (both.session.handshakes, both.endpoint.handshakes) == (1, 1)
    both.advance(12.0)
    feedback = both.control.feedback
    assert feedback.reports > 10
    assert both.replies.sent >= feedback.reports
    assert feedback.rtt == pytest.approx(0.08, abs=0.02)
    assert feedback.loss(both.now) == pytest.approx(0.3, abs=0.08)
    assert feedback.strange == 0
    assert both.control.kbps == 60.0  # loss alone costs nothing


def test_every_unit_is_told_once_with_what_arrived_of_it() -> None:
    both = Conversation(link=LOSSY)
    both.advance(20.0)
    told = dict(both.told)
    assert len(told) == len(both.told)
    settled = range(15, both.unit - 12)  # sent after the handshake, and closed by now
    assert sum(unit in told for unit in settled) >= 0.95 * len(settled)
    assert all(told[unit] == tuple(both.arrived[unit]) for unit in settled if unit in told)
    assert any(not all(arrived) for arrived in told.values() if arrived is not None)


def test_reports_that_nobody_takes_are_bounded() -> None:
    both = Conversation()
    both.advance(5.0)
    both.control._reports.extend((unit, None) for unit in range(10_000))
    assert len(both.control.take_reports()) == MOST_REPORTS
    assert both.control.take_reports() == []


def test_a_queue_that_stands_lowers_the_rate_to_what_the_link_carries() -> None:
    both = Conversation(
        limits=RateLimits(120.0, cap=120.0),
        link=Impairments(delay_s=0.04, rate_kbps=60.0, queue_s=2.0),
        back_link=Impairments(delay_s=0.04),
    )
    both.advance(8.0)
    assert both.control.congestion.cuts >= 1
    assert both.control.kbps == both.rate.kbps < 65.0
    assert both.session.rate == both.control.kbps * 125
    begun = both.now
    both.advance(20.0)
    assert 0.65 * 60 < both.wire_bytes(begun) * 0.008 / 20.0 < 1.02 * 60
    assert both.there.counts.overflow == 0


@pytest.mark.parametrize("mode", [Mode.ONE_WAY, Mode.AUTO])
def test_what_goes_beside_media_is_taken_from_the_budget_of_media(mode: Mode) -> None:
    """Nobody answers: announcements, and in `auto` handshakes again and again, stay within the rate."""
    both = Conversation(mode, link=Impairments(loss=1.0), limits=RateLimits(60.0, cap=60.0))
    both.advance(12.0)
    begun = both.now - 12.0
    beside = both.wire_bytes(begun) - both.wire_bytes(begun, VIDEO.id)
    assert (both.wire_bytes(begun, HANDSHAKE) > 0) == (mode is Mode.AUTO)
    assert 0.01 * 90_000 < beside < 0.3 * 90_000
    assert both.wire_bytes(begun) == pytest.approx(90_000, rel=0.05)


def test_when_reports_stop_the_rate_goes_to_the_safe_one_and_comes_back() -> None:
    both = Conversation(limits=RateLimits(60.0, cap=60.0, safe=30.0))
    both.advance(6.0)
    before = both.endpoint.tallies[VIDEO.id].received
    both.back.outage(both.now, 12.0)
    both.advance(11.5)
    assert both.control.congestion.state is State.FALLBACK
    assert both.rate.kbps == both.control.kbps == 30.0
    assert both.session.session == both.session.origin  # media goes on under the shared key
    assert both.endpoint.tallies[VIDEO.id].received > before + 50
    assert both.endpoint.tallies[VIDEO.id].lost == 0
    both.advance(15.0)
    assert both.session.two_way
    assert both.control.kbps == 60.0


def test_a_restarted_receiver_is_talked_to_again() -> None:
    both = Conversation(link=LOSSY)
    both.advance(15.0)
    both.restart_receiver()
    reports = both.control.feedback.reports
    both.advance(5.0)
    assert both.session.two_way
    assert both.session.handshakes >= 2
    assert both.control.feedback.reports > reports + 3
    assert both.endpoint.tallies[VIDEO.id].received > 0


@pytest.mark.parametrize(("mode", "receiver_mode"), [(Mode.ONE_WAY, Mode.AUTO), (Mode.AUTO, Mode.ONE_WAY)])
def test_one_way_at_either_end_nothing_comes_back(mode: Mode, receiver_mode: Mode) -> None:
    both = Conversation(mode, receiver_mode)
    both.advance(6.0)
    assert both.endpoint.tallies[VIDEO.id].received > 50
    assert (both.replied, both.replies.sent, both.control.feedback.reports) == (0, 0, 0)
    assert both.control.kbps == 60.0
    if mode is Mode.ONE_WAY:
        assert both.wire_bytes(0.0, HANDSHAKE) == 0
    else:
        assert both.endpoint.dropped[Reason.POLICY] > 0


def test_a_one_way_sender_hears_nothing_even_from_its_receiver() -> None:
    both = Conversation()
    both.advance(3.0)
    reply = both.endpoint.seal_reply(REPORT.id, b"", both.now)
    assert reply is not None
    alone = control(Mode.ONE_WAY)
    alone.receive(reply, 0.0)
    assert alone.session.dropped[Reason.POLICY] == 1


def test_two_way_seals_nothing_before_there_are_keys() -> None:
    waiting = control(Mode.TWO_WAY)
    (segment,) = segments(VIDEO.id, 0, 0.0, [b"x"], 1000)
    assert not waiting.ready
    assert waiting.seal(segment, 0.0) is None
    assert {datagram[0] for datagram in waiting.poll(0.0, 0.0)} == {HANDSHAKE_BYTE}


def test_an_authentic_report_that_makes_no_sense_is_counted() -> None:
    both = Conversation()
    both.advance(3.0)
    reports = both.control.feedback.reports
    datagram = both.endpoint.seal_reply(REPORT.id, b"\x01\x02", both.now)
    assert datagram is not None
    both.control.receive(datagram, both.now)
    assert (both.control.malformed, both.control.feedback.reports) == (1, reports)


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_whatever_comes_back_nothing_breaks(datagrams: list[bytes]) -> None:
    listening = control()
    for number, datagram in enumerate(datagrams):
        listening.receive(datagram, float(number))
        listening.poll(float(number), 0.0)
    assert sum(listening.session.dropped.values()) == len(datagrams)


def test_polls_are_neither_missed_nor_a_busy_loop() -> None:
    asked = control()
    times = [0.0]
    while times[-1] < 20.0:
        asked.poll(times[-1], times[-1])
        times.append(asked.next_time())
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert min(pauses) >= 0.009
    assert max(pauses) <= 0.101


def test_the_payload_limit_reaches_the_budget() -> None:
    talk = Conversation(lengths=PacketLength(1143, 200))
    assert talk.control.lengths is not None
    talk.control.lengths.limit = 300
    talk.advance(0.1)
    assert talk.rate.budget().max_payload == talk.control.payload_limit == 300
    plain = Conversation()
    plain.advance(0.1)
    assert plain.rate.budget().max_payload == plain.session.payload_limit


def test_packets_are_short_for_late_joiners_until_somebody_reports() -> None:
    talk = Conversation(late_join=LateJoin(0.1))
    talk.advance(0.1)
    assert talk.rate.budget().max_payload == 60 * 125 * 4 // 15 // 3 - 57
    talk.advance(5.0)
    assert talk.rate.budget().max_payload == talk.session.payload_limit
    alone = Conversation(Mode.ONE_WAY, late_join=LateJoin(0.1))
    alone.advance(5.0)
    assert alone.rate.budget().max_payload < 700


def test_what_is_lost_while_the_rate_is_cut_is_not_learnt_from() -> None:
    talk = Conversation(
        limits=RateLimits(60.0, cap=250.0),
        link=Impairments(delay_s=0.04, rate_kbps=100, queue_s=0.5),
        lengths=Listening(1143),
    )
    lengths = talk.lengths
    assert isinstance(lengths, Listening)
    while not talk.control.congestion.cuts:
        talk.advance(0.1)
    before = len(lengths.heard)
    talk.advance(4.0)
    assert len(lengths.heard) == before
    calm = Conversation(lengths=Listening(1143))
    calm.advance(10.0)
    assert isinstance(calm.lengths, Listening) and len(calm.lengths.heard) > 20
    assert all(arrived for _, arrived in calm.lengths.heard)


class Listening(PacketLength):
    """Keeps what it is told."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.heard: list[tuple[int, bool]] = []

    def learn(self, fates: Iterable[tuple[int, bool]]) -> None:
        self.heard += fates
