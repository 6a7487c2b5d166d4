"""The controller of `--profile auto` under simulated links: fast to `resilient`, slow to `classic`, never flapping."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sender.profile import CLASSIC, RESILIENT, Link, ProfileController, Rules

UNIT = 4 / 15
GOOD = Link(kbps=250, loss=0.0, residual=1e-4, rtt=0.1, heard=True)


def simulate(
    link: Callable[[float], Link], seconds: float, controller: ProfileController | None = None
) -> list[tuple[float, str]]:
    """(time, profile) of each unit."""
    controller = controller or ProfileController()
    times = np.arange(0, seconds, UNIT).tolist()
    return [(now, controller.decide(link(now), now)) for now in times]


def switches(history: list[tuple[float, str]]) -> list[float]:
    return [b[0] for a, b in itertools.pairwise(history) if a[1] != b[1]]


def test_a_good_link_gets_classic_after_a_while() -> None:
    history = simulate(lambda now: GOOD, 20)
    assert history[0][1] == RESILIENT
    (when,) = switches(history)
    assert Rules().good_seconds <= when <= Rules().good_seconds + 2 * UNIT
    assert history[-1][1] == CLASSIC


TROUBLES = {
    "no reports": replace(GOOD, heard=False),
    "unit lost": replace(GOOD, lost_units=1),
    "loss": replace(GOOD, loss=0.3),
    "residual loss": replace(GOOD, residual=0.1),
    "rate": replace(GOOD, kbps=50),
    "delay": replace(GOOD, congested=True),
    "round trip": replace(GOOD, rtt=0.8),
}


@pytest.mark.parametrize("reason", TROUBLES)
def test_any_trouble_ends_it_with_the_next_unit(reason: str) -> None:
    controller = ProfileController()
    simulate(lambda now: GOOD, 20, controller)
    assert controller.profile == CLASSIC
    assert controller.decide(TROUBLES[reason], 20.1) == RESILIENT
    assert controller.reason == reason


@pytest.mark.parametrize("reason", TROUBLES)
def test_a_link_in_trouble_never_gets_it(reason: str) -> None:
    assert not switches(simulate(lambda now: TROUBLES[reason], 120))


def test_a_one_way_link_stays_resilient() -> None:
    silent = Link(kbps=500, loss=None, residual=1e-4, rtt=None, heard=False)
    assert {profile for _, profile in simulate(lambda now: silent, 300)} == {RESILIENT}


@pytest.mark.parametrize(
    "link", [replace(GOOD, loss=0.15), replace(GOOD, residual=0.01), replace(GOOD, rtt=0.5)]
)
def test_between_the_thresholds_all_stays_as_it_is(link: Link) -> None:
    assert simulate(lambda now: link, 60)[-1][1] == RESILIENT
    controller = ProfileController()
    simulate(lambda now: GOOD, 20, controller)
    assert controller.decide(link, 21) == CLASSIC


def test_a_link_that_was_bad_once_comes_back() -> None:
    bad = replace(GOOD, loss=0.4, residual=0.5)
    history = simulate(lambda now: bad if 30 <= now < 40 else GOOD, 120)
    times = switches(history)
    assert len(times) == 3
    assert 30 <= times[1] < 30 + UNIT + 1e-9
    assert times[2] >= 40 + Rules().good_seconds - UNIT
    assert history[-1][1] == CLASSIC


def test_each_early_failure_makes_it_more_patient_and_a_long_success_forgives() -> None:
    controller = ProfileController()
    waits: list[float] = []
    now = left = 0.0
    while len(waits) < 4:
        if controller.decide(GOOD, now) == CLASSIC:
            waits.append(now - left)
            now = left = now + 1
            controller.decide(TROUBLES["unit lost"], now)
        now += UNIT
    assert all(b > 1.5 * a for a, b in itertools.pairwise(waits[1:])) and waits[1] > waits[0]
    while controller.decide(GOOD, now) != CLASSIC:
        now += UNIT
    controller.decide(GOOD, now + Rules().early + 1)
    assert controller.needed == Rules().good_seconds


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 30), st.floats(0.0, 1.0))
def test_no_link_makes_it_flap(seed: int, period: float, share: float) -> None:
    """A link that is good and bad by turns, of any length: never more switches in a minute than allowed."""
    rng = np.random.default_rng(seed)
    turns = rng.random(2000) < share
    troubles = list(TROUBLES.values())

    def link(now: float) -> Link:
        turn = int(now / period)
        return GOOD if turns[turn % 2000] else troubles[turn % len(troubles)]

    impatient = ProfileController(Rules(good_seconds=0.5, dwell=0.0, patience=1.0))
    for controller in (ProfileController(), impatient):
        times = switches(simulate(link, 180, controller))
        for begin in times:
            assert sum(begin <= when < begin + 60 for when in times) <= controller.rules.most_switches


def test_losses_as_they_are_really_measured() -> None:
    """A window of 30 packets at a loss of 2 % is noisy; that alone ends nothing."""
    rng = np.random.default_rng(4)
    controller = ProfileController()
    history = simulate(lambda now: replace(GOOD, loss=float(rng.binomial(30, 0.02)) / 30), 120, controller)
    assert len(switches(history)) == 1
