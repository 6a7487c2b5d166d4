"""The codec header: round trip, ranges, what packets of one unit agree in, nothing but the documented error."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.header import (
    HEADER_BYTES,
    MAX_PIXELS,
    MOST_PACKETS,
    QUALITIES,
    SHRINKS,
    CodecHeader,
    Mirror,
)

GOOD = CodecHeader(model=2, width=256, height=144, fps=15.0, shrink=2, quality=20, needed=3, index=4)
mirrors = st.builds(Mirror, st.booleans(), st.booleans(), st.booleans())
headers = st.builds(
    CodecHeader,
    model=st.integers(0, 15),
    width=st.integers(1, 58).map(lambda n: 16 * n),
    height=st.integers(1, 58).map(lambda n: 16 * n),
    fps=st.integers(1, 255).map(lambda n: n / 4),
    shrink=st.sampled_from(SHRINKS),
    quality=st.integers(0, QUALITIES - 1),
    mirror=mirrors,
    needed=st.integers(1, MOST_PACKETS),
    index=st.integers(0, MOST_PACKETS - 1),
)


@settings(deadline=None)
@given(headers)
def test_round_trip(header: CodecHeader) -> None:
    data = bytes(header)
    assert len(data) == HEADER_BYTES
    assert CodecHeader.parse(data + b"rest") == header


@settings(deadline=None)
@given(st.binary(max_size=12))
def test_any_bytes_parse_or_raise_the_documented_error(data: bytes) -> None:
    """What parses is written as the same bytes again: there is one form of each header."""
    try:
        header = CodecHeader.parse(data)
    except CodecError:
        return
    assert bytes(header) == data[:HEADER_BYTES]


def test_known_bytes() -> None:
    assert bytes(GOOD).hex() == "2410093ca024"
    mirrored = replace(GOOD, mirror=Mirror(sideways=True, backwards=True), shrink=4, needed=16, index=15)
    assert bytes(mirrored).hex() == "2810093ca5ff"


def test_every_mirror_has_a_number_of_its_own() -> None:
    assert [int(Mirror.of(number)) for number in range(8)] == list(range(8))


@settings(deadline=None)
@given(headers)
def test_positions_are_blocks_of_16_lines_and_columns(header: CodecHeader) -> None:
    rows, columns = header.positions
    assert (16 * columns, 16 * rows) == (header.width, header.height)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 16}, "model"),
        ({"width": 250}, "size"),
        ({"height": 360}, "size"),
        ({"width": 0}, "width"),
        ({"height": 4096}, "height"),
        ({"width": 4080, "height": 4080}, "pixels"),
        ({"fps": 100.0}, "fps"),
        ({"fps": 0.0}, "fps"),
        ({"shrink": 3}, "shrink"),
        ({"quality": 32}, "quality"),
        ({"quality": -1}, "quality"),
        ({"needed": 0}, "needed"),
        ({"needed": 17}, "needed"),
        ({"index": 16}, "index"),
    ],
)
def test_bad_fields_are_named(change: dict[str, int], message: str) -> None:
    with pytest.raises(CodecError, match=message):
        replace(GOOD, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(("byte", "value"), [(0, 0x21), (0, 0x22), (0, 0x2C), (1, 0), (2, 0), (3, 0)])
def test_reserved_bits_and_zeros_are_refused(byte: int, value: int) -> None:
    data = bytearray(bytes(GOOD))
    data[byte] = value
    with pytest.raises(CodecError, match=r"shrink|width|height|fps"):
        CodecHeader.parse(bytes(data))


def test_the_largest_size_is_720_lines_padded_to_a_multiple_of_16() -> None:
    assert replace(GOOD, width=1280, height=736).positions == (46, 80)
    assert MAX_PIXELS == 1280 * 736
    with pytest.raises(CodecError, match="pixels"):
        replace(GOOD, width=1280, height=752)


@settings(deadline=None)
@given(headers, mirrors, st.integers(0, QUALITIES - 1), st.integers(0, MOST_PACKETS - 1))
def test_symbols_of_a_view_differ_in_nothing_but_their_number(
    header: CodecHeader, mirror: Mirror, quality: int, index: int
) -> None:
    assert header.same_view(replace(header, index=index))
    other = replace(header, mirror=mirror, quality=quality, index=index)
    assert header.same_view(other) == ((mirror, quality) == (header.mirror, header.quality))
    assert header.same_stream(other)


@settings(deadline=None)
@given(headers, headers)
def test_packets_of_different_streams_are_told_apart(one: CodecHeader, other: CodecHeader) -> None:
    names = ("model", "width", "height", "fps")
    same = all(getattr(one, name) == getattr(other, name) for name in names)
    assert one.same_stream(other) == other.same_stream(one) == same
