"""Tables of a loss sweep, and which targets it meets: python -m tests.bench.report FILE.json [FEEDBACK.json] [--check]

A table for each wire rate and measure, a line for each contestant and code rate; a cell is the mean over clips and
seeds. `best fixed peer` repeats the peer that is best on average over the losses, for one measure: what a user gets who
picks codec and code rate once. `oracle` is the best peer at each loss, as if the loss were known beforehand. Peers
marked (!) needed more than the wire rate and are in neither, nor is what has not been measured on everything.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from tests.bench.contestant import RATE_TOLERANCE, unit_frames
from tests.bench.options import OURS
from tests.bench.rows import NO_FEEDBACK, Row, RowsError, load


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of the rows. `sign`: +1 where more is better."""

    name: str
    title: str
    decimals: int
    sign: int = 1


MEASURES = {
    m.name: m
    for m in (
        Measure("psnr", "PSNR, dB", 2),
        Measure("ms_ssim", "MS-SSIM", 3),
        Measure("vmaf", "VMAF", 1),
        Measure("ssim_db", "SSIM, dB", 2),
        Measure("haarpsi", "HaarPSI", 3),
        Measure("frozen_share", "share of frozen frames", 3, -1),
        Measure("longest_freeze_s", "longest freeze, s", 2, -1),
    )
}
HEADLINE = ("psnr", "ms_ssim", "vmaf")


@dataclass(frozen=True)
class Line:
    """One contestant at one wire rate by one measure: a value for each loss."""

    contestant: str
    code_rate: str
    true_kbps: float
    over_rate: bool
    whole: bool
    """Measured on as many clips and seeds at every loss as any other."""
    values: dict[float, float]

    @property
    def label(self) -> str:
        """For example `x265 1/4`."""
        return f"{self.contestant} {self.code_rate}".rstrip()

    @property
    def mean(self) -> float:
        """Over the losses."""
        return sum(self.values.values()) / len(self.values)


