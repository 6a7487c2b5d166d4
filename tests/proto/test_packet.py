"""The segment and its inner header."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.packet import Segment
from proto.wire import Reason, WireError

SEGMENT = Segment(stream=1, unit=0xABCD, index=2, count=7, timestamp=0x0102, payload=b"xyz")


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    count = draw(st.integers(1, 255))
    u16 = st.integers(0, 0xFFFF)
    index = draw(st.integers(0, count - 1))
    return Segment(1, draw(u16), index, count, draw(u16), draw(st.binary(max_size=1443)))


def test_bytes_of_a_segment() -> None:
    assert bytes(SEGMENT) == bytes.fromhex("abcd 02 07 0102") + b"xyz"


@given(segments())
def test_parse_undoes_bytes(segment: Segment) -> None:
    assert Segment.parse(1, bytes(segment)) == segment


@pytest.mark.parametrize("size", range(6))
def test_a_cut_header_is_short(size: int) -> None:
    with pytest.raises(WireError, match=f"inner header: {size} bytes, 6 needed") as caught:
        Segment.parse(1, bytes(SEGMENT)[:size])
    assert caught.value.reason is Reason.SHORT


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (replace(SEGMENT, count=0), Reason.MALFORMED),
        (replace(SEGMENT, index=7), Reason.MALFORMED),
        (replace(SEGMENT, index=-1), Reason.MALFORMED),
        (replace(SEGMENT, count=256), Reason.MALFORMED),
        (replace(SEGMENT, unit=0x10000), Reason.MALFORMED),
        (replace(SEGMENT, timestamp=-1), Reason.MALFORMED),
        (replace(SEGMENT, payload=bytes(1444)), Reason.OVERSIZED),
    ],
)
def test_a_field_out_of_range_never_becomes_bytes(broken: Segment, reason: Reason) -> None:
    with pytest.raises(WireError) as caught:
        bytes(broken)
    assert caught.value.reason is reason


@pytest.mark.parametrize("header", ["abcd 00 00 0102", "abcd 07 07 0102", "abcd ff 01 0102"])
def test_an_index_beyond_the_count_is_malformed(header: str) -> None:
    with pytest.raises(WireError) as caught:
        Segment.parse(1, bytes.fromhex(header))
    assert caught.value.reason is Reason.MALFORMED
