"""The sliding window behind the live figures."""

from __future__ import annotations

import math

import pytest

from receiver.figures import BUCKET_S, WINDOW_S, Figures


def test_rates_and_shares_follow_the_last_two_seconds() -> None:
    figures = Figures()
    for i in range(100):
        figures.add(i * 0.1, bytes=100, sent=2, lost=1 if i < 50 else 0)
    now = 9.99
    assert figures.rate("bytes", now) == pytest.approx(1000, rel=0.06)
    assert figures.share("lost", "sent", now) == 0.0
    assert figures.share("lost", "sent", 5.0) == 0.0
    assert figures.total("bytes", 60.0) == 0.0


def test_the_start_counts_only_the_time_that_passed() -> None:
    figures = Figures()
    assert figures.rate("bytes", 0.0) == 0.0
    for i in range(5):
        figures.add(i * 0.1, bytes=100)
    assert figures.rate("bytes", 0.5) == pytest.approx(1000)
    assert figures.share("lost", "sent", 0.5) == 0.0
    assert math.isnan(figures.share("lost", "sent", 0.5, math.nan))


def test_memory_is_bounded() -> None:
    figures = Figures()
    for i in range(10_000):
        figures.add(i * 0.01, pictures=1)
    assert len(figures._buckets) <= WINDOW_S / BUCKET_S + 2
