"""The ceiling over ten seconds, and the rate control that keeps under it."""

from __future__ import annotations

from itertools import pairwise

from sender.ceiling import HEADROOM, Ceiling
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
    assert ceiling.room(10.0) < 500.0
    ceiling.reserve = 600
    assert ceiling.room(10.0) == 0.0


def held(now: list[float], kbps: float, part: float = 0.5) -> tuple[HeldRate, Ceiling]:
    """A rate control of units of 1 s, whose clock is `now[0]`."""
    ceiling = Ceiling(kbps)
    return HeldRate(
        kbps, 1.0, 57, 1171, part=part, ceiling=ceiling, spread=0.75, clock=lambda: now[0]
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
