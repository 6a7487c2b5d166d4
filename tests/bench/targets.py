"""What the codec is to reach on the public set with independent losses, held against the rows of a loss sweep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.options import OURS
from tests.bench.report import HEADLINE, MEASURES, Comparison, Line, comparisons
from tests.bench.rows import NO_FEEDBACK, Row

LOSSES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)
RATES = (60.0, 120.0, 250.0)
FLOOR = {"psnr": (20.0, 21.5), "ms_ssim": (0.60, 0.70)}  # at loss 0.9: target and aim
BEHIND = {"psnr": 3.0, "ms_ssim": 0.04}  # of the best x265 where the link is good
GAIN = 1.5  # dB that feedback brings
STATIC = ("akiyo_square", "beauty_square", "foreman_square", "grid-speaker_square", "mother-daughter_square")
EXACT = 1e-9  # what is less is rounding


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison with a target. `by`: how far on the right side of it; none where rows are missing."""

    target: str
    about: str
    told: str
    by: float | None
    decimals: int = 3
    strict: bool = False
    """Being equal is not enough."""

    @property
    def verdict(self) -> str:
        """`met`, `missed` or `not measured`."""
        if self.by is None:
            return "not measured"
        return "met" if self.by > (EXACT if self.strict else -EXACT) else "missed"

    @property
    def is_aim(self) -> bool:
        """More than a target asks for."""
        return self.target.endswith("aim")

    def __str__(self) -> str:
        by = f" by {abs(self.by):.{self.decimals}f}" if self.by else ""
        return f"{self.target:6} {self.about:26} {self.told}: {self.verdict}{by}"


def check(rows: Iterable[Row], feedback: Iterable[Row] = (), static: Sequence[str] = STATIC) -> list[Finding]:
    """All targets that rows can tell of; `feedback`: rows with reports."""
    rows = [row for row in rows if row.channel == "iid"]
    reported = [row for row in (*rows, *feedback) if row.channel == "iid" and row.feedback != NO_FEEDBACK]
    alone = [row for row in rows if row.feedback == NO_FEEDBACK]
    groups = {group.kbps: group for group in comparisons(alone)}
    out: list[Finding] = []
    for kbps in RATES:
        out += _graceful(kbps, groups.get(kbps))
    for kbps in sorted({*RATES, *groups}):
        out += _ahead(kbps, groups.get(kbps))
    for kbps in (60.0, 120.0):
        out += _close(kbps, groups.get(kbps))
    out += _feedback(alone, reported, static)
    for kbps in sorted({*RATES, *groups}):
        out += _above_oracle(kbps, groups.get(kbps))
    return out


def _about(kbps: float, measure: str = "", loss: float | None = None) -> str:
    place = "" if loss is None else f" loss {loss:g}"
    return f"{kbps:g} kbit/s{place} {MEASURES[measure].title.partition(',')[0] if measure else ''}".rstrip()


def _versus(
    target: str, about: str, measure: str, own: float | None, other: float | None, than: str
) -> Finding:
    """Ours is to be better."""
    decimals = MEASURES[measure].decimals
    if own is None or other is None:
        return Finding(target, about, than, None)
    return Finding(
        target, about, f"{own:.{decimals}f}, {than} {other:.{decimals}f}", own - other, decimals, True
    )


def _at(line: Line | None, loss: float) -> float | None:
    return line.values.get(loss) if line else None


def _mean(line: Line | None) -> float | None:
    """Over the losses of the targets, if all are there."""
    if line is None or not set(LOSSES) <= line.values.keys():
        return None
    return sum(line.values[x] for x in LOSSES) / len(LOSSES)


def _graceful(kbps: float, group: Comparison | None) -> Iterator[Finding]:
    for measure, (least, aim) in FLOOR.items():
        own, decimals = _at(group.ours(measure) if group else None, 0.9), MEASURES[measure].decimals
        for target, bound in (("1", least), ("1 aim", aim)):
            told = f"at least {bound:g}" if own is None else f"{own:.{decimals}f}, at least {bound:g}"
            yield Finding(
                target, _about(kbps, measure, 0.9), told, None if own is None else own - bound, decimals
            )
    own_rows = [row for row in group.rows if row.contestant == OURS and row.loss <= 0.9] if group else []
    worst = max((row.frozen_share for row in own_rows), default=None)
    told = "no frozen frame up to loss 0.9" + ("" if worst is None else f", at most a share of {worst:.3f}")
    yield Finding("1", _about(kbps), told, None if worst is None else -worst)


