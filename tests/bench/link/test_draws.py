from __future__ import annotations

import pytest

from tests.bench.link.draws import Direction, Purpose, uniform

NUMBERS = [0.4293116610733735, 0.38489260501026323, 0.6386762414661784]


def test_numbers_stay_what_they_were() -> None:
    """The benchmark's results were made with them."""
    drawn = [uniform(1, 0, Purpose.LOSS), uniform(7, 123456, Purpose.REORDER), uniform(-3, 5, Purpose.PLACE)]
    assert drawn == NUMBERS


def test_they_are_uniform_and_directions_purposes_and_seeds_independent() -> None:
    count = 20_000
    base = [uniform(1, n, Purpose.LOSS) for n in range(count)]
    assert sum(base) / count == pytest.approx(0.5, abs=0.008)
    assert sum(x * x for x in base) / count == pytest.approx(1 / 3, abs=0.008)
    others = [
        [uniform(1, n, Purpose.LOSS, Direction.BACK) for n in range(count)],
        [uniform(1, n, Purpose.JITTER) for n in range(count)],
        [uniform(2, n, Purpose.LOSS) for n in range(count)],
        [uniform(1, n + 1, Purpose.LOSS) for n in range(count)],
    ]
    for other in others:
        covariance = sum((x - 0.5) * (y - 0.5) for x, y in zip(base, other, strict=True)) / count
        assert abs(12 * covariance) < 0.03
