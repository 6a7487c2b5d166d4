"""Reassembly: the window, wraps, outages, and what is counted."""

from __future__ import annotations

import contextlib
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.packet import Segment
from proto.reassembler import Reassembler, Tally
from proto.wire import TICK_SECONDS, Reason, WireError, to_ticks

UNIT_SECONDS = 4 / 15


def segment(unit: int, index: int = 0, count: int = 1, ticks: int | None = None) -> Segment:
    """A segment whose payload tells where it belongs."""
    stamp = to_ticks(unit * UNIT_SECONDS) if ticks is None else ticks
    return Segment(1, unit & 0xFFFF, index, count, stamp, f"{unit}/{index}".encode())


def refusal(reassembler: Reassembler, pushed: Segment, now: float = 0.0) -> Reason:
    before = reassembler.pending
    with pytest.raises(WireError) as caught:
        reassembler.push(pushed, now)
    assert reassembler.pending == before
    return caught.value.reason


@given(st.lists(st.booleans(), min_size=1, max_size=255).filter(any), st.randoms(use_true_random=False))
def test_any_subset_in_any_order_gives_the_exact_mask(arrived: list[bool], rng: random.Random) -> None:
    reassembler = Reassembler()
    indices = [index for index, there in enumerate(arrived) if there]
    rng.shuffle(indices)
    for index in indices:
        assert reassembler.push(segment(7, index, len(arrived)), now=0.0) == 7
    assert reassembler.complete(7) == all(arrived)
    unit = reassembler.take(7)
    assert unit is not None
    assert unit.arrived == tuple(arrived)
    assert unit.received == sum(arrived)
    assert unit.segments == tuple(b"7/%d" % i if there else None for i, there in enumerate(arrived))
    assert reassembler.tally == Tally(received=sum(arrived), lost=arrived.count(False), units_closed=1)


def test_before_the_first_segment_there_is_nothing() -> None:
    reassembler = Reassembler()
    assert reassembler.newest_unit is None
    assert reassembler.pending == ()
    assert reassembler.take(0) is None
    assert reassembler.timestamp(0) is None
    assert not reassembler.complete(0)


def test_taking_closes_the_unit_and_all_older_ones() -> None:
    reassembler = Reassembler()
    for unit in (3, 4, 5, 6):
        reassembler.push(segment(unit, 0, 2), now=0.0)
    assert reassembler.take(5) is not None
    assert reassembler.pending == (6,)
    assert reassembler.take(5) is None
    assert refusal(reassembler, segment(5, 1, 2)) is Reason.LATE
    assert refusal(reassembler, segment(3, 1, 2)) is Reason.LATE
    reassembler.push(segment(6, 1, 2), now=0.0)
    assert reassembler.complete(6)
    assert reassembler.tally == Tally(received=5, late=2, lost=3, units_closed=3, units_expired=2)


def test_a_unit_of_which_nothing_came_is_counted_when_it_closes() -> None:
    reassembler = Reassembler()
    reassembler.push(segment(10, 0, 4), now=0.0)
    reassembler.push(segment(13, 0, 4), now=0.0)
    assert reassembler.take(10) is not None
    assert reassembler.take(11) is None
    assert reassembler.take(12) is None
    assert reassembler.tally.units_missed == 2
    assert reassembler.tally.lost == 3 + 2 * 4
    assert refusal(reassembler, segment(12, 0, 4)) is Reason.LATE


def test_a_playout_that_runs_ahead_closes_nothing() -> None:
    reassembler = Reassembler()
    reassembler.push(segment(10), now=0.0)
    reassembler.take(10)
    for unit in range(11, 30):
        assert reassembler.take(unit) is None
    assert reassembler.push(segment(11), now=5.0) == 11


