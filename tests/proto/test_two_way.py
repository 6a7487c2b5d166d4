"""Two-way sessions end to end: loss, roaming, restarts, changes of keys, modes."""

from __future__ import annotations

import pytest

from proto import origins
from proto.handshake import Identity
from proto.noise import public_key
from proto.session import Announced, Answer, Arrival, Dropped, ReceiverEndpoint, Rules, SenderSession
from proto.streams import CONTROL, REPORT, VIDEO
from proto.wire import Mode, Reason
from tests.proto.duplex import AT_HOME, Duplex, pair
from tests.proto.link import EPOCH, PSK

HOME = ("192.0.2.1", 5004)
AWAY = ("198.51.100.7", 9)


def auto(**rules: float) -> SenderSession:
    return SenderSession(PSK, mode=Mode.AUTO, rules=Rules(**rules))  # type: ignore[arg-type]


def strict() -> SenderSession:
    return SenderSession(PSK, mode=Mode.TWO_WAY)


def up(link: Duplex) -> None:
    assert link.advance(6.0, lambda: link.sender.two_way)
    link.advance(0.5)


def usable(link: Duplex) -> tuple[bool, bool]:
    """Whether the sender seals, and whether under the keys of a handshake."""
    return link.sender.ready, link.sender.two_way


def one_sender(link: Duplex) -> None:
    """Whatever became of the keys: one run of one sender, its units in order, none twice."""
    assert {event.origin for event in link.arrivals()} == {link.sender.origin}
    assert sum(event.took_over for event in link.arrivals()) == 1
    units = [event.unit for event in link.arrivals()]
    assert units == sorted(set(units))


def test_media_flows_at_once_and_moves_to_the_keys_of_the_handshake() -> None:
    link = pair(auto(), unit_seconds=0.02)
    link.advance(2.0)
    sessions = list(dict.fromkeys(event.session for event in link.arrivals()))
    assert sessions == [link.sender.origin, link.sender.session]
    assert link.sender.two_way
    assert link.receiver.handshakes == 1
    assert link.receiver.tallies[VIDEO.id].lost == 0
    one_sender(link)


def test_without_any_loss_two_datagrams_are_enough() -> None:
    link = pair(strict())
    assert link.advance(0.5, lambda: link.sender.two_way)
    assert link.now - 100.0 == pytest.approx(0.1, abs=0.011)


def test_at_80_percent_loss_a_handshake_is_done_within_two_seconds() -> None:
    """50 ms each way, 60 kbit/s, 80 % loss each way, 300 seeds; and never an answer too much."""
    seconds = []
    for seed in range(300):
        link = pair(strict(), loss=0.8, seed=seed)
        link.advance(20.0, lambda link=link: link.sender.two_way)  # type: ignore[misc]
        seconds.append(link.now - 100.0)
        assert link.bytes_back <= link.bytes_there
        assert link.bytes_there <= 7500 * (seconds[-1] + 0.1) + 114
    assert sum(spent < 2.0 for spent in seconds) / 300 >= 0.98
    assert max(seconds) < 10.0


def test_beside_media_a_handshake_at_80_percent_loss_is_done_within_two_seconds() -> None:
    done = 0
    for seed in range(200):
        link = pair(auto(), loss=0.8, seed=seed, unit_seconds=0.24, payload=850)
        done += link.advance(2.0, lambda link=link: link.sender.two_way)  # type: ignore[misc]
        assert link.bytes_back <= link.bytes_there
    assert done / 200 >= 0.97


def test_a_two_way_session_sends_no_media_before_it_has_keys() -> None:
    link = pair(strict(), loss=1.0, unit_seconds=0.1)
    link.advance(3.0)
    assert usable(link) == (False, False)
    assert link.sender.withheld == 30
    assert link.sender.seal(CONTROL.id, b"\x09") is None
    link.loss = 0.0
    link.advance(3.0)
    assert usable(link) == (True, True)
    assert {event.session for event in link.arrivals()} == {link.sender.session}
    assert link.sender.session != link.sender.origin
    one_sender(link)


