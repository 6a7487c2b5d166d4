"""The share of the rate that repeats may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.budget import PACKET_COST, Budget


@given(
    st.floats(1, 1e5),
    st.floats(0, 1),
    st.lists(st.tuples(st.integers(0, 1100), st.floats(0, 0.5)), max_size=50),
)
def test_the_rate_bounds_what_leaves(rate: float, burst: float, packets: list[tuple[int, float]]) -> None:
    budget, now, spent, largest = Budget(rate, burst), 0.0, 0, 0
    for size, pause in packets:
        now += pause
        if budget.spend(size, now):
            spent += size + PACKET_COST
            largest = max(largest, size + PACKET_COST)
    assert spent <= rate * (now + burst) + largest + 1e-3


@given(st.floats(0.1, 1e5), st.integers(0, 1100), st.floats(0, 1e6))
def test_who_waits_until_ready_may_send(rate: float, size: int, start: float) -> None:
    budget, now = Budget(rate), start
    for _ in range(10):
        ready = budget.ready(now)
        assert ready is not None
        now = ready
        assert budget.spend(size, now)


def test_the_cost_of_a_packet_is_all_that_is_on_the_wire() -> None:
    budget = Budget(100.0, burst_s=0.0)
    assert budget.spend(43, 0.0)
    assert not budget.spend(0, 0.99)
    assert budget.ready(0.99) == pytest.approx(1.0)
    assert budget.spend(0, 1.0)


def test_rate_zero_lets_nothing_out_and_a_new_rate_does() -> None:
    budget = Budget(0.0)
    assert not budget.spend(0, 0.0)
    assert budget.ready(5.0) is None
    budget.set_rate(100.0, 10.0)
    assert budget.rate == 100.0
    assert budget.spend(0, 10.0)


def test_a_clock_that_steps_back_gives_nothing() -> None:
    budget = Budget(100.0, burst_s=0.0)
    assert budget.spend(43, 10.0)
    assert not budget.spend(0, 5.0)
    assert not budget.spend(0, 10.9)
    assert budget.spend(0, 11.0)


def test_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="rate"):
        Budget(-1.0)
    with pytest.raises(ValueError, match="burst_s"):
        Budget(1.0, float("nan"))
    with pytest.raises(ValueError, match="rate"):
        Budget(1.0).set_rate(-1.0, 0.0)
