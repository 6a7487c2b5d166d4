"""What the receiver says back, against a real session and at hand-made times."""

from __future__ import annotations

import random

import pytest

from proto.report import PlayoutState, Report
from proto.session import Answer, Arrival, Dropped, Message, ReceiverEndpoint, SenderSession
from proto.streams import CONTROL, REPORT, VIDEO
from proto.wire import Mode
from receiver.replies import (
    LONGEST_PAUSE,
    MOST_UNDECIDED,
    SHORTEST_PAUSE,
    UNDECIDED_SECONDS,
    Fates,
    Replies,
)
from tests.receiver.link import KEY

HOME = ("192.0.2.1", 4000)


class Ends:
    """A sender and the receiver's replies to it, on a link without delay."""

    def __init__(self, mode: Mode = Mode.AUTO, receiver_mode: Mode = Mode.AUTO) -> None:
        self.state, self.delay = PlayoutState.PLAYING, 0.3
        self.session = SenderSession(KEY, mode=mode)
        self.endpoint = ReceiverEndpoint(KEY, mode=receiver_mode)
        self.replies = Replies(self.endpoint, lambda: (self.state, self.delay))
        self.heard: list[Message] = []
        self.to: list[object] = []
        self.former: SenderSession | None = None
        self.now = 10.0
        self.unit = 0

    @property
    def reports(self) -> list[Report]:
        return [Report.parse(message.body) for message in self.heard if message.stream == REPORT.id]

    def say(self, datagrams: list[bytes], address: tuple[str, int] = HOME) -> None:
        """Sender to receiver."""
        for datagram in datagrams:
            event = self.endpoint.receive(datagram, self.now, address)
            if isinstance(event, Arrival):
                self.replies.arrived(event, self.now)
            elif isinstance(event, Answer):
                self.session.receive(event.datagram, self.now)

    def media(self, packets: int = 3, lost: frozenset[int] = frozenset()) -> None:
        """One unit."""
        cut = self.session.packets(VIDEO.id, self.unit, self.now, [bytes(200)] * packets)
        self.say([datagram for index, datagram in enumerate(cut) if index not in lost])
        self.unit += 1

    def wait(self, seconds: float) -> None:
        """Let time pass: units four times a second, each taken half a second later."""
        end, unit_at = self.now + seconds, self.now
        while self.now < end:
            self.say(self.session.poll(self.now, self.now))
            if self.now >= unit_at:
                unit_at += 0.25
                self.media()
                reassembler = self.endpoint.reassembler(VIDEO.id)
                if reassembler is not None:
                    for unit in range(max(0, self.unit - 6), self.unit - 2):
                        if reassembler.take(unit) is not None:
                            self.replies.decoded(unit, False, True, self.now)
            self.listen()
            self.now = min(unit_at, self.replies.next_time(self.now))

    def listen(self) -> None:
        """What the receiver has to say now reaches the sender."""
        for datagram, address in self.replies.poll(self.now):
            self.to.append(address)
            event = self.session.receive(datagram, self.now)
            if isinstance(event, Dropped):  # a sign of life for the sender before
                assert self.former is not None
                assert not isinstance(self.former.receive(datagram, self.now), Dropped)
            if isinstance(event, Message):
                self.heard.append(event)


def test_reports_tell_what_arrived_and_what_is_on_show() -> None:
    ends = Ends()
    ends.wait(3.0)
    assert ends.session.two_way
    first, last = ends.reports[0], ends.reports[-1]
    assert [report.number for report in ends.reports] == list(
        range(first.number, first.number + len(ends.reports))
    )
    assert ends.replies.sent == len(ends.reports) >= 4
    assert last.session == int.from_bytes(ends.session.session[:2], "big")
    assert (last.state, last.playout_delay_ms) == (PlayoutState.PLAYING, 300)
    assert ends.endpoint.tallies[VIDEO.id].units_closed - 3 <= last.shown == last.due
    assert all(mask.arrived == (True, True, True) for mask in last.units)
    assert set(ends.to) == {HOME}


def test_losses_are_in_the_masks() -> None:
    ends = Ends()
    ends.wait(1.0)
    lossy = ends.unit
    ends.media(4, frozenset({1, 3}))
    ends.unit += 1  # of which nothing arrives
    ends.wait(2.0)
    masks = {mask.unit: mask.arrived for report in ends.reports for mask in report.units}
    assert masks[lossy] == (True, False, True, False)
    assert masks[lossy + 1] == ()
    last = ends.reports[-1]
    assert last.due - last.shown == 1


def test_a_change_on_show_is_told_soon() -> None:
    ends = Ends()
    ends.wait(15.0)
    changed = ends.now
    ends.state = PlayoutState.LOST
    ends.wait(1.3)
    told = next(report for report in ends.reports if report.state is PlayoutState.LOST)
    assert told.clock_ms < 1000 * (changed + 1.1)


def test_before_a_handshake_nothing_is_said() -> None:
    ends = Ends(Mode.ONE_WAY)
    ends.wait(3.0)
    assert (ends.to, ends.replies.sent) == ([], 0)
    assert ends.endpoint.packets > 30


