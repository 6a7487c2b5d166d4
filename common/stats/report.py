"""What is shown of a daemon: rows in sections, trends over a minute, stages; as plain text and as JSON.  Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from common.stats.scrape import Scrape, quantile, rate
from common.stats.values import NONE, count, written

Mood = Literal["good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Span:
    """The readings that a report is made from."""

    now: Scrape
    before: Scrape
    """The one before: for rates."""
    past: Scrape
    """Some ten seconds ago: for quantiles, which need many values."""
    prefix: str

    def get(self, name: str, **labels: str) -> float:
        """A figure of now, named without the daemon's prefix."""
        return self.now.get(self.prefix + name, **labels)

    def bits(self, name: str) -> float:
        """A figure in bytes a second, in bit/s."""
        return 8 * self.get(name)

    def rate(self, name: str, **labels: str) -> float:
        """How much a counter has grown a second since the reading before."""
        return rate(self.now, self.before, self.prefix + name, **labels)

    def quantile(self, share: float, name: str, recent: bool = False, **labels: str) -> float:
        """Of a histogram over the last ten seconds, or (`recent`) since the reading before."""
        since = self.before if recent else self.past
        return quantile(share, self.now, since, self.prefix + name, **labels)

    def which(self, name: str, label: str) -> str:
        return self.now.which(self.prefix + name, label) or NONE

    def counts(self, name: str, label: str) -> str:
        """Counts by the value of a label, the largest first, those of 0 left out."""
        found = sorted(self.now.by(self.prefix + name, label).items(), key=lambda item: -item[1])
        return ", ".join(f"{value} {count(number)}" for value, number in found if number > 0) or "0"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.  `key` names it for machines, with the unit of `value`."""

    key: str
    label: str
    value: float | str
    unit: str = ""
    detail: bool = False
    """Left out where there is little room."""
    optional: bool = False
    """Left out while it is not known."""

    @property
    def hidden(self) -> bool:
        return self.optional and self.text == NONE

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else written(self.value, self.unit)


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure that is drawn over the last minute."""

    key: str
    label: str
    value: float
    unit: str
    top: float | None = None
    """The value of a full bar; None: the largest of the minute."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What one access unit or frame takes, seconds."""

    name: str
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    state: str
    mood: Mood
    uptime: float
    trends: tuple[Trend, ...]
    sections: tuple[Section, ...]
    stages: tuple[Stage, ...]


Describe = Callable[[Span], Report]


@dataclass(frozen=True, slots=True)
class Daemon:
    """What is known of one kind of daemon."""

    name: str
    prefix: str
    describe: Describe


def stages(span: Span, name: str = "stage_seconds") -> tuple[Stage, ...]:
    """Every stage that the daemon times, in the order of their work as far as their names tell."""
    order = ("capture", "encode", "collect", "parse", "recover", "decode", "unit", "ready")
    names = {
        value
        for (other, labels) in span.now.samples
        if other == f"{span.prefix}{name}_count"
        for key, value in labels
        if key == "stage"
    }
    rank = {stage: place for place, stage in enumerate(order)}
    return tuple(
        Stage(stage, span.quantile(0.5, name, stage=stage), span.quantile(0.95, name, stage=stage))
        for stage in sorted(names, key=lambda stage: (rank.get(stage, len(order)), stage))
    )


def process(span: Span) -> Section:
    """What every process tells of itself."""
    now = span.now
    return Section(
        "process",
        (
            Row("cpu_ratio", "CPU", rate(now, span.before, "process_cpu_seconds_total"), "share"),
            Row("resident_bytes", "memory", now.get("process_resident_memory_bytes"), "bytes"),
            Row("uptime_seconds", "up", uptime(now), "span"),
            Row("open_files", "open files", now.get("process_open_fds"), detail=True),
        ),
    )


def uptime(scrape: Scrape) -> float:
    """Seconds since the daemon's start; right if its host's clock is in step with ours."""
    return max(scrape.wall - scrape.get("process_start_time_seconds"), 0.0)


def as_text(report: Report, daemon: str, address: str) -> str:
    """The report in lines of plain text."""
    lines = [f"{daemon} {address}: {report.state}", ""]
    width = max(len(row.label) for section in report.sections for row in section.rows)
    for section in report.sections:
        lines.append(section.title)
        lines += [f"  {row.label:<{width}}  {row.text}" for row in section.rows if not row.hidden]
    if report.stages:
        lines.append(f"stages{'':<{width - 2}}p50, p95")
        lines += [
            f"  {stage.name:<{width}}  {written(stage.p50, 's')}, {written(stage.p95, 's')}"
            for stage in report.stages
        ]
    return "\n".join(lines) + "\n"


def as_json(report: Report, daemon: str, address: str, interval: float) -> str:
    """The report as one JSON object; what is not known is null."""
    figures: dict[str, object] = {trend.key: _known(trend.value) for trend in report.trends}
    figures |= {row.key: _known(row.value) for section in report.sections for row in section.rows}
    parts: Mapping[str, object] = {
        "daemon": daemon,
        "address": address,
        "state": report.state,
        "interval_seconds": round(interval, 3),
        "figures": figures,
        "stages": {
            stage.name: {"p50_seconds": _known(stage.p50), "p95_seconds": _known(stage.p95)}
            for stage in report.stages
        },
    }
    return json.dumps(parts) + "\n"


def _known(value: float | str) -> float | str | None:
    return value if isinstance(value, str) or math.isfinite(value) else None
