"""Lines of the operator's text on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text import MAX_TEXT_BYTES, Line
from proto.wire import Reason, WireError


@given(st.integers(0, 2**32 - 1), st.text())
def test_any_text_becomes_a_line_that_travels(number: int, text: str) -> None:
    line = Line.of(number, text)
    assert line.text.isprintable() and len(line.text.encode()) <= MAX_TEXT_BYTES
    assert Line.parse(bytes(line)) == line


def test_what_cannot_be_printed_becomes_space_and_the_rest_stays() -> None:
    assert Line.of(3, "\x1b[2J batt\t11.9 V\r\n").text == "[2J batt 11.9 V"
    assert Line.of(3, "höhe 120 m ✓").text == "höhe 120 m ✓"
    assert Line.of(3, "é" * 300).text == "é" * 200


@given(st.binary(max_size=500))
def test_wild_bytes_raise_documented_errors_only(data: bytes) -> None:
    try:
        line = Line.parse(data)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.OVERSIZED, Reason.MALFORMED}
    else:
        assert bytes(line) == data


@pytest.mark.parametrize("text", ["\x07", "a\nb", "\u202e"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(WireError):
        Line.parse(bytes(4) + text.encode())