def test_the_window_pushes_old_units_out() -> None:
    reassembler = Reassembler(max_units=3)
    for unit in range(10):
        reassembler.push(segment(unit), now=0.0)
    assert reassembler.pending == (7, 8, 9)
    assert reassembler.newest_unit == 9
    assert reassembler.tally.units_expired == 7
    assert refusal(reassembler, segment(6)) is Reason.LATE


def test_a_contradiction_is_refused_and_the_first_stands() -> None:
    reassembler = Reassembler()
    reassembler.push(segment(1, 0, 2), now=0.0)
    assert refusal(reassembler, segment(1, 1, 3)) is Reason.CONFLICT
    assert refusal(reassembler, segment(1, 1, 2, ticks=999)) is Reason.CONFLICT
    assert refusal(reassembler, segment(1, 0, 2)) is Reason.DUPLICATE
    assert reassembler.tally == Tally(received=1, duplicate=1, conflict=2)
    unit = reassembler.take(1)
    assert unit is not None
    assert unit.segments == (b"1/0", None)


def test_numbers_and_timestamps_rise_through_six_hours_of_wraps() -> None:
    reassembler = Reassembler()
    rng = random.Random(1)
    first = 65000
    last = first + int(
        6 * 3600 / UNIT_SECONDS
    )  # 81 000 units: the number wraps twice, the timestamp 82 times
    offset = 0.0
    taken = 0
    for unit in range(first, last):
        now = 100.0 + unit * UNIT_SECONDS
        if rng.random() < 0.5:
            continue
        for index in (1, 0):
            assert reassembler.push(segment(unit, index, 2), now + 0.1 * rng.random()) == unit
        got = reassembler.take(unit)
        assert got is not None
        assert got.unit == unit
        sent = unit * UNIT_SECONDS
        if taken == 0:
            offset = sent - got.timestamp
        assert got.timestamp + offset == pytest.approx(sent, abs=TICK_SECONDS)
        taken += 1
    assert taken > 35_000
    assert reassembler.tally.lost == pytest.approx(2 * 40_500, rel=0.02)


@pytest.mark.parametrize("outage", [5.0, 130.0, 263.0, 1800.0, 4 * 3600.0])
def test_numbers_and_timestamps_are_right_after_an_outage(outage: float) -> None:
    reassembler = Reassembler()
    first = 12345
    after = first + 1 + int(outage / UNIT_SECONDS)
    reassembler.push(segment(first), now=1000.0)
    start = reassembler.take(first)
    assert start is not None
    now = 1000.0 + (after - first) * UNIT_SECONDS + 0.3  # the link has become 300 ms slower, too
    assert reassembler.push(segment(after), now) == after
    end = reassembler.take(after)
    assert end is not None
    assert end.timestamp - start.timestamp == pytest.approx((after - first) * UNIT_SECONDS, abs=0.005)


def test_a_sender_that_stalled_goes_on_with_the_next_unit() -> None:
    reassembler = Reassembler()
    reassembler.push(segment(65535), now=0.0)
    reassembler.take(65535)
    assert reassembler.push(segment(65536, ticks=7), now=3600.0) == 65536


def test_stragglers_after_a_silence_are_late_and_not_the_future() -> None:
    reassembler = Reassembler()
    reassembler.push(segment(1000), now=0.0)
    reassembler.take(1000)
    assert refusal(reassembler, segment(1000), now=60.0) is Reason.LATE
    assert refusal(reassembler, segment(936), now=60.0) is Reason.LATE
    assert reassembler.push(segment(1001), now=60.0) == 1001