@dataclass(frozen=True)
class Comparison:
    """All rows of one wire rate, channel and feedback."""

    channel: str
    feedback: str
    kbps: float
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """For headings."""
        feedback = "no feedback" if self.feedback == NO_FEEDBACK else f"feedback after {self.feedback} ms"
        return f"{self.kbps:g} kbit/s, {self.channel}, {feedback}"

    @cached_property
    def losses(self) -> list[float]:
        """All losses, in order."""
        return sorted({row.loss for row in self.rows})

    @cached_property
    def _cells(self) -> dict[tuple[str, Fraction], dict[float, list[Row]]]:
        cells: dict[tuple[str, Fraction], dict[float, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in sorted(self.rows, key=lambda row: row.key):
            cells[row.contestant, -Fraction(row.code_rate or 0)][row.loss].append(row)
        return dict(sorted(cells.items(), key=lambda item: (item[0][0] != OURS, *item[0])))

    @cached_property
    def _fullest(self) -> int:
        return max(len(rows) for by_loss in self._cells.values() for rows in by_loss.values())

    def lines(self, measure: str) -> list[Line]:
        """One for each contestant and code rate; ours first."""
        out = []
        for by_loss in self._cells.values():
            rows = [row for loss in self.losses for row in by_loss.get(loss, [])]
            true = sum(row.wire_kbps for row in rows) / len(rows)
            whole = all(len(by_loss.get(loss, [])) == self._fullest for loss in self.losses)
            values = {x: _mean([float(getattr(row, measure)) for row in by_loss[x]]) for x in sorted(by_loss)}
            over = true > RATE_TOLERANCE * self.kbps
            out.append(Line(rows[0].contestant, rows[0].code_rate, true, over, whole, values))
        return out

    def ours(self, measure: str) -> Line | None:
        """The line of `resilient`, if it is whole."""
        return next((x for x in self.lines(measure) if x.contestant == OURS and x.whole), None)

    def peers(self, measure: str) -> list[Line]:
        """Lines of peers that keep the rate and are whole."""
        lines = self.lines(measure)
        return [x for x in lines if x.contestant != OURS and x.whole and not x.over_rate]

    def best_fixed(self, measure: str) -> Line | None:
        """The peer that is best on average over the losses."""
        sign = MEASURES[measure].sign
        return max(self.peers(measure), key=lambda line: sign * line.mean, default=None)

    def oracle(self, measure: str) -> Line | None:
        """The best peer at each loss."""
        peers, sign = self.peers(measure), MEASURES[measure].sign
        if not peers:
            return None
        values = {x: sign * max(sign * line.values[x] for line in peers) for x in self.losses}
        return Line("oracle", "", math.nan, False, True, values)


def comparisons(rows: Iterable[Row]) -> list[Comparison]:
    """The rows by what can be compared, in order of channel, feedback and rate."""
    groups: dict[tuple[str, str, float], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.channel, row.feedback, row.wire_kbps_target].append(row)
    order = sorted(groups, key=lambda g: (g[0], g[1] != NO_FEEDBACK, g[1], g[2]))
    return [Comparison(*group, tuple(groups[group])) for group in order]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def table(comparison: Comparison, measure: str) -> str:
    """Markdown, with heading and what is remarkable below."""
    decimals, losses = MEASURES[measure].decimals, comparison.losses
    lines = comparison.lines(measure)
    head = f"| contestant | code rate | true kbit/s | {' | '.join(f'loss {x:g}' for x in losses)} | mean |"
    out = [
        f"### {comparison.title}: {MEASURES[measure].title}",
        "",
        head,
        "|---|---|" + "---:|" * (len(losses) + 2),
    ]

    def cells(line: Line) -> str:
        each = [f"{line.values[x]:.{decimals}f}" if x in line.values else "-" for x in losses]
        return " | ".join([*each, f"{line.mean:.{decimals}f}" if len(line.values) == len(losses) else "-"])

    for line in lines:
        marks = (" (!)" if line.over_rate else "") + ("" if line.whole else " (part)")
        out.append(f"| {line.contestant} | {line.code_rate} | {line.true_kbps:.1f}{marks} | {cells(line)} |")
    fixed, oracle = comparison.best_fixed(measure), comparison.oracle(measure)
    if fixed and oracle:
        out.append(f"| **best fixed peer** | {fixed.label} | {fixed.true_kbps:.1f} | {cells(fixed)} |")
        out.append(f"| **oracle** of the peers | | | {cells(oracle)} |")
    if late := _late(comparison.rows):
        out += ["", f"Units that could not leave in time and are lost on every link: {late}."]
    if any(line.over_rate for line in lines):
        out += ["", "(!) needed more than the wire rate."]
    if not all(line.whole for line in lines):
        out += ["", "(part) has not been measured on every clip, seed and loss."]
    return "\n".join(out)


def _late(rows: Sequence[Row]) -> str:
    """Shares of late units of those that have any, most first."""
    late: Counter[str] = Counter()
    units: Counter[str] = Counter()
    for row in rows:
        who = f"{row.contestant} {row.code_rate}".rstrip()
        late[who] += row.late_units
        units[who] += row.frames // unit_frames()
    return ", ".join(
        f"{who} {100 * n / units[who]:.1f} %"
        for who, n in sorted(late.items(), key=lambda x: (-x[1], x[0]))
        if n
    )


def tables(rows: Iterable[Row], measures: Sequence[str] = HEADLINE) -> str:
    """Markdown of all rows, with a heading that tells what they were made of."""
    rows = list(rows)
    if not rows:
        return "No rows."
    clips = sorted({row.clip for row in rows})
    seeds = len({row.seed for row in rows})
    about = (
        f"{len(clips)} clip{'s'[: len(clips) > 1]} ({', '.join(clips)}), {rows[0].fps:g} frames/s,"
        f" {rows[0].delay_ms:g} ms from capture to display, {seeds} seeded link{'s'[: seeds > 1]} a loss."
    )
    return "\n\n".join([about, *(table(group, m) for group in comparisons(rows) for m in measures)])


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 1 where a target is missed."""
    from tests.bench import targets

    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="rows of python -m tests.bench.loss_sweep")
    parser.add_argument("feedback", type=Path, nargs="?", help="rows made with --feedback, for target 4")
    parser.add_argument(
        "--measures", nargs="+", choices=MEASURES, default=HEADLINE, help=f"default: {' '.join(HEADLINE)}"
    )
    parser.add_argument("--check", action="store_true", help="the targets instead of the tables")
    parser.add_argument(
        "--static",
        nargs="+",
        default=targets.STATIC,
        metavar="CLIP",
        help=f"talking heads and still cameras, for target 4 (default: {' '.join(targets.STATIC)})",
    )
    args = parser.parse_args(argv)
    try:
        rows, feedback = load(args.file), load(args.feedback) if args.feedback else []
    except RowsError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    if not args.check:
        print(tables([*rows, *feedback], args.measures))
        return 0
    findings = targets.check(rows, feedback, args.static)
    print(*findings, sep="\n", end="\n\n")
    for what, aims in (("targets", False), ("aims", True)):
        counts = Counter(finding.verdict for finding in findings if finding.is_aim is aims)
        print(
            f"{what}: {counts['met']} met, {counts['missed']} missed, {counts['not measured']} not measured"
        )
    return int(any(finding.verdict == "missed" and not finding.is_aim for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
