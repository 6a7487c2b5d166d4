"""Symbols: any that are enough give the data back."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.header import MOST_PACKETS
from common.codec.symbols import cut, join


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(1, 7), st.data())
def test_any_symbols_that_are_enough_give_the_data_back(data: bytes, count: int, draw: st.DataObject) -> None:
    """Every subset of every small code. Only zeros may follow the data."""
    needed = draw.draw(st.integers(1, count))
    symbols = cut(data, needed, count)
    assert len(symbols) == count
    assert {len(symbol) for symbol in symbols} == {-(-len(data) // needed)}
    for numbers in combinations(range(count), needed):
        joined = join({number: symbols[number] for number in numbers}, needed)
        assert joined == data.ljust(len(joined), b"\0")
        assert len(joined) - len(data) < needed


@settings(max_examples=60, deadline=None)
@given(
    st.binary(min_size=1, max_size=3000),
    st.integers(1, MOST_PACKETS),
    st.lists(st.integers(0, MOST_PACKETS - 1), min_size=MOST_PACKETS, max_size=MOST_PACKETS, unique=True),
    st.integers(0, 4),
)
def test_the_largest_codes_and_more_symbols_than_needed(
    data: bytes, needed: int, order: list[int], more: int
) -> None:
    symbols = cut(data, needed, MOST_PACKETS)
    some = {number: symbols[number] for number in order[: needed + more]}
    assert join(some, needed).startswith(data)


def test_one_that_is_needed_is_the_data_itself_in_every_packet() -> None:
    assert cut(b"a view", 1, 3) == [b"a view"] * 3
    assert join({2: b"a view"}, 1) == b"a view"


def test_the_first_symbols_are_the_data_in_order() -> None:
    data = bytes(range(90))
    assert b"".join(cut(data, 3, 8)[:3]) == data


@pytest.mark.parametrize("needed", [2, 5, 16])
def test_symbols_do_not_depend_on_how_many_there_are(needed: int) -> None:
    """A receiver does not know how many packets a unit has."""
    data = np.random.default_rng(needed).bytes(500)
    assert cut(data, needed, MOST_PACKETS)[:needed] == cut(data, needed, needed)
