"""The search for the floor that a rate holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.structure_rate import BEYOND, HIGHEST, LOWEST, MOST, STEP, highest_within


class Costs:
    """Of floors: exponential, as the codec's are, with headers and some noise; notes what it is asked."""

    def __init__(self, slope: float, least: float, noise: float = 0.0) -> None:
        self._slope, self._least, self._noise = slope, least, noise
        self.asked: list[float] = []

    def __call__(self, floor: float) -> float:
        self.asked.append(floor)
        noise = self._noise * math.sin(1e4 * floor)
        return self._least + math.exp(self._slope * (floor - 0.85) + noise)


@pytest.mark.parametrize("rate", [0.3, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("slope", [7.0, 10.0, 25.0])
def test_nearly_all_of_the_rate_is_spent(slope: float, rate: float) -> None:
    costs = Costs(slope, 0.1)
    floor = highest_within(costs, rate, 0.75)
    assert floor is not None
    assert costs(floor) <= rate
    assert floor == HIGHEST or costs(floor) >= 0.95 * rate or costs(floor + STEP) > rate
    assert len(costs.asked) <= MOST + BEYOND + 4


@given(st.floats(1, 60), st.floats(0, 1), st.floats(0, 0.3), st.floats(0.01, 10), st.floats(0, 1))
def test_the_rate_is_never_passed_and_few_floors_are_tried(
    slope: float, least: float, noise: float, rate: float, begin: float
) -> None:
    costs = Costs(slope, least, noise)
    floor = highest_within(costs, rate, begin)
    assert len(costs.asked) <= MOST + BEYOND + 1
    assert all(LOWEST <= one <= HIGHEST for one in costs.asked)
    if floor is None:
        assert costs(LOWEST) > rate
    else:
        assert floor in costs.asked and costs(floor) <= rate


def test_no_floor_is_told_where_none_fits() -> None:
    assert highest_within(Costs(10.0, 2.0), 1.0, 0.8) is None
    assert highest_within(Costs(10.0, 0.0), 5.0, 0.5) == HIGHEST


def test_a_floor_that_is_dear_by_chance_does_not_end_the_search() -> None:
    def cost(floor: float) -> float:
        return 1.3 if abs(floor - 0.76) < 0.001 else math.exp(10 * (floor - 0.77))

    floor = highest_within(cost, 1.0, 0.76)
    assert floor is not None and floor > 0.76
