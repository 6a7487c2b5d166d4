"""Payloads of protected streams, and how the sender forms windows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.packet import Segment
from proto.protected import PIECE_COST, Parity, Protector, Source, pack, parse, unpack
from proto.protection import Losses, Policy
from proto.wire import Reason, WireError, to_ticks

STREAM = 3
EPOCH = 1_800_000_000.0
FRAME = 1 / 30


def protector(window_s: float = 0.25, limit: int = 100, **policy: float) -> Protector:
    return Protector(STREAM, limit, Policy(Losses(0.2), window_s=window_s, **policy))


@given(st.integers(0, 255), st.binary(max_size=40))
def test_parse_raises_only_wire_error(index: int, payload: bytes) -> None:
    try:
        symbol = parse(index, payload)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.MALFORMED}
    else:
        assert bytes(symbol) == payload


@given(
    st.integers(0, 127), st.integers(0, 127), st.integers(0, 127), st.integers(0, 255), st.binary(max_size=9)
)
def test_source_round_trip(first: int, piece: int, more: int, offset: int, data: bytes) -> None:
    order = min(first, 255)
    source = Source(first + piece, piece, piece + 1 + more, order, offset, data)
    if source.end > 128 or piece + more > 127:
        with pytest.raises(WireError):
            bytes(source)
    else:
        assert parse(source.index, bytes(source)) == source


@pytest.mark.parametrize(
    ("index", "payload", "reason"),
    [
        (0, b"", Reason.SHORT),
        (0, b"\0\0\0", Reason.SHORT),
        (0, b"\x01\x01\0\0", Reason.MALFORMED),  # the unit would begin before the window
        (2, b"\x02\x01\0\0", Reason.MALFORMED),  # piece 2 of 2
        (127, b"\0\x01\x01\0", Reason.MALFORMED),  # the unit would end after symbol 127
        (0, b"\0\0\x01\0", Reason.MALFORMED),  # the second unit at the first symbol
        (3, b"\0\0\0\0", Reason.MALFORMED),  # the first unit at the fourth symbol
        (3, b"\0\0\x04\0", Reason.MALFORMED),  # five units in four symbols
        (9, b"\x81" + bytes(5), Reason.SHORT),
        (1, b"\x81" + bytes(9), Reason.MALFORMED),  # parity where a source symbol stands
        (255, b"\x81" + bytes(9), Reason.MALFORMED),
    ],
)
def test_what_breaks_the_rules_is_refused(index: int, payload: bytes, reason: Reason) -> None:
    with pytest.raises(WireError) as caught:
        parse(index, payload)
    assert caught.value.reason is reason


@given(st.binary(max_size=50), st.integers(0, 20))
def test_coded_symbols_know_their_length(payload: bytes, more: int) -> None:
    symbol = pack(payload, len(payload) + 2 + more)
    assert len(symbol) == len(payload) + 2 + more
    assert unpack(symbol) == payload


def test_a_length_beyond_the_symbol_is_refused() -> None:
    with pytest.raises(WireError):
        unpack(b"\x00\x05abcd")


def test_source_symbols_leave_at_once_and_carry_the_unit() -> None:
    out = protector().push(bytes(range(200)), EPOCH, FRAME, 5.0)
    assert out.parity == []
    assert [segment.index for segment in out.source] == [0, 1, 2]
    assert {(s.stream, s.unit, s.count, s.timestamp) for s in out.source} == {(STREAM, 0, 3, to_ticks(EPOCH))}
    parts = [parse(segment.index, segment.payload) for segment in out.source]
    assert b"".join(part.data for part in parts if isinstance(part, Source)) == bytes(range(200))


def test_a_window_closes_when_one_more_unit_would_not_end_in_time() -> None:
    """0.1 s hold three frames at 30 a second; the fourth begins a window that is named after it."""
    sender = protector(window_s=0.1)
    outs = [sender.push(b"frame", EPOCH + n * FRAME, FRAME, n * FRAME) for n in range(6)]
    assert [bool(out.parity) for out in outs] == [False, False, True] * 2
    assert [out.source[0].unit for out in outs] == [0, 0, 0, 3, 3, 3]
    assert [out.source[0].index for out in outs] == [0, 1, 2] * 2
    parity = outs[2].parity
    assert [segment.index for segment in parity] == list(range(3, 3 + len(parity)))
    assert {segment.count for segment in parity} == {3 + len(parity)}
    symbols = [parse(segment.index, segment.payload) for segment in parity]
    assert {symbol.needed for symbol in symbols if isinstance(symbol, Parity)} == {3}
    assert len(symbols) == len(parity)


@pytest.mark.parametrize("window_s", [0.0, 0.03])
def test_a_unit_longer_than_the_window_is_one_by_itself(window_s: float) -> None:
    sender = protector(window_s)
    outs = [sender.push(b"x", EPOCH + n * FRAME, FRAME, n * FRAME) for n in range(3)]
    assert all(out.parity for out in outs)
    assert [out.source[0].unit for out in outs] == [0, 1, 2]


def test_a_window_that_nothing_follows_closes_by_the_clock() -> None:
    sender = protector()
    assert sender.next_time() is None
    assert sender.poll(1e9) == []
    sender.push(b"key frame", EPOCH, 0.0, 7.0)
    assert sender.next_time() == 7.25
    assert sender.poll(7.2) == []
    assert sender.poll(7.25)
    assert sender.next_time() is None
    assert sender.flush() == []


def test_a_unit_from_after_the_window_closes_it_first() -> None:
    sender = protector()
    sender.push(b"a", EPOCH, FRAME, 0.0)
    for timestamp in (
        EPOCH + 0.3,
        EPOCH - 5.0,
        EPOCH + 262.144 + 0.3,
    ):  # ahead, back in time, ahead by a wrap
        out = sender.push(b"b", timestamp, FRAME, 0.01)
        assert {segment.unit for segment in out.parity} == {out.source[0].unit - 1}


def test_the_size_limit_closes_a_window_too() -> None:
    sender = protector(window_s=1.0, limit=PIECE_COST + 1)
    outs = [sender.push(bytes(50), EPOCH, 0.001, 0.0) for _ in range(3)]
    assert [out.source[0].unit for out in outs] == [0, 0, 2]
    assert sender.max_unit_bytes == 128
    with pytest.raises(ValueError, match="at most 128 bytes"):
        sender.push(bytes(129), EPOCH, FRAME, 0.0)
    assert len(sender.push(bytes(128), EPOCH, 0.0, 0.0).source) == 128


def test_the_policy_that_stands_when_the_window_closes_counts() -> None:
    sender = protector(max_overhead=5.0)
    sender.push(b"a", EPOCH, FRAME, 0.0)
    sender.policy = Policy(Losses(0.0))
    assert sender.flush() == []
    assert sender.last is not None
    assert (sender.last.needed, sender.last.count) == (1, 1)
    sender.push(b"b", EPOCH, FRAME, 1.0)
    sender.policy = Policy(Losses(0.5), target=0.01, max_overhead=8.0)
    assert len(sender.flush()) == 6  # 0.5 ** 7 is the first below 0.01


def test_unit_numbers_wrap_on_the_wire() -> None:
    sender = protector(window_s=0.0)
    numbers = [sender.push(b"", EPOCH, FRAME, 0.0).source[0].unit for _ in range(0x10002)]
    assert numbers[-3:] == [0xFFFF, 0, 1]
    assert sender.next_unit == 0x10002


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=400), st.floats(0, 0.2)), max_size=20), st.integers(8, 300))
def test_every_payload_keeps_the_limit(units: list[tuple[bytes, float]], limit: int) -> None:
    sender, segments, at = protector(limit=limit), list[Segment](), 0.0
    for data, pause in units:
        if len(data) > sender.max_unit_bytes:
            continue
        at += pause
        out = sender.push(data, EPOCH + at, FRAME, at)
        segments += out.source + out.parity
    for segment in segments + sender.flush():
        assert len(segment.payload) <= limit
        assert Segment.parse(STREAM, bytes(segment)) == segment


def test_bad_limits_are_named() -> None:
    with pytest.raises(ValueError, match="payload_limit"):
        Protector(STREAM, PIECE_COST, Policy())
