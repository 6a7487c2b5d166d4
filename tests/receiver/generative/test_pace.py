"""How much work a generated picture gets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.generative.pace import LONGEST_GAP_S, PLAIN, Pace, Rung

INTERVAL = 0.1


def begun(**seconds: float) -> Pace:
    """A pace that has measured, say, s1=0.05: a picture of one step took so long."""
    pace = Pace()
    for name, value in seconds.items():
        pace.measured(int(name[1:]), value)
    pace.begin(INTERVAL, 0.0)
    return pace


def run(pace: Pace, seconds: float, cost: dict[int, float], start: float = 0.0) -> list[Rung]:
    """The rungs of so many seconds in which a picture of n steps takes cost[n]."""
    rungs, now = [], start
    while now < start + seconds:
        rung = pace.update(now)
        rungs.append(rung)
        if rung != PLAIN:
            pace.measured(rung.steps, cost[rung.steps])
        now += INTERVAL
    return rungs


FAST = {1: 0.01, 2: 0.015, 4: 0.03}
MEDIUM = {1: 0.05, 2: 0.09, 4: 0.17}
SLOW = {1: 0.35, 2: 0.6, 4: 1.2}
HOPELESS = {1: 5.0, 2: 8.0, 4: 12.0}


def test_the_refiner_alone_comes_before_leaving_pictures_out() -> None:
    pace = Pace((4, 2, 1, 0))
    pace.measured(1, 0.12)
    pace.measured(0, 0.03)
    pace.begin(INTERVAL, 0.0)
    assert pace.rung == Rung(0, 1)
    cost = {0: 0.03, 1: 0.12, 2: 0.24, 4: 0.48}
    assert set(run(pace, 30, cost)) <= {Rung(0, 1)}
    cost = {steps: seconds / 4 for steps, seconds in cost.items()}
    assert run(pace, 120, cost, 30)[-1].steps >= 1  # once there is time
    assert run(pace, 60, {steps: 0.25 for steps in cost}, 150)[-1] == Rung(0, 4)


def test_what_there_is_time_for_from_the_start() -> None:
    assert begun(s1=0.01, s4=0.03).rung == Rung(4, 1)
    assert begun(s1=0.03, s2=0.05, s4=0.09).rung == Rung(2, 1)
    assert begun(s1=0.05, s2=0.09).rung == Rung(1, 1)
    assert begun(s1=0.35).rung == Rung(1, 6)
    assert begun(s1=5.0).rung == PLAIN
    assert begun(s1=0.05).real_time and not begun(s1=0.35).real_time


def test_it_falls_at_once_and_rises_after_a_while() -> None:
    pace = begun(s1=0.01, s2=0.015, s4=0.03)
    assert set(run(pace, 5, FAST)) == {Rung(4, 1)}
    rungs = run(pace, 3, SLOW, 5.0)
    assert rungs.index(next(rung for rung in rungs if rung.every > 1)) <= 6
    assert rungs[-1].steps == 1 and rungs[-1].every >= 4
    later = run(pace, 60, MEDIUM, 8.0)
    assert later[-1] == Rung(1, 1)
    pace.measured(4, 0.03)
    assert run(pace, 120, FAST, 70.0)[-1] == Rung(4, 1)


def test_it_does_not_swing_when_the_next_rung_is_just_too_much() -> None:
    pace = begun(s1=0.03, s2=0.05)
    run(pace, 300, {1: 0.04, 2: 0.0685, 4: 0.13})
    rungs = run(pace, 300, {1: 0.04, 2: 0.11, 4: 0.2}, 300.0)
    changes = sum(one != other for one, other in pairwise(rungs))
    assert changes <= 12


def test_pictures_that_come_too_late_make_it_fall_though_they_are_quick() -> None:
    pace = begun(s1=0.01, s2=0.02, s4=0.03)
    assert pace.update(1.0) == Rung(4, 1)
    pace.missed(1.1)
    assert pace.update(1.2) == Rung(4, 1)
    pace.missed(1.3)
    assert pace.update(1.4) == Rung(2, 1)
    pace.missed(9.0)
    pace.missed(14.0)
    assert pace.update(14.1).steps >= 2  # seldom


def test_a_hopeless_machine_shows_plain_pictures_and_tries_again_less_and_less_often() -> None:
    pace = begun(s1=5.0)
    rungs = run(pace, 300, HOPELESS)
    tries = sum(rung != PLAIN for rung in rungs)
    assert 3 <= tries <= 20 and rungs[0] == PLAIN
    assert run(pace, 120, MEDIUM, 300.0)[-1] == Rung(1, 1)  # it has become faster


def test_what_was_not_measured_is_guessed_from_what_was() -> None:
    pace = Pace()
    assert pace.seconds(1) == pace.seconds(4) > 0
    pace.measured(1, 0.1)
    assert pace.seconds(4) == pytest.approx(0.4)
    pace.measured(4, 0.3)
    assert 0.1 <= pace.seconds(2) <= 0.3
    assert pace.known == {1: 0.1, 4: 0.3}


def test_one_stall_is_no_reason() -> None:
    pace = begun(s1=0.05, s2=0.2)
    run(pace, 2, MEDIUM)
    pace.measured(1, 3.0)
    assert pace.update(2.1) == Rung(1, 1)


def test_few_steps_alone() -> None:
    pace = Pace((1,))
    pace.measured(1, 0.01)
    pace.begin(INTERVAL, 0.0)
    assert pace.rung == Rung(1, 1)


@pytest.mark.parametrize("choice", [(4, 2, 1), (4, 2, 1, 0), (1, 0)])
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.001, 20), st.floats(0, 3), st.booleans())),
       st.floats(1 / 60, 1.0))  # fmt: skip
def test_whatever_is_measured_the_rung_is_one_of_the_ladder(
    choice: tuple[int, ...], events: list[tuple[int, float, float, bool]], interval: float
) -> None:
    pace, now = Pace(choice), 0.0
    pace.begin(interval, now)
    for which, seconds, passed, late in events:
        now += passed
        pace.measured(choice[which % len(choice)], seconds)
        if late:
            pace.missed(now)
        rung = pace.update(now)
        assert rung == PLAIN or (rung.steps in choice and rung.every >= 1)
        assert rung.every <= 1 or (rung.steps == choice[-1] and rung.every * interval <= LONGEST_GAP_S)
