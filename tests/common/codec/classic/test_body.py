"""What a unit holds: round trip with zeros after it, and nothing but the documented error for anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.classic.body import Body, cost

pictures = st.lists(st.binary(max_size=300), min_size=4, max_size=4).map(tuple)


@given(st.integers(0, 31), pictures, st.integers(0, 9))
def test_round_trip(quality: int, coded: tuple[bytes, ...], zeros: int) -> None:
    data = bytes(Body(quality, coded))
    assert len(data) == cost(coded)
    assert Body.parse(data + bytes(zeros)) == Body(quality, coded)


@given(st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    try:
        body = Body.parse(data)
    except CodecError:
        return
    assert sum(map(len, body.coded)) <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x20\0\0\0\0",  # quality 32
        b"\x01\0\0\0",  # a length is missing
        b"\x01\x02\0\0\0a",  # a byte is missing
        b"\x01\x01\0\0\0ab",  # something after it
        b"\x01\xff\xff\xff\x01\0\0\0",  # a length of four bytes
    ],
)
def test_what_is_no_unit_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError, match="unit"):
        Body.parse(data)
