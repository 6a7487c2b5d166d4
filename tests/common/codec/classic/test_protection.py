"""Protection of a unit: what is promised holds when losses are drawn, and it costs what the loss asks for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec import symbols as erasure
from common.codec.base import Budget
from common.codec.classic.header import HEADER_BYTES, MAX_NEEDED, MAX_SYMBOLS
from common.codec.classic.protection import LOSSES, MOST_OVERHEAD, TARGET, Belief, choose, failures, fit_to


def sure(loss: float) -> np.ndarray:
    """Weights of a loss that is known."""
    return np.asarray(loss == LOSSES, np.float64)


def budget(wire: float) -> Budget:
    return Budget(wire, 57, 1171)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("wire", [4000, 16000])
def test_a_unit_is_lost_as_rarely_as_asked(loss: float, wire: float) -> None:
    shape = choose(budget(wire), sure(loss))
    assert shape.failure <= TARGET
    drawn = (np.random.default_rng(1).random((200_000, shape.count)) >= loss).sum(1) < shape.needed
    assert drawn.mean() == pytest.approx(shape.failure, abs=4 * (shape.failure / 200_000) ** 0.5 + 1e-5)


def test_more_loss_leaves_less_room() -> None:
    rooms = [choose(budget(8000), sure(loss)).room for loss in LOSSES]
    assert rooms == sorted(rooms, reverse=True)
    assert rooms[0] > 0.8 * 8000 and rooms[-1] > 0


@settings(deadline=None, max_examples=25)
@given(st.floats(1, 60_000), st.integers(0, len(LOSSES) - 1), st.integers(100, 1171))
def test_any_budget_gives_a_shape_within_its_limits(wire: float, which: int, payload: int) -> None:
    shape = choose(Budget(wire, 57, payload), sure(LOSSES[which]))
    assert 1 <= shape.needed <= shape.count <= max(1, shape.needed * (1 + MOST_OVERHEAD))
    assert shape.symbol + HEADER_BYTES <= payload
    if wire > 200:
        assert shape.count * (shape.symbol + HEADER_BYTES + 57) <= wire + 1e-6


@settings(deadline=None, max_examples=25)
@given(st.floats(600, 20_000), st.integers(0, 8), st.floats(0.01, 1))
def test_a_smaller_unit_costs_less_and_is_as_safe(wire: float, which: int, share: float) -> None:
    weights = sure(LOSSES[which])
    shape = choose(budget(wire), weights)
    size = max(1, int(share * shape.room))
    smaller = fit_to(shape, size, budget(wire), weights)
    assert smaller.room >= size and smaller.failure <= max(TARGET, shape.failure)
    assert smaller.count * (smaller.symbol + HEADER_BYTES + 57) <= shape.count * (
        shape.symbol + HEADER_BYTES + 57
    )


@settings(deadline=None, max_examples=25)
@given(st.floats(300, 60_000), st.integers(0, len(LOSSES) - 1), st.floats(1.0, 2.0))
def test_a_unit_larger_than_its_room_still_fits_its_packets(wire: float, which: int, share: float) -> None:
    weights = sure(LOSSES[which])
    shape = choose(budget(wire), weights)
    size = math.ceil(share * shape.room)
    try:
        larger = fit_to(shape, size, budget(wire), weights)
    except ValueError:
        assert size > MAX_NEEDED * (1171 - HEADER_BYTES)
        return
    assert larger.room >= size and larger.symbol <= 1171 - HEADER_BYTES
    assert 1 <= larger.needed <= larger.count <= MAX_SYMBOLS


def test_no_room_for_a_header_is_refused() -> None:
    with pytest.raises(ValueError, match="max_payload"):
        choose(Budget(1000, 57, HEADER_BYTES), sure(0.01))


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3])
def test_belief_follows_what_arrives(loss: float) -> None:
    belief, rng = Belief(), np.random.default_rng(2)
    for _ in range(100):
        belief.learn([bool(x) for x in rng.random(8) >= loss])
    assert belief.mean == pytest.approx(loss, abs=0.06)
    assert belief.weights.sum() == pytest.approx(1)


def test_failures_are_a_distribution() -> None:
    table = failures(sure(0.1))
    assert table[0, 0] == pytest.approx(0.1) and table[0, 2] == pytest.approx(1e-3)
    assert table[1, 0] == 1.0  # two of one
    assert (np.diff(table, axis=1) <= 1e-12).all()  # another packet never harms


@settings(deadline=None, max_examples=25)
@given(st.binary(min_size=1, max_size=400), st.integers(1, 20), st.integers(0, 20))
def test_any_symbols_that_are_enough_give_the_data(data: bytes, needed: int, parity: int) -> None:
    symbols = erasure.cut(data, needed, needed + parity)
    kept = np.random.default_rng(len(data)).permutation(needed + parity)[:needed]
    assert erasure.join({int(i): symbols[i] for i in kept}, needed).startswith(data)
