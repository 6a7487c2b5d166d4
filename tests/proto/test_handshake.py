"""Initiator and responder: what they send and when, what they refuse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto import handshake, responder
from proto.handshake import Identity, Initiator, Kind, pack, unpack
from proto.keys import KeySchedule
from proto.noise import HandshakeState, Protocol, public_key
from proto.responder import Responder
from proto.wire import IP_UDP_BYTES, Reason, WireError

KEYS = KeySchedule(bytes(range(32)))
ORIGIN = b"origin"
A, B = bytes([7]) * 32, bytes([9]) * 32
SENDER, RECEIVER = Identity(A, (public_key(B),)), Identity(B, (public_key(A),))
NEITHER: tuple[None, None] = (None, None)
PINNED = (SENDER, RECEIVER)


def initiator(identity: Identity | None = None, rate: float = 7500.0) -> Initiator:
    made = Initiator(KEYS, ORIGIN, rate, identity=identity)
    made.start(0.0)
    return made


def refusal(side: Responder, datagram: bytes, now: float = 0.0) -> Reason:
    with pytest.raises(WireError) as caught:
        side.receive(datagram, now)
    return caught.value.reason


@pytest.mark.parametrize("identities", [NEITHER, PINNED], ids=["NNpsk0", "IKpsk2"])
def test_two_datagrams_give_both_the_same_keys(
    identities: tuple[Identity | None, Identity | None],
) -> None:
    one, two = initiator(identities[0]), Responder(KEYS, identity=identities[1], features=5)
    one.number = 3
    [request] = one.poll(0.0)
    pending = two.receive(request, 0.05)
    assert len(pending.response) < len(request)
    assert (pending.origin, pending.number) == (ORIGIN, 3)
    keys = one.receive(pending.response)
    theirs = pending.keys
    assert (keys.session, keys.forward, keys.back) == (theirs.session, theirs.forward, theirs.back)
    assert keys.forward != keys.back
    assert (keys.features, theirs.features) == (5, 0)
    if identities[0] is not None:
        assert (keys.peer, theirs.peer) == (public_key(B), public_key(A))
    assert not one.active
    assert one.next_time() == math.inf


def test_a_repeated_initiation_gets_the_same_answer_until_it_is_confirmed() -> None:
    one, two = initiator(), Responder(KEYS)
    first, again = one.poll(0.0), one.poll(1.0)
    assert set(first) == set(again)  # the same bytes, so that any of the answers fits
    pending = two.receive(first[0], 0.1)
    assert two.receive(again[0], 1.1) is pending
    two.confirm(pending.keys.session)
    assert refusal(two, again[0], 1.2) is Reason.REPLAYED


def test_a_fresh_initiation_every_two_seconds_and_the_one_before_stays_good() -> None:
    one, two = initiator(), Responder(KEYS)
    sent = {now / 10: one.poll(now / 10) for now in range(61)}
    kinds = list(dict.fromkeys(datagram for due in sent.values() for datagram in due))
    assert len(kinds) == 4
    answers = [two.receive(datagram, 6.0).response for datagram in kinds]
    assert len(two.pending) == 2
    for answer in answers[:2]:
        with pytest.raises(WireError, match="no initiation that is open"):
            one.receive(answer)
    assert one.receive(answers[2]).session in two.pending


def test_an_older_initiation_is_a_replay() -> None:
    one, two = initiator(), Responder(KEYS)
    old, new = one.poll(0.0)[0], one.poll(2.0)[0]
    two.receive(new, 2.0)
    assert refusal(two, old, 2.1) is Reason.REPLAYED


def test_it_is_fast_at_first_keeps_to_its_rate_and_never_gives_up() -> None:
    one = initiator(rate=3000.0)
    one.slow_rate = 90.0
    sent: list[float] = []
    for tick in range(120_000):
        sent += [tick / 100] * len(one.poll(tick / 100))
    wire = 86 + IP_UDP_BYTES
    assert sum(at < 3.0 for at in sent) == pytest.approx(3.0 * 3000 / wire, rel=0.05)
    for begin in range(0, 12, 3):
        spent = wire * sum(begin <= at < begin + 3 for at in sent)
        assert spent <= 3000 * 3 / 2 ** (begin // 3) + 2 * wire
    assert sent[-1] - sent[-2] == pytest.approx(wire / 90.0, abs=0.011)
    assert sent[-1] > 1190


def test_a_late_poll_does_not_burst() -> None:
    one = initiator()
    one.poll(0.0)
    assert len(one.poll(2.5)) <= 0.1 * 7500 / (86 + IP_UDP_BYTES) + 1


def test_damage_a_wrong_key_and_wrong_kinds_are_refused() -> None:
    one, two = initiator(), Responder(KEYS)
    [request] = one.poll(0.0)
    for position in range(1, len(request)):
        changed = request[:position] + bytes([request[position] ^ 1]) + request[position + 1 :]
        assert refusal(two, changed) is Reason.FORGED
    assert refusal(two, request[:-1]) is Reason.FORGED
    assert refusal(two, request[:69]) is Reason.SHORT
    assert refusal(two, request + bytes(1400)) is Reason.OVERSIZED
    assert refusal(two, b"\x41" + request[1:]) is Reason.VERSION
    assert refusal(Responder(KeySchedule(bytes(32))), request) is Reason.FORGED
    assert refusal(Responder(KEYS, identity=RECEIVER), request) is Reason.MALFORMED
    assert refusal(two, pack(KEYS, Kind.REQUEST, 7, bytes(48))) is Reason.FORGED
    pending = two.receive(request, 0.0)
    with pytest.raises(WireError, match="type 1, 2 expected"):
        one.receive(request)
    with pytest.raises(WireError, match="type 2, 4 expected"):
        initiator(SENDER).receive(pending.response)


def test_only_pinned_keys_are_answered() -> None:
    stranger = initiator(Identity(bytes([3]) * 32, (public_key(B),)))
    two = Responder(KEYS, identity=RECEIVER)
    assert refusal(two, stranger.poll(0.0)[0]) is Reason.FORGED
    elsewhere = initiator(Identity(A, (public_key(bytes([4]) * 32),)))
    assert refusal(two, elsewhere.poll(0.0)[0]) is Reason.FORGED
    assert not two.pending
    with pytest.raises(ValueError, match="identity: a private key and at least one peer"):
        Identity(A, ())


def test_payloads_that_are_too_short_are_malformed() -> None:
    state = HandshakeState(Protocol(), True, KEYS.noise_psk, prologue=handshake.PROLOGUE)
    short = pack(KEYS, Kind.REQUEST, 1, state.write_message(b"short"))
    two = Responder(KEYS)
    assert refusal(two, short) is Reason.MALFORMED
    one = initiator()
    envelope = unpack(KEYS, one.poll(0.0)[0])
    other = HandshakeState(Protocol(), False, KEYS.noise_psk, prologue=handshake.PROLOGUE)
    other.read_message(envelope.message)
    with pytest.raises(WireError, match="response: 0 bytes"):
        one.receive(pack(KEYS, Kind.RESPONSE, envelope.index, other.write_message()))
    assert one.active


def test_what_waits_is_bounded_and_expires() -> None:
    two = Responder(KEYS)
    for number in range(40):
        other = Initiator(KEYS, number.to_bytes(6, "big"), 7500.0)
        other.start(0.0)
        two.receive(other.poll(0.0)[0], number * 0.06)
    assert len(two.pending) == responder.MAX_PENDING == len(two._answers)
    assert len(two.expire(60.0)) == responder.MAX_PENDING
    assert not two.pending
    assert not two._answers


def test_work_and_answers_are_limited_by_the_second() -> None:
    two = Responder(KEYS)
    one = initiator()
    [request] = one.poll(0.0)
    assert two.receive(request, 0.0)
    strangers = []
    for number in range(60):
        other = Initiator(KEYS, number.to_bytes(6, "big"), 7500.0)
        other.start(0.0)
        strangers += other.poll(0.0)
    outcomes: list[Reason | None] = []
    for datagram in strangers:
        try:
            two.receive(datagram, 0.0)
            outcomes.append(None)
        except WireError as error:
            outcomes.append(error.reason)
    assert outcomes.count(Reason.BUSY) == 60 - 19
    answered = 0
    for _ in range(1000):
        try:
            two.receive(strangers[18], 1.0)
            answered += 1
        except WireError as error:
            assert error.reason is Reason.BUSY
    assert 100 <= answered <= 200


def test_remembered_origins_are_bounded() -> None:
    two = Responder(KEYS)
    for number in range(200):
        other = Initiator(KEYS, number.to_bytes(6, "big"), 7500.0)
        other.start(0.0)
        two.receive(other.poll(0.0)[0], number * 1.0)
    assert len(two._newest) == responder.REMEMBERED_ORIGINS


@settings(deadline=None)
@given(st.binary(max_size=1600), st.sampled_from([NEITHER, PINNED]), st.booleans())
def test_parsers_raise_only_wire_error(
    data: bytes, identities: tuple[Identity | None, Identity | None], checked: bool
) -> None:
    one, two = initiator(identities[0]), Responder(KEYS, identity=identities[1])
    [request] = one.poll(0.0)
    index = unpack(KEYS, request).index
    kinds = (
        (Kind.RESPONSE, Kind.REQUEST)
        if identities[0] is None
        else (Kind.PINNED_RESPONSE, Kind.PINNED_REQUEST)
    )
    with pytest.raises(WireError):
        one.receive(pack(KEYS, kinds[0], index, data) if checked else data)
    with pytest.raises(WireError):
        two.receive(pack(KEYS, kinds[1], index, data) if checked else data, 0.0)
