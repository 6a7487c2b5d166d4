"""Delivery, latency, overhead and start of our transport beside SRT, RIST, WebRTC (aiortc) and WFB-ng.

`python -m tests.bench.transport --out DIR` runs all through the relay at losses of 0, 0.2, 0.5 and 0.8 both ways, with
bursts and with an outage: about 11 minutes on two cores; `--quick` takes about one. DIR gets transport.json (after each
step: `--resume` goes on from there), transport.md and plots. Who lacks its tool is told of, and left out: install
srt-tools, rist-tools and the extra [web]. Wall-clock latencies want a machine with little else to do; on one that is
shared, `chrt -r 1` before the command keeps the rest out of them (the run itself needs a third of a core).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tests.bench.transport import results as files
from tests.bench.transport.contestants import BY_KEY, CONTESTANTS, Contestant
from tests.bench.transport.plots import draw
from tests.bench.transport.results import Results, ResultsError
from tests.bench.transport.runs import CONDITIONS, LOSSES, Condition, Plan, Row, deliveries, new_row, starts
from tests.bench.transport.table import markdown
from tests.bench.transport.workload import CONTROL, THIN, WIDE, Workload

STARTERS = ("tolerant", "tolerant-one-way", "srt-500", "rist-500", "webrtc-data", "webrtc-rtp", "wfb")
QUICK = Plan(window_s=4.0, settle_s=0.5, connect_s=6.0, start_limit_s=8.0, between_s=1.0, start_seeds=1)
QUICK_CONDITIONS = ("loss 0", "loss 0.5")
FILE = "transport.json"


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.transport",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one workload, two losses, 4 s each")
    parser.add_argument("--out", type=Path, required=True, help="folder for figures, table and plots")
    parser.add_argument("--only", nargs="+", choices=sorted(BY_KEY), help="contestants")
    parser.add_argument("--conditions", nargs="+", choices=[condition.name for condition in CONDITIONS])
    parser.add_argument("--seconds", type=float, help="measured of each (20; 4 with --quick)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-starts", action="store_true", help="leave out how long a start takes")
    parser.add_argument("--resume", action="store_true", help="go on with what is in the folder")
    parser.add_argument(
        "--draw", action="store_true", help="run nothing: table and plots of what is in the folder"
    )
    args = parser.parse_args(argv)
    if args.seconds is not None and not 1.0 <= args.seconds <= 600.0:
        parser.error("--seconds: must be 1 to 600")
    return args


def plan_of(args: argparse.Namespace) -> Plan:
    """The times of this run."""
    plan = QUICK if args.quick else Plan()
    return plan if args.seconds is None else Plan(**{**_fields(plan), "window_s": args.seconds})


def _fields(plan: Plan) -> dict[str, float]:
    return {name: getattr(plan, name) for name in Plan.__dataclass_fields__}


async def measure(args: argparse.Namespace, results: Results, folder: Path) -> None:
    """All that is not there yet; saves and tells after each step."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, task.cancel
    )  # so that all processes are ended
    begun, before = time.monotonic(), results.seconds
    chosen = set(args.only or BY_KEY)
    done = results.done()
    for number, (kind, workload, condition, seeds) in enumerate(steps(args, results.plan)):
        wanted = [one for one in _entrants(kind, workload) if one.key in chosen]
        wanted = [one for one in wanted if not _all_done(kind, one, workload, condition, seeds, done)]
        if not wanted:
            continue
        results.loads.append(files.load_average())
        place = folder / str(number)
        if kind == "delivery":
            rows = await deliveries(wanted, workload, condition, results.plan, seeds[0], place)
        else:
            rows = await starts(wanted, workload, condition, results.plan, seeds, place)
        results.add(rows)
        results.seconds = before + time.monotonic() - begun
        results.save(args.out / FILE)
        for row in rows:
            print(line(row), flush=True)


Step = tuple[str, Workload, Condition, Sequence[int]]


def steps(args: argparse.Namespace, plan: Plan) -> Iterator[Step]:
    """What is to be run, one after the other."""
    names = args.conditions or (QUICK_CONDITIONS if args.quick else [c.name for c in CONDITIONS])
    conditions = [condition for condition in CONDITIONS if condition.name in names]
    for workload in (THIN,) if args.quick else (THIN, WIDE):
        for condition in conditions:
            yield "delivery", workload, condition, [args.seed]
    seeds = range(args.seed, args.seed + plan.start_seeds)
    for condition in [] if args.no_starts else [c for c in conditions if c in LOSSES]:
        yield "start", WIDE, condition, seeds


def _entrants(kind: str, workload: Workload) -> list[Contestant]:
    """Messages go beside the first workload."""
    if kind == "start":
        return [BY_KEY[key] for key in STARTERS]
    return [one for one in CONTESTANTS if not one.messages or workload is THIN]


def _all_done(
    kind: str,
    contestant: Contestant,
    workload: Workload,
    condition: Condition,
    seeds: Sequence[int],
    done: set[tuple[object, ...]],
) -> bool:
    carried = CONTROL if contestant.messages else workload
    return all(files.key(new_row(kind, contestant, carried, condition, seed)) in done for seed in seeds)


def line(row: Row) -> str:
    """A row, short."""
    head = f"{row['kind']:8} {row['workload']:10} {row['condition']:22} {row['contestant']:16}"
    if row["kind"] == "start":
        times = [f"{name} {_number(row.get(name))}" for name in ("on_link_s", "first_s", "again_s")]
        return f"{head} seed {row['seed']} {' '.join(times)} {row['note']}".rstrip()
    if "usable" not in row:
        return f"{head} {row['note']}"
    latency = "/".join(f"{value:.0f}" for value in row["latency_ms"] or ()) or "-"
    shares = f"delivered {row['delivered']:.3f} usable {row['usable']:.3f} ms {latency}"
    return f"{head} {shares} overhead {_number(row['overhead'])} {row['note']}".rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def opened(args: argparse.Namespace) -> Results:
    """New, or what is in the folder. Raises ResultsError."""
    path = args.out / FILE
    if args.draw:
        return files.load(path)
    plan = plan_of(args)
    if args.resume and path.exists():
        found = files.load(path)
        if found.plan != plan:
            raise ResultsError(f"{path}: made with other times; leave out --resume, or choose another folder")
        return found
    return Results(plan, machine=files.machine())


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    args = options(argv)
    try:
        results = opened(args)
    except ResultsError as error:
        print(f"transport: {error}", file=sys.stderr)
        return 1
    stopped = False
    if not args.draw:
        with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt, asyncio.CancelledError):
            stopped = True
            # Not uvloop: it stops watching a UDP socket whose peer was closed for a moment.
            with asyncio.Runner() as runner:
                runner.run(measure(args, results, Path(folder)))
            stopped = False
    text = markdown(results)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "transport.md").write_text(text)
    for path in draw(results, args.out):
        print(path)
    return 130 if stopped else 0


if __name__ == "__main__":
    sys.exit(main())
