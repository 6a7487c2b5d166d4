from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tests.demo.scrape import Figures, quantile, stages_ms


def scraped(observed: dict[str, list[float]]) -> Figures:
    registry = CollectorRegistry()
    histogram = Histogram("stage_seconds", "help", ["stage"], buckets=(0.01, 0.02, 0.04), registry=registry)
    for stage, values in observed.items():
        for value in values:
            histogram.labels(stage).observe(value)
    dropped = Counter("dropped_total", "help", ["reason"], registry=registry)
    dropped.labels('a "quoted" one').inc(3)
    dropped.labels("late").inc(4)
    Gauge("delay_seconds", "help", registry=registry).set(0.25)
    return Figures.parse(generate_latest(registry).decode())


def test_figures_by_name_and_label() -> None:
    figures = scraped({})
    assert figures.get("delay_seconds") == 0.25
    assert figures.get("dropped_total") == 7
    assert figures.get("dropped_total", reason="late") == 4
    assert math.isnan(figures.get("unknown"))
    assert math.isnan(figures.get("dropped_total", reason="unknown"))


def test_quantiles_between_two_scrapes() -> None:
    before = scraped({"encode": [0.039] * 50})
    after = scraped({"encode": [0.039] * 50 + [0.015] * 10})
    name = "stage_seconds"
    found = quantile(0.5, after.buckets(name, stage="encode"), before.buckets(name, stage="encode"))
    assert found == pytest.approx(0.015)
    assert math.isnan(quantile(0.5, before.buckets(name), before.buckets(name)))
    assert math.isnan(quantile(0.5, {}, {}))


def test_beyond_the_last_bucket_its_bound_is_told() -> None:
    figures = scraped({"encode": [9.0]})
    assert quantile(0.5, figures.buckets("stage_seconds"), {}) == 0.04


def test_stages_add_up() -> None:
    after = scraped({"encode": [0.015] * 10, "entropy": [0.005] * 10, "capture": [0.03] * 10})
    result = stages_ms(after, Figures(), "stage_seconds", {"encode", "entropy"})
    assert result["p50"] == pytest.approx(15.0 + 5.0)


def test_nobody_answers() -> None:
    assert Figures.fetch(1, timeout=0.2).samples == {}
