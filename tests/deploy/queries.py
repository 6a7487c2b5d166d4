"""Queries that panels are made of: metrics of the instances selected, rates, quantiles."""

from __future__ import annotations

from tests.deploy.grafana import Query

WHERE = 'job=~"$job", instance=~"$instance"'
OK, BAD, WARN = "green", "red", "orange"


def rx(name: str, labels: str = "") -> str:
    """A metric of the receivers selected."""
    return f"semcast_receiver_{name}{{{WHERE}{', ' if labels else ''}{labels}}}"


def tx(name: str, labels: str = "") -> str:
    """A metric of the senders selected."""
    return f"semcast_sender_{name}{{{WHERE}{', ' if labels else ''}{labels}}}"


def rate(metric: str) -> str:
    """Of a counter, a second."""
    return f"rate({metric}[$__rate_interval])"


def increase(metric: str) -> str:
    """Of a counter, over the resolution shown."""
    return f"increase({metric}[$__rate_interval])"


def quantile(share: float, buckets: str, by: str = "") -> str:
    """Of a histogram, each instance by itself."""
    return f"histogram_quantile({share}, sum by (instance, le{by}) ({rate(buckets)}))"


def spread(buckets: str, name: str = "") -> list[Query]:
    """Median, p95 and p99."""
    return [
        Query(quantile(share, buckets), f"{name}p{round(100 * share)} {{{{instance}}}}")
        for share in (0.5, 0.95, 0.99)
    ]


LOSS = "instance:semcast_receiver_packet_loss:ratio_rate1m{" + WHERE + "}"
RESIDUAL = "instance:semcast_receiver_residual_loss:ratio_rate1m{" + WHERE + "}"
TRUST = "instance_trust:semcast_receiver_shown_regions:ratio_rate1m{" + WHERE
LIVE, LOST = rx("signal_state", 'state="live"'), rx("signal_state", 'state="lost"')
SIGNAL = f"sum by (instance) (2 * {LIVE} or {LOST})"
"""2: live, 1: lost, 0: waiting."""

USUAL = '"late|duplicate|replayed"'
"""Reasons for which a packet is refused on every lossy link."""

TROUBLE = 'level=~"warning|error|critical"'