def test_a_two_way_receiver_refuses_what_the_pre_shared_key_alone_sealed() -> None:
    receiver = ReceiverEndpoint(PSK, mode=Mode.TWO_WAY)
    [packet] = SenderSession(PSK).packets(1, 0, EPOCH, [b""])
    assert receiver.receive(packet, 0.0) == Dropped(Reason.POLICY)
    assert receiver.sessions == 0
    link = Duplex(auto(), receiver, unit_seconds=0.05)
    link.advance(1.0)
    assert {event.session for event in link.arrivals()} == {link.sender.session}


def test_a_one_way_end_says_nothing_and_hears_nothing() -> None:
    link = Duplex(auto(), ReceiverEndpoint(PSK, mode=Mode.ONE_WAY), unit_seconds=0.1)
    link.advance(5.0)
    assert not link.sender.two_way
    assert link.bytes_back == 0
    assert link.receiver.dropped[Reason.POLICY] >= link.sender._initiator.sent - 1 > 20
    assert len(link.arrivals()) == 50
    quiet = SenderSession(PSK)
    assert quiet.receive(b"\x7f" + bytes(90), 0.0) == Dropped(Reason.POLICY)
    silent = pair(SenderSession(PSK), unit_seconds=0.1)
    silent.advance(5.0)
    assert silent.bytes_back == 0


def test_replies_come_back_once_each_and_only_with_a_handshake() -> None:
    link = pair(auto())
    assert link.receiver.seal_reply(REPORT.id, b"early", 0.0) is None
    with pytest.raises(ValueError, match="does not run this way"):
        link.receiver.seal_reply(VIDEO.id, b"", 0.0)
    up(link)
    reply = link.receiver.seal_reply(REPORT.id, b"report", link.now)
    assert reply is not None
    assert b"report" not in reply
    got = link.sender.receive(reply, link.now)
    assert (got.stream, got.body) == (REPORT.id, b"report")  # type: ignore[union-attr]
    assert link.sender.receive(reply, link.now) == Dropped(Reason.REPLAYED)
    changed = reply[:10] + b"\xff" + reply[11:]
    assert link.sender.receive(changed, link.now) == Dropped(Reason.FORGED)
    turned = link.receiver.seal_reply(CONTROL.id, bytes(30), link.now)
    assert turned is not None
    ahead = turned[:7] + (1000).to_bytes(4, "big") + turned[11:]
    assert link.receiver.receive(ahead, link.now) == Dropped(Reason.FORGED)
    assert link.receiver.reply_to == AT_HOME


def test_the_receiver_follows_the_newest_authentic_packet() -> None:
    link = pair(auto(), unit_seconds=0.05)
    up(link)
    early = link.sender.packets(VIDEO.id, 5000, EPOCH, [b"held back"])
    link.address = AWAY
    link.advance(1.0)
    assert link.receiver.reply_to == AWAY
    thief = ("203.0.113.1", 1)
    link.receiver.receive(early[0], link.now, thief)  # authentic, but not the newest
    forged = early[0][:7] + b"\xff\xff\xff\xff" + early[0][11:]
    link.receiver.receive(forged, link.now, thief)
    assert link.receiver.reply_to == AWAY
    link.heard.clear()
    link.advance(1.0)
    assert link.heard
    assert link.sender.two_way
    one_sender(link)


def test_roaming_at_80_percent_loss_needs_no_new_handshake() -> None:
    link = pair(auto(silence=30.0), unit_seconds=0.05, seed=5)
    up(link)
    link.loss = 0.8
    for port in range(10):
        link.address = ("198.51.100.7", port)
        link.advance(2.0)
        assert link.receiver.reply_to == link.address
    assert link.sender.handshakes == 1


def test_a_silent_receiver_is_not_relied_on_and_taken_up_again() -> None:
    link = pair(auto(), unit_seconds=0.1)
    up(link)
    link.back_loss = 1.0
    link.advance(1.2)
    assert usable(link) == (True, True)
    link.advance(0.6)
    assert usable(link) == (True, False)
    link.events.clear()
    link.advance(3.0)
    assert {event.session for event in link.arrivals()} == {link.sender.origin}
    link.back_loss = 0.0
    link.advance(1.0)
    assert usable(link) == (True, True)
    assert link.receiver.takeovers == 1
    assert link.receiver.tallies[VIDEO.id].lost == 0


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.TWO_WAY])
def test_a_restarted_receiver_has_a_picture_again_without_anybody_doing_anything(mode: Mode) -> None:
    link = pair(SenderSession(PSK, mode=mode), unit_seconds=0.1)
    up(link)
    link.receiver = ReceiverEndpoint(PSK)
    link.events.clear()
    assert link.advance(3.0, lambda: bool(link.arrivals()))
    assert link.now - 100.0 < 0.7 + 1.5 + 0.3 + 1.0
    link.advance(2.0)
    assert link.sender.two_way
    one_sender(link)


