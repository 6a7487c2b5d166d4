"""Where `classic` looks better than `resilient`: python -m tests.bench.profiles --clips FILE|DIR ... [--out FILE.json]

Each clip, cut to --size, through the links of the loss sweep with reports (100 ms), at each wire rate and loss: PSNR,
MS-SSIM and the share of frozen pictures, from the second second on. Thresholds of sender/profile.py come from this
table; so they are measured on training clips, never on those that results are told of.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice, product
from multiprocessing import get_context
from pathlib import Path

import av

from common.codec.switching import CLASSIC, RESILIENT
from common.values import Size, parse_size
from common.video import Picture, Resizer
from tests.bench.contestant import unit_frames
from tests.bench.measures import freezes
from tests.bench.quality import ms_ssim, psnr
from tests.bench.resilient import Resilient
from tests.bench.trial import Condition, Settings, Trial, outcomes

FPS, DELAY_MS = 15.0, 500.0
SWITCHED = (RESILIENT, CLASSIC)
SETTLED = 16  # pictures at the beginning that are not judged: neither profile knows the link yet
LOSSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
KBPS = (60.0, 120.0, 250.0, 500.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """One clip in one profile through one link."""

    profile: str
    clip: str
    kbps: float
    loss: float
    feedback: str
    psnr: float
    ms_ssim: float
    frozen: float  # share of the pictures
    wire: float  # spent, over the target


@dataclass(frozen=True)
class Job:
    """One clip at one rate in one profile, through links of all losses."""

    profile: str
    clip: Path
    kbps: float
    losses: tuple[float, ...]
    size: Size
    frames: int
    rtt_ms: float | None


def pictures(path: Path, size: Size, frames: int) -> list[Picture]:
    """The first pictures of a clip at about FPS, cut to a size, in whole units."""
    resizer = Resizer(size.width, size.height)
    with av.open(str(path)) as container:
        step = max(1, round(float(container.streams.video[0].average_rate or FPS) / FPS))
        taken = [
            resizer.convert(frame) for frame in islice(container.decode(video=0), 0, step * frames, step)
        ]
    return taken[: len(taken) // unit_frames() * unit_frames()]


def cells(job: Job) -> list[Cell]:
    """One for each loss."""
    sent = pictures(job.clip, job.size, job.frames)
    conditions = tuple(Condition(loss, "iid", job.rtt_ms, 0) for loss in job.losses)
    who = Resilient(profile=job.profile)
    trial = Trial(who, job.clip, job.kbps, Settings(FPS, DELAY_MS), conditions)
    out = []
    for outcome in outcomes(trial, sent):
        shown = outcome.ways[0]
        pairs = list(zip(sent, shown, strict=True))[SETTLED:]
        wire = outcome.encoded.wire_bytes / (job.kbps * 125 * len(sent) / FPS)
        out.append(
            Cell(
                job.profile,
                job.clip.stem,
                job.kbps,
                outcome.condition.loss,
                outcome.condition.feedback,
                round(statistics.fmean(psnr(a, b) for a, b in pairs), 3),
                round(statistics.fmean(ms_ssim(a, b) for a, b in pairs), 4),
                round(freezes(sent[SETTLED:], shown[SETTLED:])[0], 4),
                round(wire, 3),
            )
        )
    return out


def run(jobs: Sequence[Job], processes: int) -> Iterator[list[Cell]]:
    """The cells of each job, as they come."""
    if processes == 1:
        yield from map(cells, jobs)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(cells, jobs)


def table(rows: Iterable[Cell]) -> str:
    """Markdown: means over the clips, a line for each rate and loss."""
    groups: dict[tuple[float, float], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[row.kbps, row.loss][row.profile].append(row)
    first, second = SWITCHED
    lines = [
        f"| kbit/s | loss | {first} dB | {second} dB | gain | {first} MS-SSIM | {second} MS-SSIM"
        f" | {second} better on | {first} frozen | {second} frozen |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (kbps, loss), by in sorted(groups.items()):
        a, b = ({cell.clip: cell for cell in by[name]} for name in (first, second))
        clips = sorted(a.keys() & b.keys())
        if not clips:
            continue
        mean = {
            (name, what): statistics.fmean(getattr(side[clip], what) for clip in clips)
            for name, side in ((first, a), (second, b))
            for what in ("psnr", "ms_ssim", "frozen")
        }
        better = sum(b[clip].psnr > a[clip].psnr for clip in clips)
        lines.append(
            f"| {kbps:g} | {loss:g} | {mean[first, 'psnr']:.2f} | {mean[second, 'psnr']:.2f}"
            f" | {mean[second, 'psnr'] - mean[first, 'psnr']:+.2f} | {mean[first, 'ms_ssim']:.4f}"
            f" | {mean[second, 'ms_ssim']:.4f} | {better}/{len(clips)} | {mean[first, 'frozen']:.3f}"
            f" | {mean[second, 'frozen']:.3f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.profiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", metavar="FILE")
    add("--profiles", nargs="+", choices=SWITCHED, default=list(SWITCHED))
    add("--wire-kbps", type=float, nargs="+", default=list(KBPS), metavar="KBPS")
    add("--loss", type=float, nargs="+", default=list(LOSSES), metavar="SHARE")
    add("--feedback", type=float, default=100.0, metavar="RTT_MS", help="below 0: no reports (default: 100)")
    add("--size", type=parse_size, default=Size(256, 256), metavar="WxH")
    add("--frames", type=int, default=64, help="of each clip at most (default: 64)")
    add("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    add(
        "--out",
        type=Path,
        metavar="FILE.json",
        help="all rows; those of other profiles, clips and rates are kept",
    )
    args = parser.parse_args(argv)
    rows = [Cell(**row) for row in json.loads(args.out.read_text())] if args.out and args.out.exists() else []
    rtt = args.feedback if args.feedback >= 0 else None
    grid = product(args.wire_kbps, args.clips or [], args.profiles)
    jobs = [Job(p, clip, kbps, tuple(args.loss), args.size, args.frames, rtt) for kbps, clip, p in grid]
    again = {(job.profile, job.clip.stem, job.kbps) for job in jobs}
    rows = [row for row in rows if (row.profile, row.clip, row.kbps) not in again]
    for made in run(jobs, args.jobs):
        rows += made
        print(f"profiles: {made[0].profile}, {made[0].clip}, {made[0].kbps:g} kbit/s", file=sys.stderr)
        if args.out:
            lines = [json.dumps(asdict(row)) for row in sorted(rows, key=lambda r: tuple(asdict(r).values()))]
            args.out.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
