"""The links of the benchmark: their long-run loss, their bursts, their repeatability, and what is late."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.bench.contestant import Queue, late_units, serialisation_seconds
from tests.bench.erasures import KINDS, Kind, LossyLink, TwoWay, evenly, seed_of, weather

FPS, KBPS, DELAY_MS = 15.0, 60.0, 500.0
SHARE = 2000  # bytes of four frames at 60 kbit/s


def link(kind: Kind, loss: float, seed: int = 2) -> LossyLink:
    return LossyLink(weather(kind, loss, seed), Queue(FPS, KBPS, DELAY_MS))


def fates(kind: Kind, loss: float, seed: int = 2, units: int = 3000, packets: int = 10) -> list[bool]:
    path, sizes = link(kind, loss, seed), evenly(SHARE, packets)
    return [bool(x) for unit in range(units) for x in path.send(unit, sizes)]


def runs(fate: list[bool], of: bool) -> list[int]:
    return [len(list(group)) for value, group in itertools.groupby(fate) if value is of]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_long_run_loss_is_the_one_asked_for(kind: Kind, loss: float) -> None:
    lost = 1 - float(np.mean(fates(kind, loss)))
    assert lost == pytest.approx(loss, abs=0.05 if kind == "outage" else 0.02)
    if loss in (0.0, 1.0):
        assert lost == loss


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_repeats_and_another_differs(kind: Kind) -> None:
    assert fates(kind, 0.5, 4, 50) == fates(kind, 0.5, 4, 50)
    assert fates(kind, 0.5, 4, 50) != fates(kind, 0.5, 6, 50)


@pytest.mark.parametrize(("loss", "burst"), [(0.1, 5.0), (0.5, 5.0), (0.8, 5.0), (0.9, 9.0)])
def test_bursts_have_their_mean_length(loss: float, burst: float) -> None:
    assert np.mean(runs(fates("gilbert", loss), False)) == pytest.approx(burst, rel=0.1)


def test_outages_last_a_second_whatever_is_sent() -> None:
    per_second = 10 / (4 / FPS)
    lengths = runs(fates("outage", 0.3, units=20000), False)
    assert np.mean(lengths) / per_second == pytest.approx(1.0, rel=0.1)
    # dead at the same times for packets of another size
    few, many = fates("outage", 0.5, units=200, packets=2), fates("outage", 0.5, units=200, packets=20)
    whole = [i for i in range(200) if len(set(many[20 * i : 20 * i + 20])) == 1]
    assert len(whole) > 50
    assert all(few[2 * i + 1] == many[20 * i + 19] for i in whole)


def test_independent_losses_do_not_depend_on_sizes() -> None:
    small, large = link("iid", 0.5), link("iid", 0.5)
    for unit in range(20):
        assert (small.send(unit, [10] * 9) == large.send(unit, [200] * 9)).all()


def test_clips_losses_and_seeds_have_accidents_of_their_own() -> None:
    every = {seed_of(s, x, c) for s in range(3) for x in (0.1, 0.5) for c in ("a", "b")}
    assert len(every) == 12
    assert seed_of(0, 0.0, "a") == seed_of(0, 0, "a")


def test_the_delay_leaves_the_wire_what_the_pictures_of_a_unit_do_not_take() -> None:
    assert serialisation_seconds(500, 15) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="before the 4 pictures"):
        serialisation_seconds(200, 15)


def test_a_steady_stream_is_in_time_and_a_large_unit_is_late() -> None:
    assert late_units([SHARE] * 20, FPS, KBPS, DELAY_MS) == [False] * 20
    # 0.3 s at 60 kbit/s and 3 % hold 2317 bytes; a late unit is not sent, so the next are in time
    assert late_units([2300, SHARE, 2400, SHARE], FPS, KBPS, DELAY_MS) == [False, False, True, False]
    # each in time alone, but not one behind the other
    assert late_units([2300, 2300], FPS, KBPS, DELAY_MS) == [False, True]


def test_a_late_unit_is_lost_and_counted() -> None:
    path = link("iid", 0.0)
    assert not path.send(0, [1200] * 3).any()
    assert path.send(1, [1000] * 2).all()
    assert path.late == 1
    with pytest.raises(ValueError, match="unit 1 comes after unit 1"):
        path.send(1, [1])


def test_reports_are_lost_by_themselves_but_in_the_same_outages() -> None:
    def both(kind: Kind) -> tuple[list[bool], list[bool]]:
        path = TwoWay(link(kind, 0.5), weather(kind, 0.5, 2, back=True), SHARE, 0.0)
        ways = [(bool(path(unit, 2)[-1]), path.report(unit)) for unit in range(500)]
        return [a for a, _ in ways], [b for _, b in ways]

    forth, back = both("outage")
    assert forth == back
    forth, back = both("iid")
    assert np.mean(back) == pytest.approx(0.5, abs=0.07)
    assert np.mean([a == b for a, b in zip(forth, back, strict=True)]) == pytest.approx(0.5, abs=0.07)


def test_even_parts_add_up() -> None:
    assert evenly(10, 4) == [2, 3, 2, 3]
    assert sum(evenly(1999, 7)) == 1999
    assert evenly(0, 0) == []


def test_a_loss_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        weather("iid", 1.5, 0)
