"""The header of `classic`: round trip, ranges, the documented error; told apart from the other profile's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.classic.header import HEADER_BYTES, MAX_NEEDED, MAX_SYMBOLS, ClassicHeader
from common.codec.header import SHRINKS, CodecHeader
from common.codec.registry import describe

GOOD = ClassicHeader(256, 144, 15.0, 2, 7, 3, 4, 5)
headers = st.builds(
    ClassicHeader,
    width=st.integers(1, 58).map(lambda n: 16 * n),
    height=st.integers(1, 58).map(lambda n: 16 * n),
    fps=st.integers(1, 255).map(lambda n: n / 4),
    shrink=st.sampled_from(SHRINKS),
    chain=st.integers(0, 255),
    link=st.integers(0, 255),
    needed=st.integers(1, MAX_NEEDED),
    index=st.integers(0, MAX_SYMBOLS - 1),
)


def test_bytes() -> None:
    assert bytes(GOOD) == bytes((0b0000_01_00, 16, 9, 60, 7, 3, 3, 5))


@settings(deadline=None)
@given(headers, st.binary(max_size=20))
def test_round_trip(header: ClassicHeader, rest: bytes) -> None:
    assert len(bytes(header)) == HEADER_BYTES
    assert ClassicHeader.parse(bytes(header) + rest) == header
    info = describe(bytes(header) + rest)
    assert (info.profile, info.width, info.height, info.fps) == (
        "classic",
        header.width,
        header.height,
        header.fps,
    )


@settings(deadline=None)
@given(st.binary(max_size=12))
def test_any_bytes(payload: bytes) -> None:
    try:
        header = ClassicHeader.parse(payload)
    except CodecError:
        return
    assert bytes(header) == payload[:HEADER_BYTES]


@pytest.mark.parametrize(
    ("byte", "value", "what"),
    [
        (0, 0x30, "model"),
        (0, 0x01, "codec"),
        (0, 0x0C, "shrink"),
        (1, 0, "width"),
        (3, 0, "fps"),
        (6, 200, "needed"),
    ],
)
def test_a_bad_field_is_named(byte: int, value: int, what: str) -> None:
    payload = bytearray(bytes(GOOD))
    payload[byte] = value
    with pytest.raises(CodecError, match=what):
        ClassicHeader.parse(bytes(payload))


def test_what_symbols_of_a_unit_agree_in() -> None:
    assert GOOD.same_unit(replace(GOOD, index=9))
    for other in (
        replace(GOOD, link=4),
        replace(GOOD, chain=8),
        replace(GOOD, needed=5),
        replace(GOOD, shrink=1),
    ):
        assert not GOOD.same_unit(other)


def test_the_other_profile_is_described_as_before() -> None:
    assert describe(bytes(CodecHeader(3, 64, 48, 15.0))).profile == "resilient"
    with pytest.raises(CodecError, match="model"):
        describe(bytes(CodecHeader(14, 64, 48, 15.0)))