def _ahead(kbps: float, group: Comparison | None) -> Iterator[Finding]:
    for measure in HEADLINE:
        ours = group.ours(measure) if group else None
        fixed = _best_fixed(group, measure)
        oracle = group.oracle(measure) if group else None
        name = f"best fixed peer ({fixed.label})" if fixed else "best fixed peer"
        yield _versus("2", _about(kbps, measure), measure, _mean(ours), _mean(fixed), f"mean; {name}")
        yield _versus("2 aim", _about(kbps, measure), measure, _mean(ours), _mean(oracle), "mean; oracle")
        for loss in (x for x in LOSSES if x >= 0.3):
            about = _about(kbps, measure, loss)
            yield _versus("2", about, measure, _at(ours, loss), _at(fixed, loss), name)


def _best_fixed(group: Comparison | None, measure: str) -> Line | None:
    """By the mean over the losses of the targets."""
    means = [
        (mean, line) for line in (group.peers(measure) if group else []) if (mean := _mean(line)) is not None
    ]
    return max(means, key=lambda item: item[0], default=(0.0, None))[1]


def _close(kbps: float, group: Comparison | None) -> Iterator[Finding]:
    for measure, gap in BEHIND.items():
        ours = group.ours(measure) if group else None
        x265 = [line for line in group.peers(measure) if line.contestant == "x265"] if group else []
        decimals = MEASURES[measure].decimals
        for loss in (0.0, 0.1):
            own = _at(ours, loss)
            best = max((line.values[loss] for line in x265 if loss in line.values), default=None)
            if own is None or best is None:
                yield Finding("3", _about(kbps, measure, loss), "best x265", None)
                continue
            told = f"{own:.{decimals}f}, best x265 {best:.{decimals}f}, at most {gap:g} behind"
            yield Finding("3", _about(kbps, measure, loss), told, own - best + gap, decimals)


def _feedback(alone: Sequence[Row], reported: Sequence[Row], static: Sequence[str]) -> Iterator[Finding]:
    """Gains of PSNR of each clip, over what the same link gave without reports."""
    without = {_link(row): row.psnr for row in alone if row.contestant == OURS}
    gains: dict[tuple[float, float], dict[str, list[float]]] = {}
    for row in reported:
        if row.contestant == OURS and row.loss <= 0.3 and _link(row) in without:
            by_clip = gains.setdefault((row.wire_kbps_target, row.loss), {})
            by_clip.setdefault(row.clip, []).append(row.psnr - without[_link(row)])
    if not gains:
        yield Finding("4", "feedback", f"at least {GAIN} dB on talking heads and still cameras", None)
    for (kbps, loss), by_clip in sorted(gains.items()):
        means = {clip: sum(values) / len(values) for clip, values in by_clip.items()}
        still = [gain for clip, gain in means.items() if clip in static]
        gain = sum(still) / len(still) if still else None
        told = f"{f'{gain:+.2f} dB' if gain is not None else 'gain'} on {len(still)} still clips, at least {GAIN}"
        yield Finding("4", _about(kbps, "psnr", loss), told, None if gain is None else gain - GAIN, 2)
        least = min(means, key=lambda clip: means[clip])
        told = f"never below; least on {least} {means[least]:+.2f} dB"
        yield Finding("4", _about(kbps, "psnr", loss), told, means[least], 2)


def _link(row: Row) -> tuple[str, float, float, int]:
    return row.clip, row.wire_kbps_target, row.loss, row.seed


def _above_oracle(kbps: float, group: Comparison | None) -> Iterator[Finding]:
    for measure in HEADLINE:
        ours, oracle = (group.ours(measure), group.oracle(measure)) if group else (None, None)
        for loss in (0.7, 0.8, 0.9):
            about = _about(kbps, measure, loss)
            yield _versus("5", about, measure, _at(ours, loss), _at(oracle, loss), "oracle")