@pytest.mark.parametrize("outage", [5.0, 60.0, 700.0])
@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.TWO_WAY])
def test_an_outage_of_any_length_heals(outage: float, mode: Mode) -> None:
    link = pair(SenderSession(PSK, mode=mode), unit_seconds=0.25)
    up(link)
    link.loss = 1.0
    link.advance(outage)
    link.loss = 0.0
    before = len(link.arrivals())
    link.advance(2.5)
    assert len(link.arrivals()) - before >= 9
    assert link.sender.two_way
    one_sender(link)


def test_a_restarted_sender_takes_over_with_its_own_handshake() -> None:
    link = pair(strict(), unit_seconds=0.05)
    up(link)
    first, link.sender = link.sender, strict()
    link.advance(3.0)
    assert link.receiver.active is not None
    assert link.receiver.active.id == link.sender.origin != first.origin
    assert link.receiver.takeovers == 2
    link.advance(12.0)
    assert link.receiver.sessions == 1
    assert len(link.receiver._opener._installed) == 1  # the keys of the first are gone with it


def test_pinned_keys_are_used_and_named() -> None:
    a, b = bytes([7]) * 32, bytes([9]) * 32
    sender = SenderSession(PSK, mode=Mode.TWO_WAY, identity=Identity(a, (public_key(b),)))
    receiver = ReceiverEndpoint(PSK, identity=Identity(b, (public_key(a),)))
    link = Duplex(sender, receiver, unit_seconds=0.1)
    up(link)
    assert receiver.active is not None
    assert receiver.active.two_way is not None
    assert receiver.active.two_way.peer == public_key(a)
    stranger = Duplex(strict(), ReceiverEndpoint(PSK, identity=Identity(b, (public_key(a),))))
    stranger.advance(3.0)
    assert not stranger.sender.two_way


def test_keys_are_renewed_by_time_and_the_old_ones_overlap() -> None:
    link = pair(auto(rekey_seconds=20.0), unit_seconds=0.05, report_seconds=0.1)
    link.advance(19.5)
    assert link.sender.handshakes == 1
    late = link.sender.packets(VIDEO.id, link.unit - 1, EPOCH + link.now, [b"", b""])
    old = link.receiver.active.two_way  # type: ignore[union-attr]
    assert old is not None
    reply = old.sealer.seal(REPORT.id, b"under the old key")
    link.advance(3.0)
    assert link.sender.handshakes == 2
    event = link.receiver.receive(late[0], link.now)
    assert isinstance(event, Dropped) and event.reason is Reason.CONFLICT  # opened, only of no use
    assert not isinstance(link.sender.receive(reply, link.now), Dropped)
    link.advance(origins.OVERLAP_SECONDS)
    assert link.receiver.receive(late[1], link.now) == Dropped(Reason.REPLAYED)
    assert link.receiver.receive(late[1], link.now) == Dropped(Reason.FORGED)
    late_reply = old.sealer.seal(REPORT.id, b"too late")
    assert link.sender.receive(late_reply, link.now) == Dropped(Reason.FORGED)
    assert link.receiver.tallies[VIDEO.id].lost == 0
    one_sender(link)


def test_keys_are_renewed_by_packets() -> None:
    link = pair(auto(rekey_packets=100), unit_seconds=0.02, delay=0.01)
    link.advance(10.0)
    assert link.sender.handshakes >= 4
    assert link.receiver.tallies[VIDEO.id].lost == 0
    one_sender(link)


