"""The erasure code: systematic, and any symbols that are enough give the source back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto import erasure


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.data())
def test_any_symbols_that_are_enough_give_the_source_back(
    needed: int, size: int, draw: st.DataObject
) -> None:
    source = [bytes(draw.draw(st.binary(min_size=size, max_size=size))) for _ in range(needed)]
    numbers = draw.draw(st.lists(st.integers(0, 254), min_size=needed, max_size=needed + 5, unique=True))
    symbols = dict(zip(numbers, erasure.encode(source, numbers), strict=True))
    assert erasure.decode(symbols, needed) == source
    assert all(symbol == source[number] for number, symbol in symbols.items() if number < needed)


def test_a_symbol_does_not_depend_on_which_others_are_asked_for() -> None:
    source = [bytes([i] * 7) for i in range(5)]
    together = erasure.encode(source, range(20))
    assert [erasure.encode(source, [number])[0] for number in range(20)] == together


def test_the_largest_code_of_the_wire() -> None:
    source = [i.to_bytes(2) * 3 for i in range(128)]
    parity = erasure.encode(source, range(128, 255))
    assert erasure.decode({0: source[0], **dict(enumerate(parity, 128))}, 128) == source


def test_too_few_symbols_are_refused() -> None:
    with pytest.raises(ValueError, match="3 are needed"):
        erasure.decode({0: b"a", 4: b"b"}, 3)
