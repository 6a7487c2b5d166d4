"""Table and plot of a soak."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from tests.bench.soak.phases import PHASES
from tests.bench.soak.run import Soak
from tests.bench.soak.view import HEADER, Row
from tests.e2e.daemons import RX

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def markdown(soak: Soak, rows: Sequence[Row], minutes: float, complaints: Sequence[str]) -> str:
    """The whole report."""
    lines = [f"# {minutes:g} minutes on a link that changes", ""]
    lines += [_line(HEADER), _line(["---", *["---:"] * (len(HEADER) - 1)])]
    lines += [_line(row.cells()) for row in rows]
    lines += ["", "First picture after a restart: " + _recoveries(soak), ""]
    head = ("process", "minutes", "cpu %", "peak MB", "MB", "open files", "threads", "tasks")
    lines += [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for life in soak.lives:
        change = life.change()
        pairs = (
            ["short"] * 4
            if change is None
            else [
                f"{a:.4g} -> {b:.4g}"
                for a, b in (change.memory_mb, change.open_files, change.threads, change.tasks)
            ]
        )
        peak = max((sample.memory_mb for sample in life.samples), default=0.0)
        lines.append(
            _line([life.daemon, f"{life.seconds / 60:.1f}", f"{life.cpu_percent:.0f}", f"{peak:.0f}", *pairs])
        )
    lines += [
        "",
        "In a minute, two minutes after its start -> at its end: median of the memory, least of the others.",
        "",
    ]
    lines += [f"FAILED {complaint}" for complaint in complaints] or ["Nothing grew, nothing failed."]
    return "\n".join(lines) + "\n"


def draw(soak: Soak, path: Path) -> None:
    """Memory, files and tasks of both daemons, latency and loss over the run."""
    figure, axes = plt.subplots(4, 1, figsize=(11, 10), sharex=True, layout="constrained")
    colours = {"receiver": "tab:blue", "sender": "tab:orange"}
    seen = set[str]()
    for life in soak.lives:
        at = [sample.at / 60 for sample in life.samples]
        label = None if life.daemon in seen else life.daemon
        seen.add(life.daemon)
        axes[0].plot(
            at, [sample.memory_mb for sample in life.samples], color=colours[life.daemon], label=label
        )
        axes[1].plot(
            at, [sample.open_files for sample in life.samples], color=colours[life.daemon], label=label
        )
        axes[1].plot(at, [sample.tasks for sample in life.samples], color=colours[life.daemon], linestyle=":")
    at = [moment.at / 60 for moment in soak.moments]
    figures = [moment.figures for moment in soak.moments]
    axes[2].plot(at, [each.get(RX + "playout_delay_seconds") * 1000 for each in figures], color="tab:green")
    axes[3].plot(
        at, [each.get(RX + "packet_loss_ratio") for each in figures], color="tab:red", label="packets lost"
    )
    axes[3].plot(
        at, [each.get(RX + "imagined_ratio") for each in figures], color="tab:purple", label="imagined"
    )
    titles = (
        "resident memory, MB",
        "open files; tasks (dots)",
        "playout delay, ms",
        "shares",
    )
    for axis, title in zip(axes, titles, strict=True):
        axis.set_ylabel(title)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="lower right")
    step = (soak.moments[-1].at if soak.moments else 1.0) / 60 / len(PHASES)
    for number, phase in enumerate(PHASES):
        for axis in axes:
            axis.axvline(number * step, color="grey", linewidth=0.5)
        at_top = (number + 0.5) * step, axes[0].get_ylim()[1]
        axes[0].text(*at_top, phase.name, ha="left", va="bottom", rotation=35, fontsize=8)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _recoveries(soak: Soak) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in soak.recoveries.items()) or "none"
