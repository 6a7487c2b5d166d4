"""The drift estimator against known slopes, and its line against the definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.drift import BUCKET_S, MAX_DRIFT, WINDOW_S, DriftEstimator, envelope_slope

TICK = 0.004


def feed(estimator: DriftEstimator, seconds: float, drift: float, jitter: float, begin: float = 0.0) -> None:
    """Eight packets a second, with timestamps in steps of 4 ms and exponential queueing."""
    rng = random.Random(1)
    for i in range(round(8 * seconds)):
        now = begin + i / 8
        media = round(now * (1 + drift) / TICK) * TICK
        queued = rng.expovariate(1 / jitter) if jitter else 0.0
        estimator.observe(now + queued - media, now + queued)


@pytest.mark.parametrize("drift", [-500e-6, -20e-6, 0.0, 100e-6, 500e-6])
@pytest.mark.parametrize("jitter", [0.0, 0.030])
def test_drift_is_found_below_the_jitter(drift: float, jitter: float) -> None:
    estimator = DriftEstimator()
    feed(estimator, 320, drift, jitter)
    assert estimator.drift == pytest.approx(drift, abs=10e-6)


def test_half_a_minute_gives_a_rough_figure_and_less_gives_none() -> None:
    estimator = DriftEstimator()
    assert estimator.drift is None
    feed(estimator, 25, 300e-6, 0.030)
    assert estimator.drift is None
    feed(estimator, 20, 300e-6, 0.030, begin=25)
    assert estimator.drift == pytest.approx(300e-6, abs=150e-6)


def test_what_no_two_clocks_do_is_not_called_drift() -> None:
    estimator = DriftEstimator()
    feed(estimator, 120, 3 * MAX_DRIFT, 0.0)
    assert estimator.drift is None


def test_a_lowered_drift_is_followed_and_forgetting_starts_afresh() -> None:
    estimator = DriftEstimator()
    for i in range(8 * 700):  # 400 ppm for 300 s, then none
        now = i / 8
        estimator.observe(-400e-6 * min(now, 300.0), now)
    assert estimator.drift == pytest.approx(0.0, abs=1e-6)
    estimator.forget()
    assert estimator.drift is None


def test_memory_is_bounded_at_any_packet_rate() -> None:
    estimator = DriftEstimator()
    for i in range(400_000):
        estimator.observe(0.1, i * 0.002)
    assert len(estimator._points) <= WINDOW_S / BUCKET_S + 2


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(-50, 50)),
        min_size=2,
        max_size=12,
        unique_by=lambda p: p[0],
    )
)
def test_the_line_is_the_best_of_all_that_no_point_is_below(raw: list[tuple[int, int]]) -> None:
    points = sorted((float(t), float(y)) for t, y in raw)

    def gaps(slope: float) -> float:
        level = min(y - slope * t for t, y in points)
        return sum(y - slope * t - level for t, y in points)

    candidates = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :]]
    assert gaps(envelope_slope(points)) == pytest.approx(min(map(gaps, candidates)), abs=1e-6)
