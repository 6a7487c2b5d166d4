"""What is referred to is what a receiver has: reports of all kinds, late, lost, and of another receiver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.texture.chain import FEWEST, LONGEST_S, MOST_BACK, UNTOLD, UNTOLD_S, Chain

PICTURE = np.zeros((96, 64), np.uint8)


def chain(units: int, unit_s: float = 1.0) -> Chain:
    """So many units, each referring to the one before."""
    out = Chain(unit_s)
    for unit in range(units):
        out.sent(unit, PICTURE, 1 if unit else None)
    return out


def back(one: Chain, unit: int) -> int | None:
    found = one.reference(unit)
    return None if found is None else found.back


def test_nobody_reports_and_nothing_is_referred_to() -> None:
    assert back(chain(1), 1) is None and back(Chain(1.0), 0) is None


def test_it_may_yet_begin_and_later_is_given_up() -> None:
    one = chain(1)
    assert one.hopeful(0) and one.hopeful(UNTOLD) and not one.hopeful(UNTOLD + 1)
    short = chain(1, 0.25)
    assert short.hopeful(int(UNTOLD_S / 0.25)) and not short.hopeful(int(UNTOLD_S / 0.25) + 1)


def test_what_came_is_referred_to() -> None:
    one = chain(1)
    one.report(0, True)
    assert back(one, 1) == 1 and back(one, UNTOLD) == UNTOLD and back(one, UNTOLD + 1) is None
    for unit in range(1, MOST_BACK + 1):
        one.report(unit, False)
    assert back(one, MOST_BACK) is None  # silent: nothing that came was told of for too long
    one.report(MOST_BACK - 1, True)
    assert back(one, MOST_BACK) == MOST_BACK and back(one, MOST_BACK + 1) is None


def test_so_is_what_is_on_its_way_where_all_of_some_before_came() -> None:
    one = chain(6, 0.5)
    for unit in range(FEWEST):
        assert back(one, 6) == (6 - unit + 1 if unit else None)
        one.report(unit, True)
    assert back(one, 6) == 1
    one.report(FEWEST, False)
    assert back(one, 6) == 3


def test_what_did_not_leave_is_not_referred_to_and_says_nothing_of_the_path() -> None:
    one = chain(6, 0.5)
    for unit in range(FEWEST):
        one.report(unit, True)
    one.withheld(5)
    assert back(one, 6) == 2  # unit 4 is on its way, and believed to come


def test_where_something_was_lost_only_what_came_is_and_nothing_that_hangs_on_it() -> None:
    one = chain(4)
    one.report(0, True)
    one.report(1, False)
    assert back(one, 4) == 4
    one.report(2, None)  # refused, as was to be expected: the first is still there
    assert back(one, 4) == 4


def test_a_receiver_that_refuses_what_it_should_have_is_another() -> None:
    one = chain(3)
    for unit in range(2):
        one.report(unit, True)
    one.report(2, None)
    assert back(one, 3) is None
    one.sent(3, PICTURE, None)
    one.report(3, True)
    assert back(one, 4) == 1


def test_a_way_back_that_falls_silent_is_none() -> None:
    one = chain(9, 0.5)
    for unit in range(4):
        one.report(unit, True)
    assert back(one, 9) == 1  # all of these are believed to come
    one.sent(9, PICTURE, 1)
    assert back(one, 10) is None


def test_a_chain_ends_for_who_joined_meanwhile() -> None:
    one, begun = Chain(1.0), []
    for unit in range(100):
        found = one.reference(unit)
        one.sent(unit, PICTURE, found and found.back)
        if found is None:
            begun.append(unit)
        one.report(unit, True)
    assert begun == [0, 31, 62, 93] and LONGEST_S == 30


@pytest.mark.parametrize("late", [1, 2, 3])
def test_a_new_start_takes_one_unit(late: int) -> None:
    """After 30 s where something is lost now and then, and after a receiver is another; reports tell of units that many
    back."""
    one, alone = Chain(1.0), list[int]()
    for unit in range(100):
        told = unit - late
        if told >= 0:
            one.report(told, None if told in (80, 81, 82)[:late] else told % 7 != 5)
        found = one.reference(unit)
        one.sent(unit, PICTURE, found and found.back)
        if found is None:
            alone.append(unit)
    assert len([unit for unit in alone if late < unit < 75]) == 2
    assert 1 <= len([unit for unit in alone if 80 <= unit < 95]) <= late + 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([True, False, None]), st.booleans()), max_size=60)
)
def test_a_receiver_has_what_is_told_to_have_come(steps: list[tuple[int, bool | None, bool]]) -> None:
    """Units that are lost, reports that are lost or late by up to three units. A unit that refers to one that was told
    of can be decoded."""
    one, has, reports = Chain(0.5), set[int](), list[tuple[int, int, bool | None]]()
    for unit, (late, fate, told) in enumerate(steps):
        for due, which, came in sorted(reports):
            if due <= unit:
                one.report(which, came)
        reports = [report for report in reports if report[0] > unit]
        found = one.reference(unit)
        needs = None if found is None else unit - found.back
        if needs is not None and one._links[needs].came:
            assert needs in has
        one.sent(unit, PICTURE, found and found.back)
        decodable = fate is not False and (needs is None or needs in has)
        if decodable:
            has.add(unit)
        if told:
            reports.append((unit + 1 + late, unit, False if fate is False else True if decodable else None))
    assert len(one._links) <= 2 * MOST_BACK


@pytest.mark.parametrize("units", [200])
def test_it_holds_few_pictures(units: int) -> None:
    assert len(chain(units)._links) <= 2 * MOST_BACK
