"""The command line of the relay."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tests.bench.link.impairments import NAMES, Damaged, Impairments, fields_of
from tests.bench.link.replay import MAX_CHARACTERS, parse

ABOUT = """\
A bad link in user space: UDP from any client at --listen goes to --to, replies go back to the client that spoke last.
Each direction loses, delays, reorders, doubles and damages packets, has a rate and a queue, and breaks off, as told.
Every decision is a hash of the seed, the direction and the packet's number, so a run can be repeated."""

EXAMPLES = """\
a link that loses half of the packets in runs of six, 300 kbit/s with a queue of 250 ms, 40 ms each way:
  %(prog)s --listen 127.0.0.1:5000 --to 127.0.0.1:5004 --loss 0.5 --burst 6 --rate-kbps 300 --queue-ms 250 --delay-ms 40
bad there, good back; and no way back at all:
  %(prog)s --listen :5000 --to 10.0.0.2:5004 --loss 0.5 --back-loss 0
  %(prog)s --listen :5000 --to 10.0.0.2:5004 --loss 0.5 --no-return
radio with one wrong symbol of 6 bits in a thousand (64-QAM), damaged packets delivered:
  %(prog)s ... --symbol-errors 0.001 --symbol-bits 6 --damaged deliver
a recorded link, over and over; other conditions while it runs:
  %(prog)s ... --replay lte.trace --control 127.0.0.1:5100
  echo '{"set": {"loss": 0.8, "delay_ms": 100}, "direction": "forward"}' | nc -q1 127.0.0.1 5100
  echo '{"outage": 2.0}' | nc -q1 127.0.0.1 5100         also {"get": "stats"}, {"get": "settings"}, {"roam": true}

A trace for --replay has a line for each entry: either Mahimahi's milliseconds at which 1500 bytes may leave, or JSON
like {"t": 2.5, "kbps": 300, "loss": 0.1, "delay_ms": 40}, which says what holds from 2.5 s on; {"t": 9} ends the lap.

Ends on SIGINT or SIGTERM with a line of JSON: by direction, packets received, forwarded, lost, damaged, met by an
outage, too many for the queue (overflow), duplicated, corrupted, reordered; bytes, and ms in the queue.
Exit codes: 0, 1 a port is taken, 78 impossible settings."""


class Option(NamedTuple):
    """An impairment; its name is one of impairments.NAMES, or `outage`."""

    name: str
    kind: Callable[[str], Any]
    metavar: str
    help: str


def address(text: str) -> tuple[str, int]:
    """HOST:PORT or [HOST]:PORT; without a host all of this one."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)


def outage(text: str) -> tuple[float, float]:
    """START:LENGTH in seconds."""
    try:
        start, length = map(float, text.split(":"))
        return start, length
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not START:LENGTH in seconds") from None


def number_or_none(text: str) -> float | None:
    """A number, or none."""
    return None if text == "none" else float(text)


OPTIONS = (
    Option("loss", float, "SHARE", "of packets lost, 0..1 (0)"),
    Option(
        "burst",
        number_or_none,
        "PACKETS",
        "mean length of a run of losses, Gilbert-Elliott (independent losses)",
    ),
    Option("delay_ms", float, "MS", "one-way delay (0)"),
    Option("jitter_ms", float, "MS", "up to this much more delay, order kept (0)"),
    Option("reorder", float, "SHARE", "of packets that others overtake (0)"),
    Option("reorder_ms", float, "MS", "how long those wait (20)"),
    Option("duplicate", float, "SHARE", "of packets that arrive twice (0)"),
    Option("corrupt", float, "SHARE", "of packets with one bit flipped (0)"),
    Option("symbol_errors", float, "RATE", "symbols that arrive wrong, of those of IP, UDP and payload (0)"),
    Option("symbol_bits", int, "BITS", "of a symbol (8)"),
    Option(
        "damaged",
        str,
        "WHAT",
        f"with packets that hold wrong symbols: {' or '.join(get_args(Damaged))} (drop)",
    ),
    Option("rate_kbps", number_or_none, "KBPS", "bottleneck, IP and UDP headers counted (none)"),
    Option("queue_ms", float, "MS", "queue of the bottleneck: who would wait longer is dropped (200)"),
    Option("outage", outage, "START:LENGTH", "seconds after the first packet; repeatable"),
    Option("replay", Path, "FILE", "a recorded link, looped; it may take the place of the rate"),
)


def parse_options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options; an impairment that was not named is not in it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.relay",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--listen", type=address, required=True, metavar="HOST:PORT", help="where clients send to")
    add("--to", type=address, required=True, metavar="HOST:PORT", help="the target")
    add("--seed", type=int, default=1, help="same seed, same packets lost (1)")
    add("--no-return", action="store_true", help="every reply is lost")
    add(
        "--roam-every",
        type=float,
        metavar="S",
        help="a new source port towards the target every so many seconds",
    )
    add(
        "--control",
        type=address,
        metavar="HOST:PORT",
        help="TCP socket that takes changes while it runs, see below",
    )
    add("--trace", type=Path, metavar="FILE", help="writes one line of JSON per packet")
    there = parser.add_argument_group(
        "impairments", "of both directions; --back-loss and so on: of the replies alone"
    )
    for option in OPTIONS:
        flag = option.name.replace("_", "-")
        action = "append" if option.name == "outage" else "store"
        more: dict[str, Any] = {"type": option.kind, "action": action, "default": argparse.SUPPRESS}
        there.add_argument(f"--{flag}", metavar=option.metavar, help=option.help, **more)
        there.add_argument(f"--back-{flag}", metavar=option.metavar, help=argparse.SUPPRESS, **more)
    return parser.parse_args(argv)


def impairments(args: argparse.Namespace) -> tuple[Impairments, Impairments]:
    """Forward and back. Raises ValueError that names the setting, OSError when a trace cannot be read."""
    given = vars(args)
    forward = _fields(given, "")
    there = Impairments(**forward)
    try:
        back = forward | _fields(given, "back_") | ({"loss": 1.0, "burst": None} if args.no_return else {})
        return there, Impairments(**back)
    except ValueError as error:
        raise ValueError(f"back: {error}") from None


def _fields(given: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Fields of Impairments from the options with this prefix."""
    settings = {name: given[prefix + name] for name in NAMES if prefix + name in given}
    trace: Path | None = settings.pop("replay", None)
    fields = fields_of(settings)
    if prefix + "replay" in given:
        fields["replay"] = None if trace is None or str(trace) == "none" else _read_replay(trace)
    if prefix + "outage" in given:
        fields["outages"] = tuple(given[prefix + "outage"])
    return fields


def _read_replay(path: Path) -> object:
    with path.open("rb") as file:
        data = file.read(MAX_CHARACTERS + 1)
    try:
        return parse(data.decode())
    except ValueError as error:
        raise ValueError(f"replay: {path}: {error}") from None
