"""The figures of the structure bench: figure 6 of the paper with ours and the peers beside it, and loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.plots import BLUE, GREEN, GREY, INK, ORANGE, PURPLE
from tests.bench.structure_report import at_floor
from tests.bench.structure_run import Row

DPI = 100
PAPER = ("paper", "polygons")
STYLES = {"believed": ":", "told": "-", "reports": "--"}
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
        figure = Figure(figsize=(17, 4.6), layout="constrained")
        axes = figure.subplots(1, 4)
        ours = [row for row in rows if row.method == "adaptive"]
        symbols = sorted({int(row.parameters["Q"]) for row in rows if row.method in PAPER})
        periods = sorted({int(row.parameters["P"]) for row in rows if row.method in PAPER})
        for place, values, key, other in (
            (axes[0], symbols, "Q", ("P", 4)),
            (axes[1], periods, "P", ("Q", 256)),
        ):
            for value, colour in zip(values, COLOURS, strict=False):
                line = [row for row in rows if _is(row, {key: value, other[0]: other[1]})]
                _line(place, line, f"{key} = {value}, {other[0]} = {other[1]}", colour, "o")
            _line(place, ours, "adaptive", INK, "s")
            place.set_title(f"{name}: effect of {key}")
        _peers(axes[2], rows, ours)
        for place in axes[:3]:
            place.set(xlabel="bits a pixel (payload)", ylabel="mIoU", xscale="log")
            place.axhline(0.85, color=GREY, linewidth=0.6)
            place.grid(linewidth=0.3)
            place.legend(fontsize=7, loc="lower right")
        for place in axes[:2]:
            place.set(ylim=(0.4, 1))
        _loss(axes[3], rows)
        return figure


def _peers(axes: Axes, rows: Sequence[Row], ours: Sequence[Row]) -> None:
    """What maps cost elsewhere; polygons without P-frames are the plain mode at P = 1."""
    _line(axes, ours, "adaptive", INK, "s")
    _line(axes, [row for row in rows if row.method == "polygons"], "polygons, no P-frames", GREEN, "o")
    for method, colour in (("x265 4:4:4", BLUE), ("AV1 4:2:0", ORANGE), ("AV1 4:4:4", PURPLE)):
        if found := [row for row in rows if row.method == method]:
            _line(axes, found, method, colour, "x")
    for method, marker in (("png lossless", "v"), ("webp lossless", "^"), ("jxl lossless", "D")):
        if found := [row for row in rows if row.method == method]:
            _line(axes, found, method, GREY, marker)
    axes.set(ylim=(0.4, 1.02), title="beside other codecs")


def _is(row: Row, wanted: dict[str, int]) -> bool:
    return row.method in PAPER and all(row.parameters[name] == value for name, value in wanted.items())


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
    found = [row for row in rows if row.method.startswith("loss, ")]
    for delay, colour in zip(sorted({row.parameters["delay"] for row in found}), COLOURS, strict=False):
        for knows, style in STYLES.items():
            here = [
                row for row in found if row.method == f"loss, {knows}" and row.parameters["delay"] == delay
            ]
            here.sort(key=lambda row: row.parameters["loss"])
            if here:
                axes.plot(
                    [row.parameters["loss"] for row in here],
                    [row.miou for row in here],
                    "o",
                    linestyle=style,
                    color=colour,
                    markersize=3,
                    label=f"{delay:g} s, {knows}",
                )
    ours = at_floor(rows, rows[0].set)
    if ours:
        axes.plot([0, 0.3, 0.5], [ours.miou - by for by in (0, 0.03, 0.08)], "*", color=INK, label="targets")
    axes.legend(fontsize=7, loc="lower left")
    axes.set(
        xlabel="packet loss",
        ylabel="mIoU",
        ylim=(0, 1),
        title="loss, at 1.5 times the wire rate of floor .85",
    )
    axes.grid(linewidth=0.3)
