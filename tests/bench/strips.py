"""Frames to look at: python -m tests.bench.strips --clips FILE|DIR ... --out FILE.png

For each clip one row of `resilient` and one of a peer, the same frame from its middle at each loss, through the links
of the loss sweep. Without --peer it is the best fixed one by the rows of a sweep (--rows).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from common.video import Picture
from tests.bench.contestant import Contestant
from tests.bench.loss_sweep import UsageError, clip_files, contestants
from tests.bench.options import OURS
from tests.bench.quality import ms_ssim, psnr, rgb
from tests.bench.report import comparisons
from tests.bench.rows import NO_FEEDBACK, RowsError, load
from tests.bench.trial import Condition, Judge, Settings, Trial, outcomes, read_clip

CELL = 1.9  # inches
DPI = 120


@dataclass(frozen=True)
class Cell:
    """One picture and what it is worth."""

    picture: Picture
    psnr: float
    ms_ssim: float


@dataclass(frozen=True)
class Strip:
    """One contestant on one clip: what was sent, then a cell for each loss."""

    label: str
    sent: Picture
    cells: list[Cell]


def strip(trial: Trial) -> Strip:
    """The middle frame of the clip at each condition of the trial."""
    sent = read_clip(trial.clip, trial.settings.limit)
    middle, judge = len(sent) // 2, Judge(sent, trial.settings.fps)
    cells = []
    for outcome in outcomes(trial, sent):
        picture = judge.chosen(outcome.ways)[middle]
        cells.append(Cell(picture, psnr(sent[middle], picture), ms_ssim(sent[middle], picture)))
    who = f"{trial.who.name} {trial.who.code_rate}".rstrip()
    return Strip(f"{trial.clip.stem}\n{who}", sent[middle], cells)


def compose(strips: Sequence[Strip], losses: Sequence[float], title: str) -> Figure:
    """All strips, one a row; the sent picture on the left."""
    height, width = rgb(strips[0].sent).shape[1:]
    size = ((len(losses) + 1) * CELL * width / height + 0.3, len(strips) * (CELL + 0.22) + 0.6)
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, fontsize=10)
        grid = figure.subplots(len(strips), len(losses) + 1, squeeze=False)
        for row, one in zip(grid, strips, strict=True):
            row[0].set_ylabel(one.label)
            texts = [
                "sent",
                *(
                    f"loss {x:g}: {c.psnr:.1f} dB, {c.ms_ssim:.2f}"
                    for x, c in zip(losses, one.cells, strict=True)
                ),
            ]
            for axes, picture, text in zip(
                row, [one.sent, *(c.picture for c in one.cells)], texts, strict=True
            ):
                axes.imshow(
                    np.rint(rgb(picture)).astype(np.uint8).transpose(1, 2, 0), interpolation="nearest"
                )
                axes.set_title(text, fontsize=7, pad=2)
                axes.set_xticks([])
                axes.set_yticks([])
    return figure


def best_peer(path: Path, kbps: float) -> tuple[str, str]:
    """(codec, code rate) of the best fixed peer by MS-SSIM. Raises UsageError where the file has none."""
    groups = [
        g
        for g in comparisons(load(path))
        if g.kbps == kbps and g.channel == "iid" and g.feedback == NO_FEEDBACK
    ]
    fixed = groups[0].best_fixed("ms_ssim") if groups else None
    if fixed is None:
        raise UsageError(f"--rows: {path} has no peer at {kbps:g} kbit/s")
    return fixed.contestant, fixed.code_rate


def _pair(args: argparse.Namespace) -> list[Contestant]:
    if args.peer is None and args.rows is None:
        raise UsageError("say which peer (--peer x265 1/2), or where its rows are (--rows FILE.json)")
    codec, rate = args.peer or best_peer(args.rows, args.wire_kbps)
    if codec == OURS:
        raise UsageError(f"--peer: {OURS} is no peer")
    try:
        rates = [Fraction(rate)]
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"--peer: {rate!r} is not a code rate") from error
    return contestants([OURS, codec], rates, args.delay_ms)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.strips",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", required=True, metavar="FILE|DIR")
    add("--wire-kbps", type=float, default=60.0, metavar="KBPS", help="default: 60")
    add("--loss", type=float, nargs="+", default=[0.0, 0.3, 0.5, 0.7, 0.9], metavar="SHARE")
    add("--peer", nargs=2, metavar=("CODEC", "K/N"), help="for example x265 1/2")
    add("--rows", type=Path, metavar="FILE.json", help="results of a sweep: the best fixed peer by MS-SSIM")
    add("--delay-ms", type=float, default=500.0, help="default: 500")
    add("--fps", type=float, default=15.0, help="default: 15")
    add("--frames", type=int, help="of each clip the first N frames at most")
    add("--seed", type=int, default=0)
    add("--out", type=Path, required=True, metavar="FILE.png")
    args = parser.parse_args(argv)
    settings = Settings(args.fps, args.delay_ms, args.frames)
    conditions = tuple(Condition(loss, "iid", None, args.seed) for loss in args.loss)
    try:
        pair, clips = _pair(args), clip_files(args.clips)
        strips = [
            strip(Trial(who, clip, args.wire_kbps, settings, conditions)) for clip in clips for who in pair
        ]
    except (UsageError, RowsError, ValueError) as error:
        print(f"strips: {error}", file=sys.stderr)
        return 1
    link = f"{args.wire_kbps:g} kbit/s on the wire, independent losses, {args.delay_ms:g} ms"
    title = f"{link}; PSNR and MS-SSIM of the frame"
    compose(strips, args.loss, title).savefig(args.out, dpi=DPI, metadata={"Software": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
