"""Figures for Prometheus: exported from the plain ints of pure classes at the moment of a scrape.

`Exporter` registers readers in a registry of its own; common.metrics_server answers scrapes from the daemon's event
loop, common.metrics_process adds what every daemon has. A new figure is one call: name, help, reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from common.log import Log

STAGE_BUCKETS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0),
)
"""Seconds of one stage: from the work on a packet to the longest that a unit may wait for its display."""

LATENCY_BUCKETS = (
    *(0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
    *(0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
)
"""Seconds from capture to a later station: finer where targets are."""

Read = Callable[[], float]
ReadBy = Callable[[], Mapping[str, float]]
ReadCounts = Callable[[], tuple[Sequence[int], float]]
"""How many there were up to each limit and not up to the one before, and beyond the last; and the sum of all."""

log = Log("metrics")

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each histogram and label, which nobody asks for


@dataclass(frozen=True, slots=True)
class Described:
    """What a figure is, for the reference."""

    name: str
    kind: str  # counter, gauge or histogram
    help: str
    labels: tuple[str, ...] = ()


class Exporter(Collector):
    """Names, help texts and readers of one daemon's figures. Readers run in the event loop, at each scrape.

    Names come without the prefix, with their unit, and `_total` at the end of a counter's: `packets_total`. Units are
    seconds, bytes, bytes per second, and shares of 1 (`_ratio`). What is not known yet is NaN. The values of a label
    must be few and known beforehand: never an address, a session or anything else that a peer chooses.
    """

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self.registry = registry
        self.catalog: list[Described] = []
        """Every figure, in the order in which they were added."""
        self._prefix = prefix
        self._families: list[tuple[str, Callable[[], Metric]]] = []
        registry.register(self)

    def counter(self, name: str, help: str, read: Read) -> None:
        """A figure that only grows."""
        full = self._describe(name, "counter", help)
        self._families.append((full, lambda: CounterMetricFamily(full, help, value=read())))

    def counter_by(self, name: str, help: str, label: str, read: ReadBy) -> None:
        """Figures that only grow, one for each value of a label."""
        full = self._describe(name, "counter", help, label)

        def family() -> Metric:
            result = CounterMetricFamily(full, help, labels=[label])
            for value, number in dict(read()).items():
                result.add_metric([value], number)
            return result

        self._families.append((full, family))

    def gauge(self, name: str, help: str, read: Read) -> None:
        """A figure that goes up and down."""
        full = self._describe(name, "gauge", help)
        self._families.append((full, lambda: GaugeMetricFamily(full, help, value=read())))

    def gauge_by(self, name: str, help: str, label: str, read: ReadBy) -> None:
        """Figures that go up and down, one for each value of a label."""
        full = self._describe(name, "gauge", help, label)

        def family() -> Metric:
            result = GaugeMetricFamily(full, help, labels=[label])
            for value, number in dict(read()).items():
                result.add_metric([value], number)
            return result

        self._families.append((full, family))

    def info(self, name: str, help: str, facts: Mapping[str, str]) -> None:
        """A gauge that is always 1; what is told are its labels."""
        full = self._describe(name, "gauge", help, *facts)

        def family() -> Metric:
            result = GaugeMetricFamily(full, help, labels=list(facts))
            result.add_metric(list(facts.values()), 1)
            return result

        self._families.append((full, family))

    def histogram(
        self,
        name: str,
        help: str,
        buckets: Sequence[float] = STAGE_BUCKETS,
        label: str = "",
        values: Sequence[str] = (),
    ) -> Histogram:
        """A distribution; `.observe(seconds)` on the result (after `.labels(...)`), from any thread.

        `values` of the label are there from the start, so that rates over them are right."""
        labels = (label,) if label else ()
        full = self._describe(name, "histogram", help, *labels)
        made = Histogram(full, help, labels, buckets=tuple(buckets), registry=self.registry)
        for value in values:
            made.labels(value)
        return made

    def counts(self, name: str, help: str, limits: Sequence[float], read: ReadCounts) -> None:
        """A distribution that something else has counted: how many were up to each of `limits`, see ReadCounts."""
        full = self._describe(name, "histogram", help)
        bounds = [*(f"{limit:g}" for limit in limits), "+Inf"]

        def family() -> Metric:
            counts, total = read()
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            return HistogramMetricFamily(full, help, buckets=buckets, sum_value=total)

        self._families.append((full, family))

    def describe(self) -> Iterable[Metric]:
        """Nothing: readers may need parts that do not exist yet when the exporter is made."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Called by the registry at a scrape. A reader that fails costs its own figure and a line in the log."""
        for name, family in self._families:
            try:
                metric = family()
            except Exception as error:
                log.exception("a figure cannot be read", error, figure=name)
                continue
            yield metric

    def _describe(self, name: str, kind: str, help: str, *labels: str) -> str:
        full = self._prefix + name
        self.catalog.append(Described(full, kind, help, labels))
        return full
