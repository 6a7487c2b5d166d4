"""Hostile bytes at every parser of the wire format: nothing but WireError escapes, `receive` never raises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proto.crypto import Opener, Sealer
from proto.packet import Segment
from proto.session import Arrival, Dropped, ReceiverEndpoint
from proto.wire import Reason, WireError

PSK = bytes(range(32))
SESSION = b"fuzzed"
any_bytes = st.binary(max_size=1600)
nearly_ours = st.builds(lambda rest: b"\x41" + SESSION + rest, any_bytes)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sealed packet, then cut, extended or with bytes changed; sometimes left whole."""
    body = draw(st.one_of(any_bytes.map(lambda data: data[:1449]), segment_bodies()))
    datagram = bytearray(Sealer(PSK, SESSION).seal(draw(st.integers(0, 63)), body))
    for _ in range(draw(st.integers(0, 3))):
        datagram[draw(st.integers(0, len(datagram) - 1))] = draw(st.integers(0, 255))
    end = draw(st.one_of(st.just(len(datagram)), st.integers(0, len(datagram))))
    return bytes(datagram[:end]) + draw(st.one_of(st.just(b""), st.binary(max_size=20)))


def segment_bodies() -> st.SearchStrategy[bytes]:
    u8, u16 = st.integers(0, 255), st.integers(0, 0xFFFF)
    return st.builds(
        lambda unit, index, count, stamp, payload: Segment.HEADER.pack(unit, index, count, stamp) + payload,
        u16,
        u8,
        u8,
        u16,
        st.binary(max_size=50),
    )


@given(st.integers(0, 63), any_bytes)
def test_parse_raises_only_wire_error(stream: int, body: bytes) -> None:
    try:
        segment = Segment.parse(stream, body)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.MALFORMED, Reason.OVERSIZED}
    else:
        assert bytes(segment) == body
        assert 0 <= segment.index < segment.count <= 255


@settings(deadline=None)
@given(st.one_of(any_bytes, nearly_ours))
def test_nothing_random_opens(datagram: bytes) -> None:
    opener = Opener(PSK)
    try:
        opener.open(datagram)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.OVERSIZED, Reason.VERSION, Reason.FORGED}
    else:
        raise AssertionError("random bytes authenticated")
    assert len(opener) == 0


@settings(deadline=None)
@given(damaged())
def test_open_raises_only_wire_error_on_damaged_packets(datagram: bytes) -> None:
    try:
        opened = Opener(PSK).open(datagram)
    except WireError:
        return
    assert Sealer(PSK, SESSION).seal(opened.stream, opened.body) == datagram


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(any_bytes, nearly_ours, damaged()), st.floats(0, 20)), max_size=20))
def test_the_endpoint_never_raises(datagrams: list[tuple[bytes, float]]) -> None:
    endpoint, now = ReceiverEndpoint(PSK), 0.0
    events = []
    for datagram, pause in datagrams:
        now += pause
        events.append(endpoint.receive(datagram, now))
    assert len(events) == len(datagrams)
    assert sum(endpoint.dropped.values()) == sum(isinstance(event, Dropped) for event in events)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), segment_bodies(), st.floats(0, 20)), max_size=60))
def test_authentic_but_wild_segments_only_count(pushes: list[tuple[int, bytes, float]]) -> None:
    endpoint, now = ReceiverEndpoint(PSK), 0.0
    sealers = [Sealer(PSK, bytes([number]) * 6) for number in range(5)]
    for sender, body, pause in pushes:
        now += pause
        event = endpoint.receive(sealers[sender].seal(1, body), now)
        assert isinstance(event, Arrival | Dropped)
        if isinstance(event, Arrival):
            assert endpoint.active is not None
            assert event.active == (endpoint.active.id == event.origin)
        assert endpoint.sessions <= 4
    tally = endpoint.tallies[1]
    assert tally.received + sum(endpoint.dropped.values()) == len(pushes)
