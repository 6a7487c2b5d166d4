"""Both ends of a session over a lossy link in memory, with a manual clock."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto import crypto
from proto.crypto import Sealer
from proto.interleaver import loss_mask
from proto.packet import Segment
from proto.session import Arrival, Dropped, ReceiverEndpoint, SenderSession
from proto.streams import VIDEO
from proto.wire import OVERHEAD_BYTES, Reason, latest_time
from tests.proto.link import EPOCH, PSK, UNIT_SECONDS, Link


def payloads(unit: int, count: int = 8) -> list[bytes]:
    return [f"{unit}/{index}".encode().ljust(100, b".") for index in range(count)]


def unit_packets(session: SenderSession, unit: int, count: int = 8) -> list[bytes]:
    return session.packets(VIDEO.id, unit, EPOCH + unit * UNIT_SECONDS, payloads(unit, count))


def run(link: Link, session: SenderSession, units: range) -> None:
    for unit in units:
        link.send(unit_packets(session, unit))
        link.advance(UNIT_SECONDS)


def pending(endpoint: ReceiverEndpoint) -> tuple[int, ...]:
    reassembler = endpoint.reassembler(VIDEO.id)
    return () if reassembler is None else reassembler.pending


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any), st.integers(0, 2**31))
def test_any_subset_of_packets_gives_the_exact_mask(survives: list[bool], unit: int) -> None:
    endpoint = ReceiverEndpoint(PSK)
    link = Link(endpoint, survives)
    link.send(unit_packets(SenderSession(PSK), unit, len(survives)))
    link.advance(0.0)
    reassembler = endpoint.reassembler(VIDEO.id)
    assert reassembler is not None
    got = reassembler.take(unit & 0xFFFF)
    assert got is not None
    assert got.arrived == tuple(survives)
    assert [s for s in got.segments if s is not None] == [
        p for p, there in zip(payloads(unit, len(survives)), survives, strict=True) if there
    ]
    mask = loss_mask(256, got.count, got.arrived, got.unit & 0xFFFF)
    assert mask.sum() == pytest.approx(256 * sum(survives) / len(survives), abs=len(survives))


def test_packets_have_the_promised_size_and_epoch_time_survives() -> None:
    session, endpoint = SenderSession(PSK), ReceiverEndpoint(PSK)
    packets = unit_packets(session, 5, count=1)
    assert [len(packet) for packet in packets] == [100 + OVERHEAD_BYTES]
    event = endpoint.receive(packets[0], now=1.0)
    assert event == Arrival(session.session, session.origin, VIDEO.id, 5, active=True, took_over=True)
    reassembler = endpoint.reassembler(VIDEO.id)
    assert reassembler is not None
    stamp = reassembler.timestamp(5)
    assert stamp is not None
    captured = EPOCH + 5 * UNIT_SECONDS
    assert latest_time(stamp, clock=captured + 0.4) == pytest.approx(captured, abs=0.0021)
    assert (endpoint.packets, endpoint.wire_bytes, endpoint.sessions) == (1, 157, 1)


def test_payloads_beyond_the_limit_are_refused_before_sealing() -> None:
    session = SenderSession(PSK, datagram_limit=500)
    assert session.payload_limit == 471
    assert len(session.packets(1, 0, 0.0, [bytes(471)])[0]) == 500
    with pytest.raises(ValueError, match="payloads: at most 471 bytes each"):
        session.packets(1, 1, 0.0, [bytes(472)])
    with pytest.raises(ValueError, match="stream 9 is not known"):
        session.packets(9, 1, 0.0, [b""])
    with pytest.raises(ValueError, match=r"stream 2 \(report\) does not run this way"):
        session.packets(2, 1, 0.0, [b""])
    with pytest.raises(ValueError, match=r"stream 0 \(control\) carries no segments"):
        session.packets(0, 1, 0.0, [b""])
    with pytest.raises(ValueError, match="stream 1 carries segments"):
        session.seal(1, b"")
    with pytest.raises(ValueError, match="datagram_limit"):
        SenderSession(PSK, datagram_limit=1473)


def test_reordering_and_half_the_packets_lost() -> None:
    rng = random.Random(4)
    delays = [rng.random() * 0.8 for _ in range(97)]
    endpoint = ReceiverEndpoint(PSK)
    link = Link(endpoint, (True, False, False, True, True, False, True), lambda n: delays[n % 97])
    run(link, SenderSession(PSK), range(300))
    assert all(isinstance(event, Arrival) for event in link.events)
    tally = endpoint.tallies[VIDEO.id]
    assert tally.received == len(link.events)
    closed = tally.units_closed + tally.units_missed
    held = sum(1 for event in link.events if isinstance(event, Arrival) and event.unit >= closed)
    assert tally.received - held + tally.lost == closed * 8


def test_a_replayed_capture_changes_nothing() -> None:
    endpoint, session = ReceiverEndpoint(PSK), SenderSession(PSK)
    capture = [packet for unit in range(20) for packet in unit_packets(session, unit)]
    for packet in capture:
        endpoint.receive(packet, now=1.0)
    before = (pending(endpoint), endpoint.packets)
    for seconds in (0.0, 5.0, 600.0):
        for packet in capture:
            assert endpoint.receive(packet, now=1.0 + seconds) == Dropped(Reason.REPLAYED)
    assert (pending(endpoint), endpoint.packets) == before
    assert endpoint.dropped[Reason.REPLAYED] == 3 * len(capture)


def test_forgeries_and_a_wrong_key_are_counted() -> None:
    endpoint = ReceiverEndpoint(PSK)
    for packet in unit_packets(SenderSession(bytes(32)), 0):
        assert endpoint.receive(packet, now=0.0) == Dropped(Reason.FORGED)
    assert endpoint.dropped[Reason.FORGED] == 8
    assert endpoint.active is None
    assert (endpoint.packets, endpoint.sessions) == (0, 0)


def test_authentic_packets_with_bad_content_are_counted() -> None:
    endpoint, sealer = ReceiverEndpoint(PSK), Sealer(PSK)
    good = bytes(Segment(1, 0, 0, 2, 0, b""))
    for stream, body, expected in [
        (2, good, Reason.STREAM),
        (9, good, Reason.STREAM),
        (0, b"\x01", Reason.MALFORMED),
        (1, b"12345", Reason.SHORT),
        (1, bytes(6), Reason.MALFORMED),
    ]:
        assert endpoint.receive(sealer.seal(stream, body), now=0.0) == Dropped(expected)
    assert endpoint.sessions == 0
    assert isinstance(endpoint.receive(sealer.seal(1, good), now=0.0), Arrival)
    assert endpoint.receive(sealer.seal(1, good), now=0.0) == Dropped(Reason.DUPLICATE)
    contradiction = bytes(Segment(1, 0, 1, 3, 0, b""))
    assert endpoint.receive(sealer.seal(1, contradiction), now=0.0) == Dropped(Reason.CONFLICT)


def test_an_outage_of_ten_minutes() -> None:
    endpoint, session = ReceiverEndpoint(PSK), SenderSession(PSK)
    link = Link(endpoint)
    run(link, session, range(100))
    link.advance(600.0)
    run(link, session, range(100 + 2250, 100 + 2350))
    assert all(isinstance(event, Arrival) and event.active for event in link.events)
    assert pending(endpoint)[-1] == 2449
    assert endpoint.takeovers == 1
    assert endpoint.tallies[VIDEO.id].units_missed == 2250


def test_the_counter_running_out_starts_a_new_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "MAX_PACKETS", 20)
    session = SenderSession(PSK)
    first = session.session
    assert (session.number, session.remaining) == (0, 20)
    sent = [unit_packets(session, unit) for unit in range(5)]
    assert session.number == 2 and 0 < session.remaining < 20
    ids = [{packet[1:7] for packet in packets} for packets in sent]
    assert all(len(one) == 1 for one in ids)  # no unit straddles two sessions
    assert ids[0] == ids[1] == {first}
    assert ids[2] == ids[3]
    assert len({next(iter(one)) for one in ids}) == 3


def test_memory_stays_bounded_whatever_a_key_holder_sends() -> None:
    endpoint, rng = ReceiverEndpoint(PSK), random.Random(8)
    sealers = [Sealer(PSK) for _ in range(200)]
    now = 0.0

    def flood(packets: int) -> None:
        nonlocal now
        for _ in range(packets):
            now += rng.random() * 0.05
            count = rng.randint(1, 255)
            wild = Segment(
                1, rng.getrandbits(16), rng.randrange(count), count, rng.getrandbits(16), bytes(300)
            )
            endpoint.receive(rng.choice(sealers).seal(1, bytes(wild)), now)
            endpoint.receive(rng.randbytes(rng.randint(0, 1600)), now)

    flood(3000)
    tracemalloc.start()
    try:
        flood(2000)
        settled = tracemalloc.get_traced_memory()[0]
        flood(4000)
        assert tracemalloc.get_traced_memory()[0] - settled < 400_000
    finally:
        tracemalloc.stop()
    assert endpoint.sessions <= 4
    assert len(endpoint._opener) <= crypto.REMEMBERED_SESSIONS
    assert all(
        len(reassembler.pending) <= 8
        for session in endpoint._origins
        for reassembler in session.streams.values()
    )
