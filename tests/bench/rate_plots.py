"""Target, what the bottleneck carried, its capacity and its queue over time: a picture for each scenario."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from tests.bench.plots import BLUE, DPI, GREY, INK, ORANGE
from tests.bench.rate_scenarios import Run, Scenario
from tests.bench.rate_sim import Trace

BIN_S = 1.0
COLOURS = ((BLUE, "#56B4E9"), (ORANGE, "#E69F00"))  # target and carried, by flow


def draw(scenario: Scenario, run: Run, path: Path) -> None:
    """Write the picture."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        rates, queue = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        for number, (trace, colours) in enumerate(zip(run.traces, COLOURS, strict=False)):
            name = f" {number + 1}" if len(run.traces) > 1 else ""
            rates.plot(*zip(*trace.target, strict=True), color=colours[0], lw=1.5, label=f"target{name}")
            carried = _binned(trace, scenario.seconds)
            rates.step(
                *zip(*carried, strict=True), where="post", color=colours[1], lw=1, label=f"carried{name}"
            )
            times, waits = zip(*trace.queued, strict=True)
            queue.plot(times, [1000 * wait for wait in waits], ".", color=colours[0], ms=2)
        ends = [*(at for at, _ in run.capacity[1:]), scenario.seconds]
        for (begin, kbps), end in zip(run.capacity, ends, strict=True):
            label = "capacity" if begin == 0 else None
            rates.plot([begin, end], [kbps, kbps], color=INK, lw=1, ls="--", label=label)
        rates.set_title(f"{scenario.key}: {scenario.title}", fontsize=10)
        rates.set_ylabel("kbit/s on the wire")
        rates.set_ylim(0)
        rates.legend(fontsize=8, frameon=False, ncols=3)
        queue.axhline(100, color=GREY, lw=0.8, ls=":")
        queue.set_ylabel("queueing, ms")
        queue.set_xlabel("s")
        queue.set_ylim(0)
        queue.set_xlim(0, scenario.seconds)
        for axes in (rates, queue):
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _binned(trace: Trace, seconds: float) -> list[tuple[float, float]]:
    sums = [0.0] * int(seconds / BIN_S)
    for at, size in trace.carried:
        if at < seconds:
            sums[int(at / BIN_S)] += size * 0.008 / BIN_S
    return [(number * BIN_S, kbps) for number, kbps in enumerate(sums)]
