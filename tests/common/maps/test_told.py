"""Legends on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.maps.base import Legend
from common.maps.told import LegendBook, LegendPart, made_up, messages, number_of
from proto.wire import WireError

STREET = Legend("street", ("sky", "road", "Straße"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))


def book(told: list[bytes]) -> LegendBook:
    """That has been told these."""
    found = LegendBook()
    for message in told:
        found.take(LegendPart.parse(message))
    return found


def test_a_legend_comes_back_as_it_was() -> None:
    told = messages(STREET, 1000)
    assert len(told) == 1
    assert book(told).legend(number_of(STREET), 2) == STREET


@pytest.mark.parametrize("most", [100, 400])
def test_one_of_many_classes_takes_several_messages_in_any_order(most: int) -> None:
    many = Legend("all", tuple(f"class {i}" for i in range(254)), tuple((i, 0, 255 - i) for i in range(254)))
    told = messages(many, most)
    assert len(told) > 3 and all(len(one) <= most for one in told)
    assert book(told[::-1]).legend(number_of(many), 1) == many


def test_what_was_not_told_has_names_and_colours_of_ours() -> None:
    told = messages(STREET, 100)
    assert len(told) == 1
    other = book(told).legend((number_of(STREET) + 1) % 64, 3)
    assert other.classes == ("0", "1", "2") and len(set(other.colours)) == 3
    many = Legend("m", tuple("abcdefghij" * 3), tuple((i, i, i) for i in range(30)))
    found = book(messages(many, 80)[1:]).legend(number_of(many), 1)
    assert len(found.classes) == 30
    assert found.classes[0] == "0" and found.colours[0] == made_up(0) and found.classes[29] == "j"
    assert len(LegendBook().legend(5, 300).classes) == 254


def test_names_are_made_fit_to_travel() -> None:
    wild = Legend("n\n" * 40, ("x" * 99, "a\tb\ud800"), ((0, 0, 0), (1, 1, 1)))
    found = book(messages(wild, 1000)).legend(number_of(wild), 1)
    assert len(found.name) == 32 and found.classes == ("x" * 24, "a b ")
    with pytest.raises(ValueError, match="most_bytes"):
        messages(STREET, 20)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\1\0\1\0\0\0\0\0\0",
        b"\2\x40\1\0\0\0\0\0\0",
        b"\2\0\0\0\0\0\0\0\0",
        b"\2\0\1\0\0",
        b"\2\0\1\0\x05ab",
        b"\2\0\1\1\0\0\0\0\0",
        b"\2\0\1\0\0\0\0\0\x19" + b"x" * 25,
        b"\2\0\1\0\0\0\0\0\1\xff",
        b"\2\0\1\0\0\0\0\0\1\n",
        b"\2\0\1\0\0\0\0",
    ],
)
def test_what_breaks_the_rules_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        LegendPart.parse(message)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    try:
        part = LegendPart.parse(b"\2" + data)
    except WireError:
        return
    assert bytes(part) == b"\2" + data
    found = LegendBook()
    found.take(part)
    assert len(found.legend(part.legend, 1).classes) >= part.first + len(part.entries)
