from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sender.pacer import Pacer


def test_a_unit_is_spread_over_its_share() -> None:
    """Four packets over 0.75 of 0.4 s: one each 75 ms."""
    pacer = Pacer(0.75)
    pacer.submit([b"a", b"b", b"c", b"d"], 0.4, 10.0)
    assert pacer.take(10.0) == [b"a"]
    assert pacer.next_time() == pytest.approx(10.075)
    assert pacer.take(10.074) == []
    assert pacer.take(10.076) == [b"b"]
    assert pacer.take(10.24) == [b"c", b"d"]
    assert pacer.next_time() is None
    assert pacer.waiting == 0


def test_no_spread_sends_at_once() -> None:
    pacer = Pacer(0.0)
    pacer.submit([b"a", b"b"], 0.4, 10.0)
    assert pacer.take(10.0) == [b"a", b"b"]


def test_the_next_unit_waits_for_the_end_of_the_one_before() -> None:
    pacer = Pacer(0.5)
    pacer.submit([b"a", b"b"], 0.4, 10.0)  # 10.0 and 10.1, its place ends at 10.2
    pacer.submit([b"c", b"d"], 0.4, 10.05)
    assert pacer.take(10.15) == [b"a", b"b"]
    assert pacer.next_time() == pytest.approx(10.2)
    assert pacer.take(10.21) == [b"c"]
    assert pacer.take(10.31) == [b"d"]


def test_a_third_unit_drops_what_is_left_of_the_oldest() -> None:
    pacer = Pacer(1.0)
    pacer.submit([b"a", b"b", b"c"], 0.3, 10.0)
    assert pacer.take(10.0) == [b"a"]
    pacer.submit([b"d"], 0.3, 10.0)
    pacer.submit([b"e"], 0.3, 10.0)
    assert pacer.dropped == 2
    assert pacer.waiting == 2
    assert pacer.take(11.0) == [b"d", b"e"]


def test_units_that_come_too_fast_do_not_push_each_other_later() -> None:
    pacer = Pacer(1.0)
    for number in range(50):
        pacer.submit([bytes([number])], 0.25, 10.0)
    assert pacer.take(10.0) == [bytes([48])]
    assert pacer.take(10.25) == [bytes([49])]


def test_a_hold_up_is_caught_up_in_order() -> None:
    pacer = Pacer(0.75)
    pacer.submit([b"a", b"b", b"c"], 0.4, 10.0)
    assert pacer.take(99.0) == [b"a", b"b", b"c"]
    pacer.submit([b"d"], 0.4, 99.0)
    assert pacer.take(99.0) == [b"d"]


def test_a_slower_path_lets_less_leave_and_drops_the_rest() -> None:
    """Four packets of 100 bytes on the wire over 0.4 s, then 4 kbit/s: 0.2 s each, so two more fit."""
    pacer = Pacer(1.0)
    pacer.submit([bytes(72)] * 4, 0.4, 10.0)
    assert len(pacer.take(10.0)) == 1
    pacer.slow(4.0, 10.05)
    assert (pacer.waiting, pacer.dropped) == (2, 1)
    assert len(pacer.take(10.11)) == 1
    assert pacer.next_time() == pytest.approx(10.3)
    pacer.submit([b"next"], 0.4, 10.2)
    assert len(pacer.take(10.31)) == 1
    assert pacer.next_time() == pytest.approx(10.5)


def test_a_faster_path_changes_nothing_that_waits() -> None:
    pacer = Pacer(1.0)
    pacer.submit([bytes(72)] * 4, 0.4, 10.0)
    pacer.slow(1000.0, 10.0)
    assert pacer.dropped == 0
    assert len(pacer.take(10.21)) == 3


def test_an_empty_unit_is_nothing() -> None:
    pacer = Pacer()
    pacer.submit([], 0.4, 10.0)
    assert pacer.next_time() is None


@pytest.mark.parametrize("spread", [-0.1, 1.1])
def test_the_spread_is_checked(spread: float) -> None:
    with pytest.raises(ValueError, match=r"spread: must be 0\.\.1"):
        Pacer(spread)


units = st.lists(st.tuples(st.floats(0, 0.6), st.integers(0, 20)), max_size=40)


@given(units, st.floats(0, 1))
@example([(0.0, 1)] * 6, 1.0)
def test_every_packet_leaves_in_order_or_is_counted(units: list[tuple[float, int]], spread: float) -> None:
    """Whatever the arrival times: sent + dropped + waiting = submitted, order kept, the queue bounded."""
    duration = 0.25
    pacer = Pacer(spread)
    now, number, sent = 0.0, 0, []
    for pause, count in units:
        now += pause
        sent += pacer.take(now)
        pacer.submit([(number + i).to_bytes(4, "big") for i in range(count)], duration, now)
        number += count
        assert pacer.waiting <= 40
        due = pacer.next_time()
        assert due is None or due <= now + 3 * duration
        sent += pacer.take(now)
    assert sent == sorted(sent)
    assert len(sent) + pacer.dropped + pacer.waiting == number
    sent += pacer.take(now + 10)
    assert pacer.waiting == 0
