from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.values import Address, Size, parse_address, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org:5004", Address("example.org", 5004)),
        ("[2001:db8::7]:80", Address("2001:db8::7", 80)),
        (":5004", Address("", 5004)),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:70000", "host:-1", "::1:80", "host:٣"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        parse_address(text)


def test_sizes() -> None:
    assert parse_size("384X256") == Size(384, 256)
    assert str(Size(384, 256)) == "384x256"


@pytest.mark.parametrize(
    "text", ["", "256", "axb", "0x16", "250x256", "256x8", "8192x16", "-16x16", "16x16x16"]
)
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match=r"WIDTHxHEIGHT|multiples of 16"):
        parse_size(text)


@given(st.text(max_size=30))
def test_nothing_but_value_errors(text: str) -> None:
    for parse in (parse_address, parse_size):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)
