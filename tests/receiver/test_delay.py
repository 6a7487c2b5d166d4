"""The automatic playout delay at hand-written times."""

from __future__ import annotations

import random

import pytest

from receiver.delay import BUCKET_S, MARGIN_S, MAX_DELAY_S, SPREAD, START_MARGIN_S, WINDOW_S, AutoDelay

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
    feed(auto, 7, 60, 5.0)
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


def test_packets_that_are_refused_as_late_still_make_it_grow() -> None:
    auto = AutoDelay(UNIT)
    rng = random.Random(3)
    now = 0.0
    while now < 60:
        lateness = rng.random() * 0.6
        if lateness < auto.delay - ALLOWANCE:  # others find their unit closed
            auto.observe(lateness, now)
        auto.update(ALLOWANCE, now)
        now += 0.03
    assert auto.delay > 0.55


def test_forgetting_and_bounded_memory() -> None:
    auto = AutoDelay(UNIT)
    for i in range(100_000):
        auto.observe(0.1, i * 0.001)
    assert len(auto._worst) <= WINDOW_S / BUCKET_S + 2
    auto.forget()
    assert auto.update(ALLOWANCE, 200.0) > 0
