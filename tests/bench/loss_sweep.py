"""Quality against packet loss at equal wire rate and equal delay: what `resilient` and ordinary codecs show of it.

Offline and exact: no sockets, a seeded link that loses packets (erasures.py), every byte on the wire counted (IP and
UDP 28 bytes a packet, our header and tag; the same for the peers). The peers are ordinary encoders in their best
low-delay settings (peers.py) with an ideal erasure code: a block of k data packets sent as n = k / code rate is whole
when any k arrive. All are held to one delay from capture to display. Nobody knows the loss beforehand.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from fractions import Fraction
from itertools import product
from multiprocessing import active_children, get_context
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tests.bench import plots, report
from tests.bench.contestant import Contestant, serialisation_seconds
from tests.bench.options import OTHERS, OURS, PEERS, parser
from tests.bench.protected import Protected
from tests.bench.resilient import Resilient
from tests.bench.rows import Key, Row, RowsError, load, save
from tests.bench.trial import Condition, Settings, Trial, TrialError, read_clip, rows_of
from tests.bench.vmaf import VmafError, ffmpeg

SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".y4m")
SAVE_SECONDS = 5.0


class UsageError(ValueError):
    """What the caller can mend; the text says what."""


def contestants(names: Sequence[str], code_rates: Sequence[Fraction], delay_ms: float) -> list[Contestant]:
    """By name: one of our profiles, or a peer at each code rate. Raises UsageError."""
    out: list[Contestant] = []
    for name in dict.fromkeys(names):
        if name in (OURS, *OTHERS):
            out.append(Resilient(profile=name))
        elif name in PEERS:
            out += [Protected(f"lib{name}", rate, delay_ms) for rate in dict.fromkeys(code_rates)]
        else:
            raise UsageError(f"no contestant {name!r}; there are {', '.join((OURS, *OTHERS, *PEERS))}")
    return out


def clip_files(paths: Sequence[Path]) -> list[Path]:
    """The clips named, and those in the folders named, each whole unit of which can be measured. Raises UsageError."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"--clips: no videos in {path}")
        files += inside
    files = list(dict.fromkeys(files))
    stems: dict[str, Path] = {}
    for file in files:
        if (other := stems.setdefault(file.stem, file)) != file:
            raise UsageError(f"--clips: {other} and {file} would have one name in the results")
        try:
            read_clip(file, 4)
        except ValueError as error:
            raise UsageError(f"--clips: {file}: {error}") from error
    return files


def key_of(trial: Trial, condition: Condition) -> Key:
    """The key that the row of a condition will have."""
    rate = Fraction(trial.who.code_rate or 0)
    place = (trial.clip.stem, float(trial.kbps), float(condition.loss), condition.channel)
    return (trial.who.name, rate, *place, condition.feedback, condition.seed)


def missing(trials: Sequence[Trial], known: set[Key]) -> list[Trial]:
    """What of the trials has no row yet."""
    out = []
    for trial in trials:
        left = tuple(c for c in trial.conditions if key_of(trial, c) not in known)
        if left:
            out.append(Trial(trial.who, trial.clip, trial.kbps, trial.settings, left))
    return out


def run(trials: Sequence[Trial], jobs: int) -> Generator[tuple[str, Row]]:
    """(what it is about, row) as they are made. Raises TrialError."""
    if jobs == 1:
        yield from ((str(trial), row) for trial in trials for row in rows_of(trial))
        return
    others = set(active_children())
    with ProcessPoolExecutor(jobs, get_context("spawn"), _prepare) as pool:
        try:
            futures = {pool.submit(_all_rows, trial): str(trial) for trial in trials}
            for future in as_completed(futures):
                yield from ((futures[future], row) for row in future.result())
        except BrokenProcessPool as error:
            raise TrialError("a process ended by itself; was there too little memory for --jobs?") from error
        except BaseException:  # the user stops all, or a trial failed: nobody waits for the others
            for process in set(active_children()) - others:
                process.terminate()
            raise


def _prepare() -> None:
    """One thread a process; an interrupt from the keyboard is for the parent, which ends the others."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _all_rows(trial: Trial) -> list[Row]:
    return list(rows_of(trial))


def sweep(
    trials: Sequence[Trial], kept: Sequence[Row], out: Path | None, jobs: int, show: Console
) -> list[Row]:
    """Kept and new rows, which also stand in `out`: every few seconds, and however this ends."""
    rows = list(kept)
    todo = missing(trials, {row.key for row in kept})
    total = sum(len(trial.conditions) for trial in todo)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"))
    clocks = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
    saved = time.monotonic()
    # The pace of the last ten minutes: clips and rates differ.
    with Progress(*columns, *clocks, console=show, speed_estimate_period=600) as progress:
        bar = progress.add_task("starting", total=total)
        try:
            with closing(run(todo, jobs)) as made:
                for about, row in made:
                    rows.append(row)
                    progress.update(bar, advance=1, description=about)
                    if out and time.monotonic() - saved > SAVE_SECONDS:
                        save(out, rows)
                        saved = time.monotonic()
        finally:
            if out:
                save(out, rows)
    return rows


def kept_rows(out: Path | None, settings: Settings, again: Sequence[str]) -> list[Row]:
    """Rows of an earlier run, without those of the contestants named. Raises UsageError where they do not fit."""
    if out is None or not out.exists():
        return []
    rows = load(out)
    now = {"fps": settings.fps, "delay_ms": settings.delay_ms, "frames": settings.limit}
    for row in rows:
        if row.settings != now:
            told = ", ".join(
                f"{name} {row.settings[name]} there, {now[name]} here"
                for name in now
                if row.settings[name] != now[name]
            )
            raise UsageError(
                f"--out: {out} was made with other settings ({told}); give another file or the same settings"
            )
    return [row for row in rows if row.contestant not in again]


def _trials(args: argparse.Namespace) -> list[Trial]:
    settings = Settings(args.fps, args.delay_ms, args.frames)
    try:
        serialisation_seconds(args.delay_ms, args.fps)
    except ValueError as error:
        raise UsageError(f"--delay-ms: {error}") from error
    if unnamed := set(args.again) - set(args.contestants):
        raise UsageError(f"--again: {', '.join(sorted(unnamed))} is not among --contestants")
    everyone = contestants(args.contestants, args.code_rates, args.delay_ms)
    losses, seeds = dict.fromkeys(args.loss), range(args.seeds)
    conditions = tuple(Condition(x, args.channel, args.feedback, seed) for x, seed in product(losses, seeds))
    grid = product(clip_files(args.clips), dict.fromkeys(args.wire_kbps), everyone)
    return [Trial(who, clip, kbps, settings, conditions) for clip, kbps, who in grid]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the benchmark; returns the exit code."""
    args = parser(__doc__).parse_args(argv)
    show = Console(stderr=True)
    try:
        trials = _trials(args)
        kept = kept_rows(args.out, trials[0].settings, args.again)
        if args.out and not args.out.parent.is_dir():
            raise UsageError(f"--out: no folder {args.out.parent}")
        ffmpeg()
        rows = sweep(trials, kept, args.out, args.jobs, show)
    except (UsageError, RowsError, VmafError, TrialError) as error:
        print(f"loss_sweep: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        same = "the same command" + (" without --again" if args.again else "")
        kept_in = f"; the rows so far are in {args.out}, and {same} goes on" if args.out else ""
        print(f"loss_sweep: stopped{kept_in}", file=sys.stderr)
        return 130
    print(report.tables(rows))
    if args.plot:
        for path in plots.draw(rows, args.plot):
            print(f"loss_sweep: {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
