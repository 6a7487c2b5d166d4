"""RFC 6298, by hand."""

from __future__ import annotations

import pytest

from proto.rtt import INITIAL_RTO, MAX_RTO, MIN_RTO, RttEstimator


def test_the_first_samples_by_hand() -> None:
    rtt = RttEstimator()
    assert rtt.rto == INITIAL_RTO
    rtt.sample(0.1)
    assert rtt.smoothed == 0.1
    assert rtt.rto == pytest.approx(0.1 + 4 * 0.05)
    rtt.sample(0.2)  # variation 3/4 * 0.05 + 1/4 * 0.1, mean 7/8 * 0.1 + 1/8 * 0.2
    assert rtt.smoothed == pytest.approx(0.1125)
    assert rtt.rto == pytest.approx(0.1125 + 4 * 0.0625)


def test_the_interval_is_bounded() -> None:
    slow, fast = RttEstimator(), RttEstimator()
    slow.sample(20.0)
    for _ in range(100):
        fast.sample(0.0)
    assert (slow.rto, fast.rto) == (MAX_RTO, MIN_RTO)


def test_steady_samples_bring_the_interval_down_to_them() -> None:
    rtt = RttEstimator()
    for _ in range(100):
        rtt.sample(0.3)
    assert rtt.rto == pytest.approx(0.301)
