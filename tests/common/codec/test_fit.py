"""The search for the level that fills a packet: never over its share where there is a way, in few runs of the coder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec import av1
from common.codec.fit import BOLD, MOST_TRIALS, POOR, TRIALS, Fit, Fitted
from common.codec.hevc import group
from common.video import Picture
from tests.common.codec.scene import HEIGHT, WIDTH, noise_pictures, picture, sized_pictures, unit_pictures

FAST = av1.PRESETS[-1]
Sizes = Callable[[float], float]


class Coder:
    """Stands for av1.encode: so many bytes at a level. Counts its runs."""

    def __init__(self, sizes: Sizes) -> None:
        self.levels: list[float] = []
        self._sizes = sizes

    def __call__(self, level: float) -> bytes:
        assert av1.FINEST <= level <= av1.COARSEST
        self.levels.append(level)
        return bytes(max(1, round(self._sizes(level))))


def exponential(at_50: float) -> Sizes:
    return lambda level: at_50 * 2 ** ((50 - level) / av1.HALVING)


def search(sizes: Sizes, share: float, most: int, level: float) -> tuple[Fitted | None, list[float]]:
    """What is found, and the levels that were tried."""
    coder = Coder(sizes)
    return Fit(coder, av1.LEVELS).search(share, most, level), coder.levels


def real(pictures: Sequence[Picture]) -> Fit:
    return Fit(lambda level: av1.encode(pictures, level, FAST), av1.LEVELS)


@settings(max_examples=200, deadline=None)
@given(st.floats(200, 4000), st.floats(100, 3000), st.floats(av1.FINEST, av1.COARSEST))
def test_the_share_is_kept_and_filled(at_50: float, share: float, level: float) -> None:
    """With bytes that fall as they are taken to: two runs fill it, wherever the search begins."""
    sizes = exponential(at_50)
    fitted, tried = search(sizes, share, 5000, level)
    assert fitted is not None
    assert len(tried) <= TRIALS + 1
    if sizes(av1.COARSEST) < 0.9 * share and sizes(av1.FINEST) > share:
        assert 0.8 * share <= len(fitted.data) <= share


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(0.2, 2.0), min_size=8, max_size=8),
    st.floats(100, 3000),
    st.floats(1.0, 3.0),
    st.floats(av1.FINEST, av1.COARSEST),
)
def test_uneven_bytes_are_searched_as_well(
    slopes: list[float], share: float, more: float, level: float
) -> None:
    """Falls that are a fifth to twice as steep as usual. What is found is what was coded, and the best of it."""
    steps = np.concatenate(([0], np.cumsum(slopes)))
    sizes: Sizes = lambda at: 20_000 * 2 ** -float(np.interp(at, np.linspace(2, 79, 9), steps))  # noqa: E731
    most = int(share * more)
    fitted, tried = search(sizes, share, most, level)
    assert len(tried) <= MOST_TRIALS
    coded = [max(1, round(sizes(one))) for one in tried]
    fitting = [size for size in coded if size <= share]
    if fitted is None:
        assert min(coded) > most
        return
    assert fitted.level in tried
    assert len(fitted.data) == (max(fitting) if fitting else min(coded))
    assert len(fitted.data) <= max(share, most)


def test_bytes_that_rise_suddenly_do_not_leave_it_empty() -> None:
    """Of a still picture that is predicted from a good one next to nothing is to be sent, until it is to get better."""
    sizes: Sizes = lambda level: 200 + max(0.0, 23.5 - level) * 250  # noqa: E731
    for begin in (23.7, 30.0, 40.0):
        coder = Coder(sizes)
        fitted = Fit(coder, group.LEVELS).search(974, 1100, begin)
        assert fitted is not None and POOR * 974 <= len(fitted.data) <= 974
        assert len(coder.levels) <= MOST_TRIALS


def test_what_is_good_at_once_is_coded_once() -> None:
    fitted, tried = search(exponential(950), 1000, 1000, 50.0)
    assert tried == [50.0]
    assert fitted is not None
    assert (len(fitted.data), fitted.level) == (950, 50.0)


def test_the_finest_level_is_enough() -> None:
    """A still grey picture never fills its share."""
    fitted, tried = search(lambda level: 150, 1000, 1000, av1.FINEST)
    assert tried == [av1.FINEST]
    assert fitted is not None


def test_over_its_share_is_better_than_nothing_but_not_over_the_most() -> None:
    """`most` is what fits into packets at all."""
    fitted, tried = search(lambda level: 500, 300, 600, 50.0)
    assert fitted is not None
    assert len(fitted.data) == 500
    assert len(tried) <= MOST_TRIALS
    assert search(lambda level: 700, 300, 600, 50.0)[0] is None


def test_no_more_runs_than_allowed_when_nothing_helps() -> None:
    fitted, tried = search(lambda level: 10_000 - level, 300, 600, 10.0)
    assert fitted is None
    assert tried[-1] == av1.COARSEST or len(tried) == MOST_TRIALS


def test_the_level_for_another_share_is_foretold() -> None:
    """Where the next unit begins."""
    fit = Fit(Coder(exponential(950)), av1.LEVELS)
    fit.search(1000, 1000, 50.0)
    assert 38 < fit.expected(2000) < 44
    assert 56 < fit.expected(500) < 62
    assert fit.expected(1e9) == 50 - BOLD * av1.HALVING
    assert fit.expected(1.0) == av1.COARSEST


@pytest.mark.parametrize("share", [0.0, -5.0])
def test_no_share_at_all_gives_the_smallest(share: float) -> None:
    """It happens to the second view of a unit, when the first has taken more than its own."""
    fitted, _ = search(exponential(300), share, 600, 50.0)
    assert fitted is not None
    assert len(fitted.data) < 100


@pytest.mark.parametrize("share", [250.0, 500.0, 1200.0])
@pytest.mark.parametrize("pictures", [unit_pictures(0), noise_pictures(), sized_pictures(352, 288)], ids=len)
def test_the_real_coder_keeps_its_share(share: float, pictures: list[Picture]) -> None:
    for level in (20.0, 50.0, 70.0):
        fitted = real(pictures).search(share, 2000, level)
        assert fitted is not None
        assert fitted.data == av1.encode(pictures, fitted.level, FAST)
        assert len(fitted.data) <= share or len(fitted.data) == len(av1.encode(pictures, av1.COARSEST, FAST))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Levels of the real coder's runs. A run is what encoding costs."""
    levels: list[float] = []
    encode = av1.encode

    def counted(pictures: Sequence[Picture], level: float, preset: int) -> bytes:
        levels.append(level)
        return encode(pictures, level, preset)

    monkeypatch.setattr(av1, "encode", counted)
    return levels


@pytest.mark.parametrize(
    ("size", "share", "most_runs"), [((WIDTH, HEIGHT), 500, 2.7), ((352, 288), 1000, 1.8)]
)
def test_the_next_units_of_a_scene_take_few_runs(
    runs: list[float], size: tuple[int, int], share: float, most_runs: float
) -> None:
    """Each begins where the last one ended."""
    level, filled = 50.0, []
    for unit in range(12):
        pictures = [picture(4 * unit + i, *size) for i in range(4)]
        fitted = real(pictures).search(share, 1165, level)
        assert fitted is not None
        level = fitted.level
        filled.append(len(fitted.data) / share)
    assert len(runs) <= most_runs * 12
    assert np.mean(filled[1:]) > 0.85


def test_what_cannot_fit_costs_few_runs_as_well(runs: list[float]) -> None:
    """A large picture at a low rate is the most expensive one already."""
    fitted = real(sized_pictures(352, 288)).search(300, 1165, 66.0)
    assert fitted is not None
    assert len(fitted.data) > 300
    assert len(runs) <= 2