def test_renewing_at_80_percent_loss_loses_no_more_than_the_link_does() -> None:
    link = pair(auto(rekey_seconds=10.0), unit_seconds=0.05, loss=0.8, seed=3)
    link.advance(120.0)
    assert link.sender.handshakes >= 5
    assert len(link.arrivals()) / link.unit == pytest.approx(0.2, abs=0.03)
    assert {event.origin for event in link.arrivals()} == {link.sender.origin}


def test_a_handshake_in_a_later_session_does_not_make_a_second_sender() -> None:
    """The receiver joins after a change of keys and is told the origin by the handshake or an announcement."""
    link = pair(auto(rekey_packets=30, silence=1.0), unit_seconds=0.02, back_loss=1.0)
    link.advance(3.0)
    link.receiver = ReceiverEndpoint(PSK)
    link.events.clear()
    link.back_loss = 0.0
    link.advance(3.0)
    assert link.sender.two_way
    assert link.receiver.takeovers == 1
    assert link.receiver.sessions == 1
    assert link.receiver.active is not None
    assert link.receiver.active.id == link.sender.origin
    assert sum(event.took_over for event in link.arrivals()) == 1
    assert link.receiver.dropped[Reason.REPLAYED] == 0


def test_signs_of_life_stop_when_the_sender_does() -> None:
    link = pair(strict(), unit_seconds=0.1)
    up(link)
    link.advance(3.0)
    assert len([m for m in link.heard if m.stream == CONTROL.id]) == pytest.approx(4 * 3.4, abs=3)
    link.loss = 1.0
    link.advance(10.0)
    link.answered_to.clear()
    link.advance(20.0)
    assert link.answered_to == []
    assert link.receiver.next_time() > link.now


def test_a_control_message_of_another_kind_is_handed_on() -> None:
    link = pair(auto())
    up(link)
    datagram = link.sender.seal(CONTROL.id, b"\x09hello")
    assert datagram is not None
    event = link.receiver.receive(datagram, link.now)
    assert not isinstance(event, Dropped | Arrival | Announced)
    assert (event.stream, event.body, event.origin) == (CONTROL.id, b"\x09hello", link.sender.origin)  # type: ignore[union-attr]


def test_a_packet_kept_back_for_hours_does_not_move_the_window() -> None:
    """What was sealed under the shared key before the handshake is good for ever, but only near the stream."""
    sender, receiver, now = SenderSession(PSK, mode=Mode.AUTO), ReceiverEndpoint(PSK), 100.0
    kept = sender.packets(VIDEO.id, 0, EPOCH + now, [b"kept"])[0]
    for unit in range(1, 33000, 60):
        for datagram in sender.poll(now, EPOCH + now):
            event = receiver.receive(datagram, now, HOME)
            if isinstance(event, Answer):
                sender.receive(event.datagram, now)
        [datagram] = sender.packets(VIDEO.id, unit, EPOCH + now, [b"media"])
        assert isinstance(receiver.receive(datagram, now, HOME), Arrival)
        for reply, _ in receiver.poll(now):
            sender.receive(reply, now)
        now += 0.1
    assert sender.two_way
    assert receiver.receive(kept, now, AWAY) == Dropped(Reason.REPLAYED)
    [datagram] = sender.packets(VIDEO.id, unit + 1, EPOCH + now, [b"media"])
    assert isinstance(receiver.receive(datagram, now, HOME), Arrival)
    assert receiver.reply_to == HOME


def test_two_senders_both_keep_their_keys() -> None:
    """Signs of life go to every sender that has agreed on keys, not to the one on show alone."""
    senders = {HOME: SenderSession(PSK, mode=Mode.AUTO), AWAY: SenderSession(PSK, mode=Mode.AUTO)}
    receiver, now = ReceiverEndpoint(PSK), 100.0
    for step in range(600):
        for address, sender in senders.items():
            datagrams = sender.poll(now, EPOCH + now)
            if step % 5 == 0:
                datagrams += sender.packets(VIDEO.id, step // 5, EPOCH + now, [b"media"])
            for datagram in datagrams:
                event = receiver.receive(datagram, now, address)
                if isinstance(event, Answer):
                    sender.receive(event.datagram, now)
        for reply, address in receiver.poll(now):
            senders[address].receive(reply, now)
        now += 0.05
    assert [sender.two_way for sender in senders.values()] == [True, True]
    assert max(sender.handshakes for sender in senders.values()) <= 2
