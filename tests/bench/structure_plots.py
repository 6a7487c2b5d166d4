"""The figures of the structure bench: figure 6 of the paper with ours and the peers beside it, and loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.plots import BLUE, GREEN, GREY, INK, ORANGE, PURPLE

if TYPE_CHECKING:
    from tests.bench.structure import Row

DPI = 100
COLOURS = (GREEN, PURPLE, ORANGE, BLUE)


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """A figure for each set; the same rows give the same pictures."""
    out = []
    for name in dict.fromkeys(row.set for row in rows):
        out.append(folder / f"{name}.png")
        _figure(name, [row for row in rows if row.set == name]).savefig(
            out[-1], dpi=DPI, metadata={"Software": None}
        )
    return out


def _figure(name: str, rows: Sequence[Row]) -> Figure:
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(13, 4.4), layout="constrained")
        axes = figure.subplots(1, 3)
        ours = [row for row in rows if row.method == "adaptive"]
        symbols = sorted({int(row.parameters["Q"]) for row in rows if row.method == "paper"})
        periods = sorted({int(row.parameters["P"]) for row in rows if row.method == "paper"})
        for place, values, key, other in (
            (axes[0], symbols, "Q", ("P", 4)),
            (axes[1], periods, "P", ("Q", 256)),
        ):
            for value, colour in zip(values, COLOURS, strict=False):
                line = [row for row in rows if _is(row, {key: value, other[0]: other[1]})]
                _line(place, line, f"{key} = {value}, {other[0]} = {other[1]}", colour, "o")
            _line(place, ours, "adaptive", INK, "s")
            place.set_title(f"{name}: effect of {key}")
        for method, colour in (("x265 4:4:4", GREY), ("AV1 4:2:0", "#E69F00")):
            _line(axes[1], [row for row in rows if row.method == method], method, colour, "x")
        for place in axes[:2]:
            place.set(xlabel="bits a pixel (payload)", ylabel="mIoU", xscale="log", ylim=(0.4, 1))
            place.axhline(0.85, color=GREY, linewidth=0.6)
            place.legend(fontsize=7)
        _loss(axes[2], rows)
        return figure


def _is(row: Row, wanted: dict[str, int]) -> bool:
    return row.method == "paper" and all(row.parameters[name] == value for name, value in wanted.items())


def _line(axes: Axes, rows: Sequence[Row], label: str, colour: str, marker: str) -> None:
    ordered = sorted(rows, key=lambda row: row.bpp)
    axes.plot(
        [row.bpp for row in ordered],
        [row.miou for row in ordered],
        marker,
        linestyle="-",
        color=colour,
        label=label,
        markersize=4,
    )


def _loss(axes: Axes, rows: Sequence[Row]) -> None:
    found = [row for row in rows if row.method == "adaptive under loss"]
    for period, colour in zip(sorted({row.parameters["P"] for row in found}), (INK, BLUE), strict=False):
        here = [row for row in found if row.parameters["P"] == period]
        losses = sorted({row.parameters["loss"] for row in here})
        means = [np.mean([row.miou for row in here if row.parameters["loss"] == loss]) for loss in losses]
        axes.plot(losses, means, "s-", color=colour, markersize=4, label=f"{period:g} maps a packet")
    axes.legend(fontsize=7)
    axes.set(
        xlabel="packet loss",
        ylabel="mIoU",
        ylim=(0.4, 1),
        title="loss, at 1.5 times the wire rate of floor 0.85",
    )
    axes.grid(linewidth=0.3)
