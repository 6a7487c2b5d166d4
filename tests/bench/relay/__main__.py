"""`python -m tests.bench.relay --listen 127.0.0.1:5000 --to 127.0.0.1:5004 --loss 0.5`; --help tells the rest."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from typing import IO

import uvloop

from tests.bench.link.draws import Direction
from tests.bench.link.model import Link
from tests.bench.relay.control import ControlServer
from tests.bench.relay.forwarder import Relay
from tests.bench.relay.options import impairments, parse_options


async def serve(
    args: argparse.Namespace, forward: Link, back: Link, trace: IO[str] | None
) -> dict[str, object]:
    """Relays until SIGINT or SIGTERM; returns the figures. Raises OSError when a port is taken."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    relay = Relay(args.listen, args.to, forward, back, trace, args.roam_every)
    control = ControlServer(relay)
    try:
        if args.control is not None:
            await control.start(args.control)
        await stopped.wait()
    finally:
        await control.close()
        relay.close()
    return relay.stats()


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    args = parse_options(argv)
    try:
        there, back_again = impairments(args)
        if args.roam_every is not None and not args.roam_every >= 0.01:
            raise ValueError(f"roam-every: must be at least 0.01 s (got {args.roam_every})")
        forward, back = Link(there, args.seed), Link(back_again, args.seed, Direction.BACK)
    except ValueError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 78
    except OSError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    trace = None
    try:
        trace = args.trace.open("w") if args.trace else None
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            stats = runner.run(serve(args, forward, back, trace))
    except OSError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    finally:
        if trace is not None:
            trace.close()
    print(json.dumps(stats), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
