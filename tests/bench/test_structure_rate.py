"""The search for the floor that a rate holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.structure_rate import HIGHEST, LOWEST, MOST, STEP, highest_within


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
    assert len(costs.asked) <= 9


@given(st.floats(1, 60), st.floats(0, 1), st.floats(0, 0.3), st.floats(0.01, 10), st.floats(0, 1))
def test_the_rate_is_never_passed_and_few_floors_are_tried(
    slope: float, least: float, noise: float, rate: float, begin: float
) -> None:
    costs = Costs(slope, least, noise)
    floor = highest_within(costs, rate, begin)
    assert len(costs.asked) <= MOST + 1
    assert all(LOWEST <= one <= HIGHEST for one in costs.asked)
    if floor is None:
        assert costs(LOWEST) > rate
    else:
        assert floor in costs.asked and costs(floor) <= rate


def test_no_floor_is_told_where_none_fits() -> None:
    assert highest_within(Costs(10.0, 2.0), 1.0, 0.8) is None
    assert highest_within(Costs(10.0, 0.0), 5.0, 0.5) == HIGHEST
