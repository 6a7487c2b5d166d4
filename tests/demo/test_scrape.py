from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from common.stats.scrape import Scrape, read_exposition
from tests.demo.scrape import figures, stages_ms


def test_stages_add_up() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("stage_seconds", "help", ["stage"], buckets=(0.01, 0.02, 0.04), registry=registry)
    for stage, seconds in (("encode", 0.015), ("entropy", 0.005), ("capture", 0.03)):
        for _ in range(10):
            histogram.labels(stage).observe(seconds)
    after = read_exposition(generate_latest(registry).decode(), 1.0)
    result = stages_ms(after, Scrape(0.0), "stage_seconds", {"encode", "entropy", "unknown"})
    assert result["p50"] == pytest.approx(15.0 + 5.0)
    assert math.isnan(stages_ms(after, after, "stage_seconds", {"encode"})["p50"])


def test_nobody_answers() -> None:
    assert figures(1).samples == {}
