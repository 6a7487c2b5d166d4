"""One reading of a daemon's /metrics, and what two of them tell about the time between.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

MAX_SAMPLES = 20_000
"""A daemon of ours has some hundreds; more is something else, and shall not fill the memory."""

Labels = frozenset[tuple[str, str]]


class StatsError(ValueError):
    """What was read is no exposition of figures."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """All samples of one reading."""

    at: float
    """When it was read, monotonic seconds."""
    samples: Mapping[tuple[str, Labels], float] = field(default_factory=dict)
    wall: float = math.nan
    """The same in seconds since the epoch."""

    def get(self, name: str, **labels: str) -> float:
        """A figure; without labels the sum over all that have the name, nan where there is none."""
        if labels:
            return self.samples.get((name, frozenset(labels.items())), math.nan)
        found = [value for (other, _), value in self.samples.items() if other == name]
        return sum(found) if found else math.nan

    def by(self, name: str, label: str) -> dict[str, float]:
        """The figures of that name by the value of one label."""
        return {
            value: number
            for (other, labels), number in self.samples.items()
            if other == name
            for key, value in labels
            if key == label
        }

    def which(self, name: str, label: str) -> str | None:
        """The value of the label whose figure is 1, where one of several states is in force."""
        return next((value for value, number in self.by(name, label).items() if number == 1.0), None)


def read_exposition(text: str, at: float, wall: float = math.nan) -> Scrape:
    """From Prometheus' text format 0.0.4.  Raises StatsError."""
    samples: dict[tuple[str, Labels], float] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples[sample.name, frozenset(sample.labels.items())] = float(sample.value)
                if len(samples) > MAX_SAMPLES:
                    raise StatsError(f"more than {MAX_SAMPLES} figures")
    except StatsError:
        raise
    except Exception as error:  # the parser documents none: index, key and value errors have been seen
        raise StatsError(f"not in Prometheus' text format ({type(error).__name__})") from None
    return Scrape(at, samples, wall)


def rate(after: Scrape, before: Scrape, name: str, **labels: str) -> float:
    """How much a counter grew a second; nan where it is missing, started anew or no time has passed."""
    grown = after.get(name, **labels) - before.get(name, **labels)
    seconds = after.at - before.at
    return grown / seconds if grown >= 0 and seconds > 0 else math.nan


def quantile(share: float, after: Scrape, before: Scrape | None, name: str, **labels: str) -> float:
    """A quantile of what a histogram counted between two readings (None: since its start), linear inside a bucket.

    nan where nothing was counted; where it lies above the last bucket, the bound of that bucket.
    """
    counts = _buckets(after, name, labels)
    for bound, count in (_buckets(before, name, labels) if before is not None else {}).items():
        counts[bound] = counts.get(bound, 0.0) - count
    rows = sorted(counts.items())
    if not rows or not rows[-1][1] > 0:
        return math.nan
    wanted = share * rows[-1][1]
    low, below = 0.0, 0.0
    for bound, count in rows:
        if count >= wanted:
            if math.isinf(bound):
                break
            return low + (bound - low) * max(0.0, wanted - below) / max(count - below, 1e-9)
        low, below = bound, count
    return low


def _buckets(scrape: Scrape, name: str, labels: Mapping[str, str]) -> dict[float, float]:
    wanted = set(labels.items())
    counts: dict[float, float] = {}
    for (other, pairs), value in scrape.samples.items():
        if other == name + "_bucket" and wanted <= pairs:
            try:
                bound = float(dict(pairs)["le"])
            except (KeyError, ValueError):
                continue
            if not math.isnan(bound) and math.isfinite(value):
                counts[bound] = counts.get(bound, 0.0) + value
    return counts
