"""Usable units, latency and overhead against loss, a picture a workload; and how long a start takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.plots import BLUE, DPI, GREEN, GREY, INK, ORANGE, PURPLE
from tests.bench.transport.contestants import BY_KEY
from tests.bench.transport.results import Results
from tests.bench.transport.runs import LOSSES, Row
from tests.bench.transport.workload import WORKLOADS

SKY, YELLOW = "#56B4E9", "#E69F00"
STYLES: dict[str, dict[str, object]] = {
    "tolerant": {"color": BLUE, "marker": "o", "lw": 3, "zorder": 6},
    "tolerant-one-way": {"color": INK, "marker": "p", "lw": 2, "zorder": 6},
    "protected": {"color": SKY, "marker": "o", "lw": 2, "mfc": "none", "zorder": 5},
    "protected-known": {"color": SKY, "marker": "o", "lw": 2, "ls": "--", "zorder": 5},
    "srt-500": {"color": ORANGE, "marker": "s", "ls": "-"},
    "srt-1000": {"color": ORANGE, "marker": "s", "ls": "--", "mfc": "none"},
    "rist-500": {"color": GREEN, "marker": "D", "ls": "-"},
    "rist-1000": {"color": GREEN, "marker": "D", "ls": "--", "mfc": "none"},
    "webrtc-data": {"color": PURPLE, "marker": "v", "ls": "-"},
    "webrtc-rtp": {"color": PURPLE, "marker": "^", "ls": "--"},
    "wfb": {"color": YELLOW, "marker": "x"},
}
PANELS = (
    ("packets delivered, %", "delivered"),
    ("usable units, %", "usable"),
    ("p95 latency of packets, ms", "p95"),
    ("wire bytes by payload byte delivered", "overhead"),
)
NEVER = "never within the limit"


def draw(results: Results, folder: Path) -> list[Path]:
    """Writes the pictures that there are rows for and returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        for name, workload in WORKLOADS.items():
            rows = [r for r in results.rows if r["kind"] == "delivery" and r["workload"] == name]
            if rows and not workload.message:
                out.append(folder / f"delivery-{workload.kbps:.0f}kbps.png")
                _save(_delivery(rows, name), out[-1])
        rows = [r for r in results.rows if r["kind"] == "start"]
        if rows:
            out.append(folder / "start.png")
            _save(_start(rows, results.plan.start_limit_s), out[-1])
    return out


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _delivery(rows: Sequence[Row], name: str) -> Figure:
    figure = Figure(figsize=(8.6, 7.4), layout="constrained")
    panels = figure.subplots(2, 2).flat
    for axes, (title, measure) in zip(panels, PANELS, strict=True):
        for key, style in STYLES.items():
            points = [(c.loss, _value(rows, key, c.name, measure)) for c in LOSSES]
            _line(axes, key, [(x, y) for x, y in points if y is not None], style)
        _dress(axes, title)
    for axes in panels[:2]:
        axes.set_ylim(0, 103)
    for axes, ticks in ((panels[2], (25, 50, 100, 200, 500, 1000)), (panels[3], (1, 2, 3, 5, 10, 20))):
        axes.set_yscale("log")
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    figure.suptitle(f"{name} of payload, loss both ways, 25 ms each way", fontsize=11)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _value(rows: Sequence[Row], key: str, condition: str, measure: str) -> float | None:
    for row in rows:
        if (row["contestant"], row["condition"]) == (key, condition) and "usable" in row:
            if measure == "p95":
                return float(row["latency_ms"][1]) if row["latency_ms"] else None
            value = row[measure]
            return None if value is None else float(value) * (1 if measure == "overhead" else 100)
    return None


def _line(axes: Axes, key: str, points: Sequence[tuple[float, float]], style: dict[str, object]) -> None:
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, label=BY_KEY[key].label, **{"lw": 1.3, "ms": 5} | style)  # type: ignore[arg-type]


def _start(rows: Sequence[Row], limit: float) -> Figure:
    figure = Figure(figsize=(8.4, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    parts = (("sender started", "first_s"), ("receiver replaced", "again_s"))
    for axes, (title, name) in zip(panels, parts, strict=True):
        for key, style in STYLES.items():
            points = []
            for condition in LOSSES:
                here = [
                    r
                    for r in rows
                    if (r["contestant"], r["condition"]) == (key, condition.name) and name in r
                ]
                if here:
                    points.append(
                        (condition.loss, median(limit if r[name] is None else r[name] for r in here))
                    )
            _line(axes, key, points, style)
        axes.axhline(limit, color=GREY, lw=0.8, ls=":")
        axes.annotate(NEVER, (0.0, limit), xytext=(0, -3), textcoords="offset points", va="top", fontsize=7)
        _dress(axes, title)
        axes.set_yscale("log")
        axes.set_yticks((0.2, 0.5, 1, 2, 5, 10, 20), ("0.2", "0.5", "1", "2", "5", "10", "20"))
        axes.minorticks_off()
    panels[0].set_ylabel("s to the first usable unit, median")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("share of packets lost")
    axes.set_xticks([condition.loss for condition in LOSSES])
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
