"""A daemon's figures over HTTP, and what its stages take."""

from __future__ import annotations

import math

from common.stats.fetch import fetch
from common.stats.scrape import Scrape, StatsError, quantile
from common.values import Address


def figures(port: int) -> Scrape:
    """Of the daemon at this port of 127.0.0.1; empty when it does not answer, so that a display can go on."""
    try:
        return fetch(Address("127.0.0.1", port))
    except (OSError, StatsError):
        return Scrape(math.nan)


def stages_ms(after: Scrape, before: Scrape, name: str, stages: set[str]) -> dict[str, float]:
    """p50 and p95 in ms of the stages together: the sum of each stage's quantile (p95: an upper bound)."""
    result = {}
    for label, share in (("p50", 0.50), ("p95", 0.95)):
        values = [quantile(share, after, before, name, stage=stage) for stage in stages]
        known = [value for value in values if not math.isnan(value)]
        result[label] = round(1e3 * sum(known), 1) if known else math.nan
    return result
