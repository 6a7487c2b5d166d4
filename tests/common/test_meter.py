from __future__ import annotations

import pytest

from common.meter import RateMeter


def test_nothing_yet() -> None:
    assert RateMeter().rate(5.0) == 0.0


def test_a_steady_flow() -> None:
    meter = RateMeter(4.0)
    for step in range(400):
        meter.add(10, step * 0.05)
    assert meter.rate(20.0) == pytest.approx(200, rel=0.05)


def test_the_beginning_counts_only_the_time_since() -> None:
    meter = RateMeter(4.0)
    for step in range(11):
        meter.add(10, 100 + step * 0.1)
    assert meter.rate(101.0) == pytest.approx(110, rel=0.01)


def test_silence_brings_it_to_zero() -> None:
    meter = RateMeter(4.0)
    meter.add(1000, 0.0)
    assert meter.rate(10.0) == 0.0