def test_a_wild_jump_costs_ten_seconds_at_most() -> None:
    reassembler = Reassembler()
    reassembler.push(segment(100), now=0.0)
    assert reassembler.push(segment(30_100), now=0.1) == 30_100
    assert reassembler.pending == (30_100,)
    assert refusal(reassembler, segment(101), now=0.2) is Reason.LATE
    assert refusal(reassembler, segment(137), now=10.0) is Reason.LATE
    assert reassembler.push(segment(138), now=10.2) == 65536 + 138
    assert reassembler.push(segment(139), now=10.5) == 65536 + 139


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.integers(1, 255).flatmap(lambda count: st.tuples(st.integers(0, count - 1), st.just(count))),
            st.integers(0, 0xFFFF),
            st.floats(0, 30),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.integers(1, 8),
)
def test_wild_segments_never_break_the_bounds(
    pushes: list[tuple[int, tuple[int, int], int, float, bool]], max_units: int
) -> None:
    reassembler = Reassembler(max_units)
    now, accepted, newest = 0.0, 0, -1
    for unit, (index, count), ticks, pause, take in pushes:
        now += pause
        try:
            assert reassembler.push(Segment(1, unit, index, count, ticks, b""), now) & 0xFFFF == unit
            accepted += 1
        except WireError as error:
            assert error.reason in {Reason.LATE, Reason.CONFLICT, Reason.DUPLICATE}
        pending = reassembler.pending
        assert len(pending) <= max_units
        assert reassembler.newest_unit is not None
        assert reassembler.newest_unit >= newest
        newest = reassembler.newest_unit
        assert all(newest - max_units < one <= newest for one in pending)
        if take and pending:
            got = reassembler.take(pending[0])
            assert got is not None
            assert got.received >= 1
    tally = reassembler.tally
    assert tally.received == accepted
    assert accepted + tally.late + tally.conflict + tally.duplicate == len(pushes)


def test_closed_units_are_told_in_order_with_what_arrived() -> None:
    told: list[tuple[int, tuple[bool, ...]]] = []
    reassembler = Reassembler()
    reassembler.closed = lambda unit, arrived: told.append((unit, arrived))
    for unit, index in ((3, 0), (5, 1), (6, 0), (3, 2)):
        reassembler.push(segment(unit, index, 3), now=0.0)
    assert told == []
    reassembler.take(5)
    assert told == [(3, (True, False, True)), (4, ()), (5, (False, True, False))]
    reassembler.take(5)
    with pytest.raises(WireError):
        reassembler.push(segment(4), now=0.0)
    assert len(told) == 3


def test_units_that_the_window_pushes_out_are_told() -> None:
    told: list[tuple[int, tuple[bool, ...]]] = []
    reassembler = Reassembler(max_units=4)
    reassembler.closed = lambda unit, arrived: told.append((unit, arrived))
    for unit in (0, 1, 6):
        reassembler.push(segment(unit), now=0.0)
    assert told == [(0, (True,)), (1, (True,)), (2, ())]


def test_after_a_silence_no_more_units_are_told_than_can_be_open() -> None:
    told: list[int] = []
    reassembler = Reassembler(max_units=8)
    reassembler.closed = lambda unit, arrived: told.append(unit)
    reassembler.push(segment(0), now=0.0)
    reassembler.push(segment(30_000), now=8000.0)
    reassembler.take(30_000)
    assert told == [*range(29_985, 29_993), *range(29_993, 30_001)]
    assert reassembler.tally.units_missed == 29_999


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.booleans()), max_size=60))
def test_every_unit_is_told_once_and_in_rising_order(steps: list[tuple[int, int, bool]]) -> None:
    told: list[tuple[int, int]] = []
    reassembler = Reassembler()
    reassembler.closed = lambda unit, arrived: told.append((unit, sum(arrived)))
    for unit, index, take in steps:
        with contextlib.suppress(WireError):
            reassembler.push(segment(unit, index, 3), now=0.0)
        if take:
            reassembler.take(unit)
    assert all(after[0] == before[0] + 1 for before, after in itertools.pairwise(told))
    tally = reassembler.tally
    assert sum(1 for _, arrived in told if arrived) == tally.units_closed
    assert len(told) == tally.units_closed + tally.units_missed


def test_max_units_is_checked() -> None:
    with pytest.raises(ValueError, match="max_units: must be >= 1"):
        Reassembler(max_units=0)
