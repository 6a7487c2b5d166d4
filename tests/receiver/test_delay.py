"""The automatic playout delay at hand-written times."""

from __future__ import annotations

import math
import random

import pytest

from receiver.delay import (
    BUCKET_S,
    GROW_PER_S,
    MARGIN_S,
    MAX_DELAY_S,
    SPREAD,
    START_MARGIN_S,
    WINDOW_S,
    AutoDelay,
    DelayBounds,
)

UNIT = 4 / 15
ALLOWANCE = 0.03


def feed(auto: AutoDelay, start: float, end: float, lateness: float) -> None:
    now = start
    while now < end:
        auto.observe(lateness, now)
        auto.update(ALLOWANCE, now)
        now += 0.05


def test_it_starts_at_the_spread_of_a_unit_and_a_margin() -> None:
    assert AutoDelay(UNIT).delay == pytest.approx(SPREAD * UNIT + START_MARGIN_S)


def test_it_settles_just_above_what_packets_need() -> None:
    auto = AutoDelay(UNIT)
    feed(auto, 0, 20, 0.25)
    assert auto.delay == pytest.approx(0.25 + ALLOWANCE + MARGIN_S)


def test_it_never_goes_below_the_spread_of_a_unit() -> None:
    auto = AutoDelay(UNIT)
    feed(auto, 0, 60, 0.0)
    assert auto.delay == pytest.approx(0.8 * UNIT + ALLOWANCE + MARGIN_S)


def test_long_units_get_the_delay_that_they_need() -> None:
    auto = AutoDelay(4.0)  # one frame a second
    feed(auto, 0, 200, 3.0)
    assert auto.delay > 0.8 * 4.0


def test_it_grows_quickly_shrinks_slowly_and_stays_bounded() -> None:
    auto = AutoDelay(UNIT)
    feed(auto, 0, 5, 0.2)
    low = auto.delay
    feed(auto, 5, 7, 0.5)
    assert auto.delay > low + 0.2
    feed(auto, 7, 60, MAX_DELAY_S)
    assert auto.delay == MAX_DELAY_S
    feed(auto, 60, 71, 0.2)
    assert auto.delay > MAX_DELAY_S - 0.1
    feed(auto, 71, 110, 0.2)
    assert auto.delay == pytest.approx(0.8 * UNIT + ALLOWANCE + MARGIN_S, abs=0.02)


def test_single_stragglers_are_not_waited_for() -> None:
    auto = AutoDelay(UNIT)
    feed(auto, 0, 15, 0.2)
    before = auto.delay
    auto.observe(3.0, 15.1)
    feed(auto, 15.1, 20, 0.2)
    assert auto.delay == pytest.approx(before, abs=0.005)


def test_packets_that_are_refused_as_late_make_it_grow_at_once() -> None:
    auto = AutoDelay(UNIT)
    rng = random.Random(3)
    now = 0.0
    while now < 6:
        lateness = rng.random() * 0.6
        if lateness < auto.delay - ALLOWANCE:
            auto.observe(lateness, now)
        else:
            auto.missed(now)
        auto.update(ALLOWANCE, now)
        now += 0.03
    assert 0.55 < auto.delay < 0.75


def test_what_no_delay_could_have_waited_for_is_ignored() -> None:
    auto = AutoDelay(UNIT)
    feed(auto, 0, 15, 0.2)
    before = auto.delay
    feed(auto, 15, 25, 5.0)
    assert auto.delay == before


def test_after_a_silence_it_does_not_leap() -> None:
    auto = AutoDelay(UNIT)
    feed(auto, 0, 5, 0.2)
    before = auto.delay
    auto.observe(0.9, 100.0)
    assert auto.update(ALLOWANCE, 100.0) <= before + 0.05
    feed(auto, 100.1, 105, 0.2)
    assert auto.delay == pytest.approx(before, abs=0.01)


def test_a_maximum_is_kept_also_from_the_start() -> None:
    auto = AutoDelay(UNIT, DelayBounds(0.0, 0.1))
    assert auto.delay == 0.1
    feed(auto, 0, 20, 0.09)
    assert auto.delay == 0.1


def test_a_constant_delay_stays_whatever_comes() -> None:
    auto = AutoDelay(UNIT, DelayBounds.exactly(0.5))
    feed(auto, 0, 20, 0.7)
    assert auto.delay == 0.5 and auto.bounds.constant


@pytest.mark.parametrize("wanted", [0.1, 2.0])
def test_other_bounds_are_reached_by_and_by(wanted: float) -> None:
    auto = AutoDelay(UNIT, DelayBounds.exactly(0.5))
    feed(auto, 0, 5, 0.2)
    auto.bounds = DelayBounds.exactly(wanted)
    before = auto.delay
    feed(auto, 5, 6, 0.2)
    assert abs(auto.delay - before) == pytest.approx(GROW_PER_S, abs=0.011)
    feed(auto, 6, 20, 0.2)
    assert auto.delay == wanted


@pytest.mark.parametrize("bounds", [(-0.1, None), (0.5, 0.4), (math.nan, None), (math.inf, None)])
def test_impossible_bounds_are_refused(bounds: tuple[float, float | None]) -> None:
    with pytest.raises(ValueError, match="delay"):
        DelayBounds(*bounds)


def test_forgetting_and_bounded_memory() -> None:
    auto = AutoDelay(UNIT)
    for i in range(100_000):
        auto.observe(0.1, i * 0.001)
    assert len(auto._worst) <= WINDOW_S / BUCKET_S + 2
    auto.forget()
    assert auto.update(ALLOWANCE, 200.0) > 0
