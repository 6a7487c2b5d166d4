"""Quality against loss, one picture a wire rate and measure: python -m tests.bench.plots FILE.json DIR

Code rates stand at the left ends of the peers' lines, a column a codec; those that needed more than the wire rate are
dotted and marked (!). Axes show every value, and begin at 0 but for decibels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.options import OURS
from tests.bench.report import HEADLINE, MEASURES, Comparison, Line, comparisons
from tests.bench.rows import NO_FEEDBACK, Row, RowsError, load

# Okabe and Ito's palette: told apart with any kind of colour vision, and each line has a marker of its own.
INK, BLUE, ORANGE, GREEN, PURPLE, GREY = "#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
PEER_STYLES = {"svtav1": ("#E69F00", "x"), "x264": (PURPLE, "v"), "x265": (GREEN, "D")}
COLUMN, LEADING = 26.0, 8.0  # points between columns of code rates, and between their lines
RANGES = {
    "ms_ssim": (0.0, 1.0),
    "vmaf": (0.0, None),
    "haarpsi": (0.0, 1.0),
    "frozen_share": (0.0, 1.0),
    "longest_freeze_s": (0.0, None),
}
SIZE, DPI = (7.2, 5.2), 150


def draw(rows: Iterable[Row], folder: Path, measures: Sequence[str] = HEADLINE) -> list[Path]:
    """Writes the plots and returns their files; the same rows give the same pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for group in comparisons(rows):
        for measure in measures:
            figure = plot(group, measure)
            out.append(folder / f"{_stem(group)}-{measure}.png")
            figure.savefig(out[-1], dpi=DPI, metadata={"Software": None})
    return out


def _stem(group: Comparison) -> str:
    feedback = "" if group.feedback == NO_FEEDBACK else f"-feedback{group.feedback}"
    return f"{group.channel}{feedback}-{group.kbps:g}kbps"


def plot(group: Comparison, measure: str) -> Figure:
    """The figure of one wire rate and measure."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        peers = [line for line in group.lines(measure) if line.contestant != OURS]
        oracle, fixed, ours = group.oracle(measure), group.best_fixed(measure), group.ours(measure)
        if ours:
            _draw(axes, ours, OURS, color=BLUE, marker="o", lw=3, ms=6, zorder=6)
        if fixed:
            label = f"best fixed peer: {fixed.label}"
            _draw(axes, fixed, label, color=INK, marker="s", lw=2, ms=4.5, zorder=5)
        if oracle:
            style = {"marker": "^", "ms": 10, "mfc": "none", "ls": (0, (4, 2)), "lw": 2}
            _draw(axes, oracle, "oracle: best peer at each loss", color=ORANGE, zorder=4, **style)
        codecs = {
            codec: [x for x in peers if x.contestant == codec]
            for codec in sorted({x.contestant for x in peers})
        }
        for codec, lines in codecs.items():
            _codec(axes, codec, lines)
        _dress(axes, group, measure)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
        figure.draw_without_rendering()  # lays out: the places of the lines' ends are known from here on
        for column, lines in enumerate(codecs.values()):
            _code_rates(axes, column, lines)
        return figure


def _look(codec: str) -> tuple[str, str]:
    return PEER_STYLES.get(codec, (GREY, "."))


def _codec(axes: Axes, codec: str, lines: Sequence[Line]) -> None:
    """Thin lines, the first of which stands in the legend."""
    colour, marker = _look(codec)
    for number, line in enumerate(lines):
        style = {"marker": marker, "ms": 3, "ls": ":" if line.over_rate else "-", "lw": 0.9, "alpha": 0.8}
        _draw(axes, line, f"{codec}, by code rate" if number == 0 else None, color=colour, zorder=2, **style)


def _code_rates(axes: Axes, column: int, lines: Sequence[Line]) -> None:
    """Left of the lines' ends at the smallest loss, in points, and far enough apart to be read."""
    ends = sorted(((next(iter(line.values.items())), line) for line in lines), key=lambda end: end[0][1])
    wanted = [axes.transData.transform(end)[1] * 72 / axes.figure.dpi for end, _ in ends]
    for place, want, (end, line) in zip(_apart(wanted), wanted, ends, strict=True):
        text = line.code_rate + ("(!)" if line.over_rate else "")
        axes.annotate(
            text,
            end,
            xytext=(-6 - COLUMN * column, place - want),
            textcoords="offset points",
            color=_look(line.contestant)[0],
            fontsize=7,
            ha="right",
            va="center",
        )


def _apart(places: Sequence[float]) -> list[float]:
    """Ascending places, moved as little as makes them LEADING apart."""
    out: list[list[float]] = []  # groups that touch
    for place in places:
        out.append([place])
        while len(out) > 1 and _top(out[-2]) + LEADING > _bottom(out[-1]):
            last = out.pop()
            out[-1] += last
    return [_bottom(group) + LEADING * i for group in out for i in range(len(group))]


def _bottom(group: Sequence[float]) -> float:
    return sum(group) / len(group) - LEADING * (len(group) - 1) / 2


def _top(group: Sequence[float]) -> float:
    return _bottom(group) + LEADING * (len(group) - 1)


def _draw(axes: Axes, line: Line, label: str | None, **style: object) -> None:
    axes.plot(list(line.values), list(line.values.values()), label=label, **style)  # type: ignore[arg-type]


def _dress(axes: Axes, group: Comparison, measure: str) -> None:
    clips, seeds = len({row.clip for row in group.rows}), len({row.seed for row in group.rows})
    axes.set_title(f"{MEASURES[measure].title.partition(',')[0]} at {group.title}", fontsize=11)
    axes.set_xlabel(
        f"share of packets lost (mean of {clips} clip{'s'[: clips > 1]}, {seeds} seed{'s'[: seeds > 1]})"
    )
    axes.set_ylabel(MEASURES[measure].title)
    span = max(group.losses[-1] - group.losses[0], 0.1)
    axes.set_xlim(group.losses[0] - 0.25 * span, group.losses[-1] + 0.03 * span)
    axes.set_xticks(group.losses, [f"{x:g}" for x in group.losses])
    if measure in RANGES:
        bottom, top = RANGES[measure]
        axes.set_ylim(bottom, top)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plots", description=__doc__)
    parser.add_argument("file", type=Path, help="rows of python -m tests.bench.loss_sweep")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=HEADLINE)
    args = parser.parse_args(argv)
    try:
        rows = load(args.file)
    except RowsError as error:
        print(f"plots: {error}", file=sys.stderr)
        return 1
    print("\n".join(str(path) for path in draw(rows, args.folder, args.measures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
