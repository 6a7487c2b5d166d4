"""A lossy UDP relay: `python -m tests.relay --listen 127.0.0.1:5000 --to 127.0.0.1:5001 --loss 0.5 --seed 1`.

Forwards what anyone sends to --listen, one way. Ends on SIGINT or SIGTERM with exit code 0 and prints one
line of JSON with what it did. --trace writes a line of JSON per packet, for measurements.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

import uvloop

from tests.channel import IP_UDP_BYTES, Channel, Impairments

MAX_IN_FLIGHT = 20_000  # packets held for their delay; beyond that the relay drops, so its memory is bounded


class Relay(asyncio.DatagramProtocol):
    """Runs the Channel against the clock of the loop."""

    def __init__(self, channel: Channel, target: tuple[str, int], trace: IO[str] | None = None) -> None:
        self._channel = channel
        self._target = target
        self._trace = trace
        self._transport: asyncio.DatagramTransport | None = None
        self._in_flight = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        deliveries = self._channel.transfer(data, now)
        if self._trace is not None:
            line = {"at": time.time(), "wire_bytes": len(data) + IP_UDP_BYTES, "copies": len(deliveries)}
            self._trace.write(json.dumps(line) + "\n")
        for at, payload in deliveries:
            if at <= now:
                self._send(payload)
            elif self._in_flight < MAX_IN_FLIGHT:
                self._in_flight += 1
                loop.call_at(at, self._send_later, payload)
            else:
                self._channel.counts.overflow += 1
                self._channel.counts.forwarded -= 1

    def error_received(self, exc: Exception) -> None:
        """Nobody listens at the target (yet): a link does not care."""

    def _send_later(self, payload: bytes) -> None:
        self._in_flight -= 1
        self._send(payload)

    def _send(self, payload: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(payload, self._target)


async def serve(
    listen: tuple[str, int], target: tuple[str, int], channel: Channel, trace: IO[str] | None
) -> None:
    """Relays until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Relay(channel, target, trace), local_addr=listen, family=family
    )
    try:
        await stopped.wait()
    finally:
        transport.close()


def summary(channel: Channel) -> dict[str, float | int]:
    """The counts, and the share of packets that did not get through."""
    counts: dict[str, float | int] = asdict(channel.counts)
    gone = channel.counts.lost + channel.counts.outage + channel.counts.overflow
    counts["loss_observed"] = round(gone / max(1, channel.counts.received), 4)
    return counts


def address(text: str) -> tuple[str, int]:
    """HOST:PORT or [HOST]:PORT."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def outage(text: str) -> tuple[float, float]:
    """START:LENGTH in seconds."""
    start, colon, length = text.partition(":")
    try:
        return float(start), float(length if colon else "nan")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not START:LENGTH in seconds") from None


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.relay", description="lossy UDP relay, one way")
    add = parser.add_argument
    add("--listen", type=address, required=True, metavar="HOST:PORT")
    add("--to", type=address, required=True, metavar="HOST:PORT")
    add("--seed", type=int, default=1, help="same seed, same packets lost (1)")
    add("--loss", type=float, default=0.0, help="share of packets lost, 0..1 (0)")
    add("--burst", type=float, metavar="PACKETS", help="mean length of a run of losses (independent losses)")
    add("--delay-ms", type=float, default=0.0, help="one-way delay (0)")
    add("--jitter-ms", type=float, default=0.0, help="up to this much more delay, order kept (0)")
    add("--reorder", type=float, default=0.0, help="share of packets that others overtake (0)")
    add("--reorder-ms", type=float, default=20.0, help="how long those wait (20)")
    add("--duplicate", type=float, default=0.0, help="share of packets that arrive twice (0)")
    add("--corrupt", type=float, default=0.0, help="share of packets with one bit flipped (0)")
    add(
        "--outage",
        type=outage,
        action="append",
        default=[],
        metavar="START:LENGTH",
        help="seconds; repeatable",
    )
    add("--rate-kbps", type=float, help="bottleneck, IP and UDP headers counted (none)")
    add("--queue-ms", type=float, default=200.0, help="queue of the bottleneck (200)")
    add("--trace", type=Path, metavar="FILE", help="one line of JSON per packet")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    try:
        link = Impairments(
            loss=args.loss,
            burst=args.burst,
            delay_s=args.delay_ms / 1e3,
            jitter_s=args.jitter_ms / 1e3,
            reorder=args.reorder,
            reorder_s=args.reorder_ms / 1e3,
            duplicate=args.duplicate,
            corrupt=args.corrupt,
            outages=tuple(args.outage),
            rate_kbps=args.rate_kbps,
            queue_s=args.queue_ms / 1e3,
        )
    except ValueError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 78
    channel = Channel(link, args.seed)
    trace = args.trace.open("w", buffering=1) if args.trace else None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(args.listen, args.to, channel, trace))
    except OSError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    finally:
        if trace is not None:
            trace.close()
    print(json.dumps(summary(channel)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
