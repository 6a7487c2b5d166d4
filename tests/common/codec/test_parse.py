"""From payloads to views: what is shown of what arrived, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec import av1, symbols
from common.codec.base import CodecError
from common.codec.header import HEADER_BYTES, CodecHeader, Mirror
from common.codec.parse import View, parse_unit
from common.codec.view import put, take
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, unit_pictures

BASE = CodecHeader(1, WIDTH, HEIGHT, FPS, quality=9)
OTHER = replace(BASE, mirror=Mirror(True, False, True), quality=10)
NEEDED, COUNT = 3, 5


def coded(header: CodecHeader) -> bytes:
    return av1.encode(take(unit_pictures(0), header), 50.0, av1.PRESETS[-1])


ONE, TWO = bytes(BASE) + coded(BASE), bytes(replace(OTHER, index=1)) + coded(OTHER)
SYMBOLS = [
    bytes(replace(BASE, needed=NEEDED, index=index)) + symbol
    for index, symbol in enumerate(symbols.cut(coded(BASE), NEEDED, COUNT))
]


def parse(*payloads: bytes | None) -> list[View]:
    parsed = parse_unit(Received(0, payloads))
    assert parsed is not None
    return parsed[1]


def same(one: View, other: View) -> bool:
    return np.array_equal(np.stack(one.coded), np.stack(other.coded))


def test_nothing_arrived() -> None:
    assert parse_unit(Received(0, (None, None))) is None
    assert parse_unit(Received(0, ())) is None


def test_every_view_that_arrived_is_there() -> None:
    one, two = parse(ONE, TWO)
    assert (one.header, two.header) == (BASE, replace(OTHER, index=1))
    assert same(one, parse(ONE, None)[0])
    assert same(two, parse(None, TWO)[0])
    shown = [put(view.coded, view.header).luma.astype(int) for view in (one, two)]
    assert np.abs(shown[0] - shown[1]).mean() < 6  # both of the same pictures, the right way round


def test_copies_of_a_view_count_once() -> None:
    """Each packet after the second repeats a view, under an index of its own."""
    copy = bytes(replace(BASE, index=2)) + ONE[HEADER_BYTES:]
    views = parse(ONE, TWO, copy, ONE)
    assert len(views) == 2
    assert [int(view.header.mirror) for view in views] == [int(BASE.mirror), int(OTHER.mirror)]


def test_any_symbols_that_are_enough_give_the_view() -> None:
    whole = parse(ONE)[0]
    for mask in range(1, 2**COUNT):
        arrived = [symbol if mask >> index & 1 else None for index, symbol in enumerate(SYMBOLS)]
        views = parse(*arrived)
        assert len(views) == (mask.bit_count() >= NEEDED)
        assert all(same(view, whole) for view in views)


def test_too_few_symbols_are_no_view_but_tell_of_the_stream() -> None:
    parsed = parse_unit(Received(0, (None, *SYMBOLS[1:NEEDED])))
    assert parsed is not None
    header, views = parsed
    assert views == []
    assert (header.width, header.height, header.needed) == (WIDTH, HEIGHT, NEEDED)


def test_the_finer_view_is_shown_alone_where_it_is_there() -> None:
    finer = [int(view.header.needed) for view in parse(ONE, TWO, *SYMBOLS[:NEEDED])]
    assert finer == [NEEDED]
    assert [view.header.needed for view in parse(ONE, *SYMBOLS[: NEEDED - 1])] == [1]


def test_a_symbol_that_came_twice_counts_once() -> None:
    assert parse(SYMBOLS[0], SYMBOLS[0], SYMBOLS[1]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"model": 2},
        {"width": 256},
        {"height": 48},
        {"fps": 30.0},
    ],
)
def test_packets_that_disagree_are_refused(change: dict[str, int]) -> None:
    other = bytes(replace(OTHER, **change)) + TWO[HEADER_BYTES:]  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="disagree"):
        parse_unit(Received(0, (ONE, other)))


@pytest.mark.parametrize("change", [{"quality": 3}, {"mirror": Mirror(True)}, {"shrink": 2}, {"needed": 5}])
def test_symbols_of_different_views_are_refused(change: dict[str, int]) -> None:
    header = replace(CodecHeader.parse(SYMBOLS[1]), **change)  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="disagree"):
        parse_unit(Received(0, (SYMBOLS[0], bytes(header) + SYMBOLS[1][HEADER_BYTES:])))


def test_symbols_of_different_lengths_are_refused() -> None:
    for other in (SYMBOLS[1][:-1], SYMBOLS[1] + b"\0", SYMBOLS[1][:HEADER_BYTES]):
        with pytest.raises(CodecError, match="disagree"):
            parse_unit(Received(0, (SYMBOLS[0], other, SYMBOLS[2])))


@pytest.mark.parametrize("damaged", [ONE[:-1], ONE + b"\1", ONE[:HEADER_BYTES], ONE[:3], b""])
def test_a_damaged_packet_is_refused(damaged: bytes) -> None:
    with pytest.raises(CodecError):
        parse_unit(Received(0, (damaged, TWO)))


def test_a_view_of_another_size_than_it_says_is_refused() -> None:
    with pytest.raises(CodecError, match="coded pictures"):
        parse(bytes(replace(BASE, width=256, height=96)) + ONE[HEADER_BYTES:])
    with pytest.raises(CodecError, match="coded pictures"):
        parse(bytes(replace(BASE, shrink=4)) + ONE[HEADER_BYTES:])


def harmless(payloads: list[bytes | None]) -> None:
    """Anything but CodecError is a failure."""
    try:
        parsed = parse_unit(Received(0, tuple(payloads)))
    except CodecError:
        return
    assert (parsed is None) == all(payload is None for payload in payloads)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=80)), max_size=6))
def test_hostile_payloads(payloads: list[bytes | None]) -> None:
    harmless(payloads)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 16),
    st.lists(st.tuples(st.integers(0, 15), st.binary(max_size=40)), min_size=1, max_size=16),
    st.integers(0, 60),
)
def test_hostile_symbols(needed: int, packets: list[tuple[int, bytes]], size: int) -> None:
    """Any numbers, in any order, of one length or not, empty ones too."""
    headers = [bytes(replace(BASE, needed=needed, index=index)) for index, _ in packets]
    bodies = [body for _, body in packets]
    harmless([header + body for header, body in zip(headers, bodies, strict=True)])
    harmless([header + body[:size].ljust(size, b"\1") for header, body in zip(headers, bodies, strict=True)])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([(ONE, TWO), tuple(SYMBOLS[:NEEDED])]),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_mutated_payloads(unit: tuple[bytes, ...], changes: list[tuple[int, int, int]]) -> None:
    payloads = [bytearray(payload) for payload in unit]
    for number, place, value in changes:
        payload = payloads[number % len(payloads)]
        payload[place % len(payload)] = value
    harmless([bytes(payload) for payload in payloads])
