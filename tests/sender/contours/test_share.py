"""What contours may spend, beside pictures under one ceiling."""

from __future__ import annotations

import pytest

from sender.ceiling import HEADROOM, SECONDS, Ceiling
from sender.contours.settings import ContoursSection
from sender.contours.share import ContourShare
from sender.rate_held import HeldRate

OVERHEAD, STEP = 57, 0.1


def test_contours_get_their_share_but_no_more_than_helps() -> None:
    contours = ContoursSection()
    given = [kbps * contours.part(kbps, 0.0) for kbps in (1.0, 2.0, 7.0, 14.0)]
    assert given == pytest.approx([0.4, 0.6, 1.22, 1.64])
    lossy = [kbps * contours.part(kbps, 0.4) for kbps in (2.0, 7.0, 14.0)]
    assert lossy == pytest.approx([1.0, 3.5, 3 * 1.64])
    assert ContoursSection(most_kbps=3.0).part(20.0, 0.0) == pytest.approx(3.9 / 20)
    assert ContoursSection(share=0.8, most_kbps=20.0).part(7.0, 0.0) == pytest.approx(0.48)
    assert ContoursSection(share=0.2).part(2.0, 0.3) == 0.2


def test_at_low_rates_maps_are_half_as_many() -> None:
    contours = ContoursSection()
    assert [contours.every(10.0, kbps) for kbps in (2.0, 3.9, 4.0, 60.0)] == [2, 2, 1, 1]
    assert [contours.every(fps, 2.0) for fps in (2.5, 15.0, 30.0)] == [1, 3, 6]
    assert ContoursSection(fps=1.0).every(10.0, 2.0) == 10  # seldom enough
    assert contours.every(15.0, 7.0) == 2


def test_the_most_holds_also_for_a_rate_that_is_changed_later() -> None:
    def part(kbps: float) -> float:
        return ContoursSection().part(kbps, 0.0)

    def given(kbps: float, target: float) -> tuple[float, float]:
        """Wire bytes in 100 s of contours, which use none of it, and of a unit of pictures."""
        ceiling = Ceiling(kbps)
        share = ContourShare(part, 10.0, kbps, ceiling, 1.0)
        rate = HeldRate(
            kbps, 1.0, OVERHEAD, 1400, part=lambda kbps: 1 - part(kbps), ceiling=ceiling, spread=0.75
        )
        for one in (share, rate):
            one.set_target(target)
        share.surplus(0.0)
        return share.surplus(100.0), rate.share

    maps, pictures = given(7.0, 60.0)
    assert pictures == pytest.approx(HEADROOM * (60 - 1.7) * 125)
    assert maps <= HEADROOM * 1.7 * 125 * 100
    assert given(60.0, 7.0)[1] == given(7.0, 7.0)[1] == pytest.approx(HEADROOM * (7 - 1.22) * 125)


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize(("kbps", "unit_s"), [(2.0, 2.0), (7.0, 1.2), (14.0, 0.8)])
def test_a_unit_of_pictures_is_never_left_out_and_the_ceiling_holds(
    kbps: float, unit_s: float, loss: float
) -> None:
    """Contours that take all they may, from the start on; pictures likewise."""
    now, ceiling = 0.0, Ceiling(kbps)
    ceiling.loss = loss

    def part(kbps: float) -> float:
        return ContoursSection().part(kbps, ceiling.loss)

    share = ContourShare(part, 10.0, kbps, ceiling, unit_s)
    share.believe(loss)
    rate = HeldRate(
        kbps,
        unit_s,
        OVERHEAD,
        1400,
        part=lambda kbps: 1 - part(kbps),
        ceiling=ceiling,
        spread=0.75,
        clock=lambda: now,
    )
    sent, maps, pictures = list[tuple[float, int]](), list[bool](), list[int]()
    next_map = next_picture = 0.0
    for tick in range(900):
        now = tick * STEP
        if now >= next_map:
            next_map = now + share.maps / 10.0
            budget = share.budget(share.maps, 1400, now)
            maps.append(budget is not None)
            if budget is not None:
                share.spent(int(budget.wire_bytes), now)
                parity = round(int(budget.wire_bytes) * share.overhead)
                share.parity(parity)
                sent += [(now, int(budget.wire_bytes)), (now + share.plan.spread_s, parity)]
        if now >= next_picture:
            next_picture = now + unit_s
            rate.charge(-share.surplus(now))
            size = int(rate.budget().wire_bytes)
            admitted = rate.admit([size])
            rate.spent(size * admitted)
            pictures.append(size * admitted)
            sent.append((now, size * admitted))
    assert min(pictures) > OVERHEAD + 30
    assert sum(maps) > 0.8 * len(maps)
    for begin in range(80):
        within = sum(size for at, size in sent if begin <= at < begin + SECONDS)
        assert within <= 1.02 * kbps * 125 * SECONDS
    assert sum(size for _, size in sent) > 0.85 * kbps * 125 * 90


def test_what_is_lent_at_the_start_is_paid_back() -> None:
    share = ContourShare(lambda kbps: 0.5, 10.0, 8.0, Ceiling(8.0), 1.0)
    spent, now = 0.0, 0.0
    while now < SECONDS:
        budget = share.budget(share.maps, 10_000, now)
        if budget is not None:
            share.spent(int(budget.wire_bytes), now)
            parity = round(int(budget.wire_bytes) * share.overhead)
            share.parity(parity)
            spent += budget.wire_bytes + parity
        if now < 1.0:
            begun = spent
        now += share.maps / 10.0
    assert begun > 1.5 * 0.5 * 8 * 125
    assert spent <= 0.5 * 8 * 125 * SECONDS


def test_the_start_has_more_parity_however_late_it_is() -> None:
    share = ContourShare(lambda kbps: 0.5, 10.0, 7.0, Ceiling(7.0), 1.0)
    usual = share.plan.overhead
    share.surplus(0.0)
    share.surplus(30.0)
    assert share.overhead > usual
    share.budget(8, 1171, 30.0)
    assert share.overhead > usual
    share.budget(8, 1171, 33.0)
    assert share.overhead == usual
