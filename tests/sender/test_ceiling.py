"""The ceiling over ten seconds, and the rate control that keeps under it."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from sender.ceiling import HEADROOM, Ceiling
from sender.contours.share import ContourShare
from sender.rate_held import HeldRate


def test_what_has_left_ten_seconds_ago_counts_no_more() -> None:
    ceiling = Ceiling(8.0)
    free = ceiling.room(0.0)
    assert 9_700 <= free < 10_000
    ceiling.add(6000, 0.0)
    ceiling.add(2000, 5.0)  # promised
    assert ceiling.room(0.0) == ceiling.room(9.99) == free - 8000
    assert ceiling.room(10.0) == free - 2000
    ceiling.set_rate(2.0)
    assert ceiling.room(10.0) == pytest.approx(2400 - 500)
    ceiling.reserve = 1900
    assert ceiling.room(10.0) == 0.0


@pytest.mark.parametrize("rates", [(14.0, 7.0), (14.0, 3.0), (4.0, 8.0), (8.0, 2.0, 8.0)])
def test_a_change_of_the_rate_leaves_no_gap_and_passes_no_rate(rates: tuple[float, ...]) -> None:
    ceiling, sent = Ceiling(rates[0]), list[tuple[float, int]]()
    for tick in range(100 * len(rates)):
        now, kbps = tick / 4, rates[tick // 100]
        ceiling.set_rate(kbps)
        size = int(0.95 * kbps * 125 / 4)
        if ceiling.take([(size, now)], now):
            ceiling.left(size, now)
            sent.append((now, size))
    assert max(b - a for (a, _), (b, _) in pairwise(sent)) <= 1.0
    for start, _ in sent:
        assert sum(size for at, size in sent if start <= at < start + 10) <= max(rates) * 1250


def held(now: list[float], kbps: float, part: float = 0.5) -> tuple[HeldRate, Ceiling]:
    """A rate control of units of 1 s, whose clock is `now[0]`."""
    ceiling = Ceiling(kbps)
    return HeldRate(
        kbps, 1.0, 57, 1171, part=lambda kbps: part, ceiling=ceiling, spread=0.75, clock=lambda: now[0]
    ), ceiling


def test_pictures_have_their_part_and_what_maps_leave() -> None:
    now = [0.0]
    rate, _ = held(now, 8.0)
    assert rate.budget().wire_bytes == HEADROOM * 500
    rate.charge(-200)
    for _ in range(6):
        now[0] += 1.0
        wire = rate.budget().wire_bytes
        rate.admit([int(wire)])
        rate.spent(int(wire))
        rate.charge(-200)
    assert abs(rate.budget().wire_bytes - HEADROOM * 500 - 200) < 30


def test_a_unit_that_would_pass_the_ceiling_is_left_out() -> None:
    now = [0.0]
    rate, ceiling = held(now, 2.0)
    sent: list[tuple[float, int]] = []
    for _ in range(60):
        rate.budget()
        count = rate.admit([300])  # more than there is
        rate.spent(300 * count)
        sent += [(now[0], 300)] * count
        now[0] += 1.0
    assert 0 < len(sent) < 60
    for start, _ in sent:
        assert sum(size for at, size in sent if start <= at < start + 10) <= 2500
    assert max(b - a for (a, _), (b, _) in pairwise(sent)) <= 3.0
    assert ceiling.room(now[0] + 20) == 2400


def test_what_one_thread_may_spend_another_cannot_take() -> None:
    """Contours ask first and are charged after they were coded."""
    now = [100.0]
    rate, ceiling = held(now, 2.0)
    share = ContourShare(lambda kbps: 0.5, 10.0, 2.0, ceiling, 1.0)
    free = ceiling.room(now[0])
    ceiling.add(int(free) - 400, now[0])
    budget = share.budget(10, 1171, now[0])
    assert budget is not None
    assert rate.budget().wire_bytes < 200 and rate.admit([300]) == 0
    share.spent(100, now[0])
    promised = free - ceiling.room(now[0])
    assert free - 400 + 100 - 1 <= promised <= free
    now[0] += 1.0
    share.budget(10, 1171, now[0])
    share.unspent()
    assert free - ceiling.room(now[0]) == promised


def test_pictures_are_checked_and_charged_at_once() -> None:
    """Whatever another thread does between the two."""
    ceiling = Ceiling(2.0)
    free = int(ceiling.room(0.0))
    packets = [(300, 0.1 * number) for number in range(100)]
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(ceiling.take([one], 0.0) for one in packets))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == free // 300


def test_of_packets_the_first_that_fit_are_taken() -> None:
    ceiling = Ceiling(2.0)
    free = int(ceiling.room(0.0))
    assert ceiling.take([(free - 100, 0.0), (90, 1.0), (20, 2.0), (1, 3.0)], 0.0) == 2
    assert ceiling.room(0.0) == 10.0
