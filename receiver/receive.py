"""The UDP socket: every datagram goes to the endpoint, which authenticates, counts and sorts it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from common.clock import monotonic
from common.log import Log, RateLimited
from common.service import EX_UNAVAILABLE, ServiceError
from common.values import Address
from proto.session import Arrival, Dropped, ReceiverEndpoint
from proto.wire import Reason

RECEIVE_BUFFER_BYTES = 1 << 20
"""Holds several seconds at the highest rate while the process is not scheduled."""

HARMLESS = (Reason.LATE, Reason.DUPLICATE)
"""Counted, but part of every lossy link and not worth a line in the log."""

log = Log("receive")


class Receive(asyncio.DatagramProtocol):
    """Feeds the endpoint.  Event loop thread; nothing that arrives can raise out of here."""

    def __init__(self, endpoint: ReceiverEndpoint, arrived: Callable[[Arrival, int, float], None]) -> None:
        """`arrived(arrival, size of the datagram, now)` is called for every segment that was taken in."""
        self._endpoint = endpoint
        self._arrived = arrived
        self._refused = RateLimited(log)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        now = monotonic()
        event = self._endpoint.receive(data, now, addr)
        if isinstance(event, Dropped):
            if event.reason not in HARMLESS:
                self._refused.add(f"packets refused: {event.reason}", source=addr[0])
        elif isinstance(event, Arrival):
            self._arrived(event, len(data), now)

    def error_received(self, exc: Exception) -> None:
        log.debug("socket error", error=str(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self._refused.flush()


def open_socket(listen: Address) -> socket.socket:
    """A bound UDP socket; without a host it takes IPv4 and IPv6.  Raises ServiceError with the fix."""
    try:
        return _bound(listen)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServiceError(
            f"listen: cannot receive at {listen}: {reason}; choose another address or port", EX_UNAVAILABLE
        ) from None


def _bound(listen: Address) -> socket.socket:
    if not listen.host:
        with contextlib.suppress(OSError):
            return _bind(socket.AF_INET6, ("::", listen.port), dual_stack=True)
        return _bind(socket.AF_INET, ("0.0.0.0", listen.port))
    found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return _bind(family, address)


def _bind(family: int, address: tuple[Any, ...], dual_stack: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if dual_stack:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.setblocking(False)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
