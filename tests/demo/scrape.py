"""Reads a daemon's /metrics, as Prometheus does, and takes quantiles from its histograms."""

from __future__ import annotations

import math
import re
import urllib.request
from collections.abc import Mapping

Sample = tuple[str, frozenset[tuple[str, str]]]
_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Figures:
    """One scrape. Unknown names read as nan, so that a display can go on."""

    def __init__(self, samples: Mapping[Sample, float] | None = None) -> None:
        self.samples = dict(samples or {})

    @classmethod
    def parse(cls, text: str) -> Figures:
        """From the Prometheus text format."""
        samples: dict[Sample, float] = {}
        for line in text.splitlines():
            found = _LINE.match(line)
            if found:
                name, labels, value = found.groups()
                samples[name, frozenset(_LABEL.findall(labels or ""))] = float(value)
        return cls(samples)

    @classmethod
    def fetch(cls, port: int, timeout: float = 1.0) -> Figures:
        """Of the daemon at this port of 127.0.0.1; empty when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
                return cls.parse(answer.read().decode())
        except OSError:
            return cls()

    def get(self, name: str, **labels: str) -> float:
        """One figure; without labels the sum over all of them."""
        if labels:
            return self.samples.get((name, frozenset(labels.items())), math.nan)
        values = [value for (other, _), value in self.samples.items() if other == name]
        return sum(values) if values else math.nan

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """Cumulative counts of a histogram by upper bound."""
        wanted = set(labels.items())
        counts: dict[float, float] = {}
        for (other, pairs), value in self.samples.items():
            if other == name + "_bucket" and wanted <= pairs:
                bound = float(dict(pairs)["le"])
                counts[bound] = counts.get(bound, 0.0) + value
        return counts

    def label_values(self, name: str, label: str) -> set[str]:
        """The values that a label of a histogram takes."""
        return {dict(pairs).get(label, "") for other, pairs in self.samples if other == name + "_bucket"}


def quantile(share: float, after: Mapping[float, float], before: Mapping[float, float]) -> float:
    """The quantile of what a histogram counted between two scrapes, linear inside a bucket; nan if nothing."""
    counts = sorted((bound, count - before.get(bound, 0.0)) for bound, count in after.items())
    if not counts or counts[-1][1] <= 0:
        return math.nan
    wanted = share * counts[-1][1]
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (wanted - below) / max(count - below, 1e-9)
        low, below = bound, count
    return low


def stages_ms(after: Figures, before: Figures, name: str, stages: set[str]) -> dict[str, float]:
    """p50 and p95 in ms of the stages together: the sum of each stage's quantile (p95: an upper bound)."""
    result = {}
    for label, share in (("p50", 0.50), ("p95", 0.95)):
        values = [
            quantile(share, after.buckets(name, stage=stage), before.buckets(name, stage=stage))
            for stage in after.label_values(name, "stage") & stages
        ]
        known = [value for value in values if not math.isnan(value)]
        result[label] = round(1e3 * sum(known), 1) if known else math.nan
    return result
