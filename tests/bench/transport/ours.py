"""Our transport as two processes: UDP packets in, over the link, UDP packets out.

`python -m tests.bench.transport.ours send|receive --delivery tolerant|protected|reliable ...`
"""

from __future__ import annotations

import argparse
import asyncio
import math
import socket
import sys
import time
from collections.abc import Sequence

import uvloop

from proto.protection import Losses, Policy
from proto.wire import Mode
from tests.bench.transport.ends import (
    End,
    MessageReceiver,
    MessageSender,
    ProtectedReceiver,
    ProtectedSender,
    TolerantReceiver,
    TolerantSender,
)
from tests.bench.transport.workload import HOST, WORKLOADS, udp_socket


async def serve(end: End, near: socket.socket | None, far: socket.socket) -> None:
    """Runs an end until cancelled; `near` is read at a sender alone."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def wake() -> None:
        nonlocal timer
        if timer is not None:
            timer.cancel()
        due = end.wake(time.monotonic())
        timer = None if due == math.inf else loop.call_later(max(due - time.monotonic(), 0.0), wake)

    def readable(sock: socket.socket) -> None:
        while True:
            try:
                data, address = sock.recvfrom(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                continue  # nobody listens yet
            if sock is near:
                end.given(data, time.monotonic())
            else:
                end.received(data, address, time.monotonic())
        wake()

    for sock in (near, far):
        if sock is not None:
            loop.add_reader(sock, readable, sock)
    wake()
    await loop.create_future()


def sending(args: argparse.Namespace) -> tuple[End, socket.socket | None, socket.socket]:
    """From `--near` to the relay at `--far`."""
    near, far = udp_socket(args.near), udp_socket()
    sockets, workload = (near, (HOST, 0), far, (HOST, args.far)), WORKLOADS[args.workload]
    if args.delivery == "tolerant":
        return TolerantSender(*sockets, workload=workload, mode=Mode(args.mode)), near, far
    if args.delivery == "protected":
        losses = Losses(args.loss, args.burst)
        policy = Policy(losses, max_overhead=args.max_overhead)
        return ProtectedSender(*sockets, workload=workload, policy=policy), near, far
    return MessageSender(*sockets), near, far


def receiving(args: argparse.Namespace) -> tuple[End, socket.socket | None, socket.socket]:
    """From `--far`, where the relay sends to, to the application at `--near`."""
    near, far = udp_socket(), udp_socket(args.far)
    sockets = (near, (HOST, args.near), far, (HOST, 0))
    if args.delivery == "tolerant":
        return TolerantReceiver(*sockets, mode=Mode(args.mode)), None, far
    end = ProtectedReceiver(*sockets) if args.delivery == "protected" else MessageReceiver(*sockets)
    return end, None, far


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one end until it is killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.transport.ours", description=__doc__)
    parser.add_argument("end", choices=["send", "receive"])
    parser.add_argument("--delivery", choices=["tolerant", "protected", "reliable"], required=True)
    parser.add_argument("--near", type=int, required=True, help="UDP port of the application's packets")
    parser.add_argument("--far", type=int, required=True, help="UDP port of the link")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), required=True)
    parser.add_argument("--mode", choices=[mode.value for mode in Mode], default="auto", help="tolerant")
    parser.add_argument("--loss", type=float, default=0.1, help="that the protection believes in")
    parser.add_argument("--burst", type=float, help="mean run of losses that it believes in")
    parser.add_argument("--max-overhead", type=float, default=3.0, help="parity to source packets, at most")
    args = parser.parse_args(argv)
    end, near, far = (sending if args.end == "send" else receiving)(args)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(end, near, far))
    return 0


if __name__ == "__main__":
    sys.exit(main())
