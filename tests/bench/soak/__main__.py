"""Both daemons for minutes on end, through a link that changes: `python -m tests.bench.soak --minutes 30 --out DIR`.

Receiver with page and recording, relay and sender run as real processes on loopback. Each fifteenth of the time the
link is another (loss, bursts, a narrow bottleneck, jitter, an outage) or something is done to a daemon (stopped,
killed, given another key, shot at with random bytes, told another rate by SIGHUP); keys are renewed each minute. A
browser's requests go on all the time. Prints a table; DIR gets it and a plot. The exit code is 1 when memory, file
handles, threads, tasks or latency grew, too few pictures were shown, or a daemon ended by itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.soak.phases import PHASES
from tests.bench.soak.report import draw, markdown
from tests.bench.soak.run import Soak
from tests.bench.soak.view import complaints, rows
from tests.demo.settings import DemoError
from tests.e2e.daemons import daemons

FPS = 15.0  # of the synthetic scene


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="of the whole run (30)")
    parser.add_argument("--out", type=Path, help="folder for soak.md and soak.png")
    args = parser.parse_args(argv)
    if not 1.0 <= args.minutes <= 10_000.0:
        parser.error("--minutes: must be 1 to 10000")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="semcast-soak-")))
        soak = Soak(stack.enter_context(daemons(folder)), args.minutes)
        try:
            soak.run()
        except DemoError as error:
            soak.complaints.append(str(error))
    table = rows(soak.moments, [phase.name for phase in PHASES])
    found = soak.complaints + complaints(table, FPS)
    for life in soak.lives:
        change = life.change()
        found += [f"{life.daemon}: {text}" for text in (change.complaints() if change else [])]
    report = markdown(soak, table, args.minutes, found)
    print(report)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "soak.md").write_text(report)
        draw(soak, args.out / "soak.png")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
