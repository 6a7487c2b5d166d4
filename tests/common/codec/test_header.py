"""The codec header: round trip, ranges, the grid of positions, nothing but the documented error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.header import HEADER_BYTES, MAX_REFERENCE, QUALITIES, STILLNESSES, CodecHeader
from tests.common.codec import integer_coder

headers = st.builds(
    CodecHeader,
    model=st.integers(0, 15),
    width=st.integers(1, 58).map(lambda n: 16 * n),
    height=st.integers(1, 58).map(lambda n: 16 * n),
    fps=st.integers(1, 255).map(lambda n: n / 4),
    quality=st.integers(0, QUALITIES - 1),
    stillness=st.integers(0, STILLNESSES - 1),
    reference=st.integers(0, MAX_REFERENCE),
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
    try:
        header = CodecHeader.parse(data)
    except CodecError:
        return
    assert bytes(header) == data[:HEADER_BYTES]


def test_known_bytes() -> None:
    header = CodecHeader(model=2, width=256, height=144, fps=15, quality=20, stillness=3, reference=5)
    assert bytes(header).hex() == "2510093ca3"


@settings(deadline=None)
@given(headers)
def test_positions_cover_the_picture_and_pair_up(header: CodecHeader) -> None:
    rows, columns = header.grid
    assert rows % 2 == columns % 2 == 0
    assert 0 <= 16 * rows - header.height < 32
    assert 0 <= 16 * columns - header.width < 32
    assert header.positions == rows * columns
    assert header.grid == integer_coder.grid(header.width, header.height)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 250}, "size"),
        ({"height": 360}, "size"),
        ({"width": 0}, "width"),
        ({"width": 4080, "height": 4080}, "pixels"),
        ({"fps": 100.0}, "fps"),
        ({"quality": 32}, "quality"),
        ({"stillness": 8}, "stillness"),
        ({"reference": MAX_REFERENCE + 1}, "reference"),
    ],
)
def test_bad_fields_are_named(change: dict[str, float], message: str) -> None:
    good = {"model": 2, "width": 256, "height": 256, "fps": 15, "quality": 0, "stillness": 0}
    with pytest.raises(CodecError, match=message):
        CodecHeader(**(good | change))  # type: ignore[arg-type]
