"""Parts of map units on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.maps.part import MapPart
from proto.wire import WireError


def test_a_part_comes_back_as_it_was() -> None:
    part = MapPart(200, 2, 5, 25, 63, b"contours")
    assert bytes(part) == bytes((63, 200, 0x24, 25)) + b"contours"
    assert MapPart.parse(bytes(part)) == part


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\0\0\0\x19", "4 bytes"),
        (b"\x40\0\0\x19x", "version 1"),
        (b"\0\0\x10\x19x", "part 1 of 1"),
        (b"\0\0\0\0x", "interval 0"),
    ],
)
def test_what_breaks_the_rules_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(WireError, match=what):
        MapPart.parse(data)


def test_a_part_out_of_range_cannot_be_made() -> None:
    with pytest.raises(WireError):
        bytes(MapPart(256, 0, 1, 25, 0, b"x"))


@given(st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    try:
        part = MapPart.parse(data)
    except WireError:
        return
    assert bytes(part) == data
