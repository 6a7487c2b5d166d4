"""Ports of this host for what is started later."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
COUNT = 12_000
TRIES = 200


def below(outgoing: int) -> range:
    """Ports below those that the system takes for outgoing connections, the first of which is given: a client's must
    not get one before who it is for listens. Where hardly any lie below it, those below Linux's usual ones."""
    first = outgoing if outgoing >= COUNT + 2_000 else 32_768
    return range(first - COUNT, first)


RANGE = below(int(OUTGOING.read_text().split()[0]) if OUTGOING.exists() else 0)


def mine(ports: range) -> range:
    """Those of this process, where several of pytest-xdist's test side by side."""
    worker, count = (os.environ.get(f"PYTEST_XDIST_WORKER{name}") for name in ("", "_COUNT"))
    return ports[int((worker or "gw0")[2:]) :: int(count or 1)]


_given: set[int] = set()
_random = random.SystemRandom()


def free_port(preferred: int = 0) -> int:
    """One that nobody uses now, over UDP nor TCP, and that was not given to anyone before; the preferred one if it is
    free. Raises OSError where there is none."""
    for port in (preferred, *(_random.choice(mine(RANGE)) for _ in range(TRIES))):
        if port and port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port on {HOST}")


def _is_free(port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True