def test_a_one_way_receiver_says_nothing() -> None:
    ends = Ends(receiver_mode=Mode.ONE_WAY)
    ends.wait(3.0)
    assert (ends.to, ends.replies.sent) == ([], 0)


def test_signs_of_life_and_then_silence_when_the_sender_is_gone() -> None:
    ends = Ends()
    ends.wait(2.0)
    ends.heard.clear()
    gone = ends.now
    while ends.now < gone + 3.0:
        before = len(ends.heard)
        again = ends.now + 0.51
        while ends.now < again:
            ends.listen()
            ends.now = ends.replies.next_time(ends.now)
        assert len(ends.heard) > before
    while ends.now < gone + 30.0:
        ends.listen()
        ends.now = ends.replies.next_time(ends.now)
    assert {message.stream for message in ends.heard} == {CONTROL.id, REPORT.id}
    said = len(ends.heard)
    ends.now += 5.0
    ends.listen()
    assert len(ends.heard) == said < 60


def test_replies_follow_the_sender_to_its_new_address() -> None:
    ends = Ends()
    ends.wait(2.0)
    away = ("198.51.100.9", 77)
    ends.to.clear()
    ends.say(ends.session.packets(VIDEO.id, ends.unit, ends.now, [b"x"]), away)
    ends.unit += 1
    ends.now += 1.0
    ends.listen()
    assert set(ends.to) == {away}


def test_units_of_another_stream_or_sender_are_not_reported() -> None:
    ends, other = Ends(), SenderSession(KEY)
    ends.wait(2.0)
    for unit in range(1000, 1004):
        ends.say(other.packets(VIDEO.id, unit, ends.now, [b"y"]), ("192.0.2.2", 1))
    ends.wait(2.0)
    assert {mask.unit for report in ends.reports for mask in report.units} <= set(range(ends.unit))


def test_the_former_sender_is_not_reported_to_the_next() -> None:
    ends = Ends()
    ends.wait(3.0)
    former = ends.former = ends.session
    ends.session = SenderSession(KEY, mode=Mode.AUTO)
    ends.unit = 500
    ends.heard.clear()
    ends.now += 3.0  # the former is silent for so long that the next takes over
    ends.wait(4.0)
    assert ends.endpoint.takeovers == 2
    began = len(ends.reports)
    assert began > 3
    for unit in range(20, 200):  # and then says something again, which closes units of its own
        ends.say(former.packets(VIDEO.id, unit, ends.now, [b"z"]))
        ends.now += 0.001
    ends.wait(3.0)
    told = {mask.unit for report in ends.reports[began:] for mask in report.units}
    assert told
    assert min(told) >= 500


@pytest.mark.parametrize("seed", range(3))
def test_polling_is_neither_a_busy_loop_nor_asleep(seed: int) -> None:
    ends, rng = Ends(), random.Random(seed)
    for _ in range(400):
        pause = ends.replies.next_time(ends.now) - ends.now
        assert SHORTEST_PAUSE - 1e-9 <= pause <= LONGEST_PAUSE + 1e-9
        ends.now += pause
        if rng.random() < 0.3:
            ends.say(ends.session.poll(ends.now, ends.now))
            ends.media(2, frozenset({rng.randrange(3)}))
        ends.listen()


def test_units_are_told_in_order_once_their_fate_is_known() -> None:
    told: list[tuple[int, bool]] = []
    fates = Fates(lambda fate: told.append((fate.unit, fate.refused)))
    for unit in range(4):
        fates.closed(unit, (unit != 1,), unit / 10)
    assert told == []
    fates.decoded(2, False, True, 0.4)  # so 0 came too late for the decoder, and of 1 nothing had come
    assert told == [(0, True), (1, False), (2, False)]
    fates.expire(UNDECIDED_SECONDS + 0.29)
    assert len(told) == 3
    fates.expire(UNDECIDED_SECONDS + 0.31)
    assert told[3:] == [(3, True)]
    fates.decoded(3, False, True, 1.0)
    assert len(told) == 4


def test_what_the_decoder_refused_is_told() -> None:
    told: list[tuple[int, bool]] = []
    fates = Fates(lambda fate: told.append((fate.unit, fate.refused)))
    fates.closed(7, (True, True), 0.0)
    fates.decoded(7, True, False, 0.1)
    assert told == [(7, True)]


def test_undecided_units_are_bounded() -> None:
    told: list[int] = []
    fates = Fates(lambda fate: told.append(fate.unit))
    for unit in range(10 * MOST_UNDECIDED):
        fates.closed(unit, (True,), 0.0)
    assert told == list(range(9 * MOST_UNDECIDED))


def test_without_keys_there_is_nothing_to_hurry_for() -> None:
    endpoint, sender = ReceiverEndpoint(KEY), SenderSession(KEY)
    replies = Replies(endpoint, lambda: (PlayoutState.PLAYING, 0.3))
    for unit in range(50):
        now = unit / 10
        [datagram] = sender.packets(VIDEO.id, unit, unit / 10, [b"x"])
        event = endpoint.receive(datagram, now, ("192.0.2.1", 5004))
        assert isinstance(event, Arrival)
        replies.arrived(event, now)
        assert replies.poll(now) == []
        assert replies.next_time(now) == pytest.approx(now + LONGEST_PAUSE)
