"""The codec header: round trip, ranges, nothing but the documented error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.header import HEADER_BYTES, CodecHeader

headers = st.builds(
    CodecHeader,
    model=st.integers(0, 15),
    width=st.integers(1, 90).map(lambda n: 16 * n),
    height=st.integers(1, 90).map(lambda n: 16 * n),
    fps=st.integers(1, 255).map(lambda n: n / 4),
    quality=st.integers(0, 31),
    scale=st.integers(0, 7),
    reference=st.integers(0, 15),
)


@given(headers)
def test_round_trip(header: CodecHeader) -> None:
    data = bytes(header)
    assert len(data) == HEADER_BYTES
    assert CodecHeader.parse(data + b"rest") == header


@given(st.binary(max_size=12))
def test_any_bytes_parse_or_raise_the_documented_error(data: bytes) -> None:
    try:
        header = CodecHeader.parse(data)
    except CodecError:
        return
    assert bytes(header) == data[:HEADER_BYTES]


def test_known_bytes() -> None:
    header = CodecHeader(model=1, width=256, height=144, fps=15, quality=20, scale=3)
    assert bytes(header).hex() == "1010093ca3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 250}, "size"),
        ({"width": 0}, "width"),
        ({"width": 4080, "height": 4080}, "pixels"),
        ({"fps": 100.0}, "fps"),
        ({"quality": 32}, "quality"),
    ],
)
def test_bad_fields_are_named(change: dict[str, float], message: str) -> None:
    good = {"model": 1, "width": 256, "height": 256, "fps": 15, "quality": 0, "scale": 0}
    with pytest.raises(CodecError, match=message):
        CodecHeader(**(good | change))  # type: ignore[arg-type]
