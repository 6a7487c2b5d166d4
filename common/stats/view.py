"""The report as a screen of a terminal.  Pure: rich makes it, nobody writes it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from common.stats.report import Report, Section
from common.stats.values import NONE, span, sparkline, written

WIDE, TALL = 110, 34
"""Columns and lines from which everything is shown."""
MOODS = {"good": "bold green", "warning": "bold yellow", "bad": "bold red"}
LABEL, VALUE = "bright_black", "default"


def screen(
    report: Report,
    trends: Mapping[str, Sequence[float]],
    name: str,
    size: tuple[int, int],
    lost: str | None = None,
) -> RenderableType:
    """What fills a terminal of `size` (columns, lines).  `lost`: for how long there have been no figures, and why."""
    width, height = size
    wide, tall = width >= WIDE, height >= TALL
    sections: list[RenderableType] = [_section(part, tall) for part in report.sections]
    stages = _stages_table(report) if wide else _stages_line(report)
    columns = [sections[:2], sections[2:3], [*sections[3:], stages]] if wide else [sections[:2], sections[2:]]
    body = Table.grid(padding=(0, 2), expand=True)
    for _ in columns:
        body.add_column(ratio=1)
    body.add_row(*(_stacked(column) for column in columns))
    parts: list[RenderableType] = [
        _head(report, name, lost),
        Text(),
        _trends(report, trends, width),
        Text(),
        body,
    ]
    if not wide:
        parts += [Text(), stages]
    keys = "q quit   rates: last second, p50, p95: last 10 s"
    return Group(*parts, Text(keys, style=LABEL, no_wrap=True, overflow="ellipsis"))


def _head(report: Report, name: str, lost: str | None) -> RenderableType:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{name}  ", style="bold")
    if lost is None:
        line.append(report.state.upper(), style=MOODS[report.mood])
        line.append(f"  up {span(report.uptime)}" if report.uptime == report.uptime else "", style=LABEL)
    else:
        line.append(f"NO ANSWER {lost}", style=MOODS["bad"])
    return line


def _trends(report: Report, trends: Mapping[str, Sequence[float]], width: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=LABEL, width=10)
    table.add_column(justify="right", width=13)
    table.add_column(no_wrap=True)
    bars = max(0, min(width - 30, 60 if width < WIDE else 85))
    for trend in report.trends:
        line = sparkline(trends.get(trend.key, ()), bars, trend.top)
        table.add_row(
            trend.label, Text(written(trend.value, trend.unit), style="bold"), Text(line, style="cyan")
        )
    return table


def _section(section: Section, tall: bool) -> Table:
    table = _table(section.title, 2)
    for row in section.rows:
        if (tall or not row.detail) and not row.hidden:
            table.add_row(row.label, Text(row.text, no_wrap=True, overflow="ellipsis"))
    return table


def _stages_table(report: Report) -> Table:
    table = _table("stages", 3)
    if report.stages:
        table.add_row("", Text("p50", style=LABEL), Text("p95", style=LABEL))
    for stage in report.stages:
        table.add_row(stage.name, written(stage.p50, "s"), written(stage.p95, "s"))
    return table


def _stages_line(report: Report) -> RenderableType:
    parts = [Text("stages (ms)", style="bold")]
    for stage in report.stages:
        parts.append(Text.assemble((f"{stage.name} ", LABEL), f"{_ms(stage.p50)}/{_ms(stage.p95)}"))
    return Columns(parts, padding=(0, 2))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f}" if seconds == seconds else NONE


def _table(title: str, columns: int) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(style=LABEL, width=17, no_wrap=True)
    for _ in range(columns - 1):
        table.add_column(style=VALUE, min_width=8, no_wrap=True, overflow="ellipsis")
    table.add_row(Text(title, style="bold"), *[""] * (columns - 1))
    return table


def _stacked(tables: Sequence[RenderableType]) -> Group:
    parts: list[RenderableType] = []
    for table in tables:
        parts += [table, Text()]
    return Group(*parts[:-1])
