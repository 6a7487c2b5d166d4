"""The UDP socket: every datagram goes to the endpoint, which authenticates, counts and sorts it; replies leave here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

from common.clock import monotonic
from common.log import Log, RateLimited
from common.multicast import is_group, join
from common.service import EX_UNAVAILABLE, ServiceError
from common.values import Address as Listen
from proto.origins import Address
from proto.session import Announced, Answer, Arrival, Delivered, Dropped, Message, ReceiverEndpoint, Recovered
from proto.wire import Reason
from receiver.replies import Replies

RECEIVE_BUFFER_BYTES = 1 << 22
"""As far as net.core.rmem_max allows. While the process is not scheduled this holds the stream for many seconds, and a
flood of 20 000 packets a second for 0.2."""

HARMLESS = (Reason.LATE, Reason.DUPLICATE)
"""Counted, but part of every lossy link and not worth a line in the log."""

log = Log("receive")


class Receive(asyncio.DatagramProtocol):
    """Feeds the endpoint and sends the replies.  Event loop thread; nothing that arrives can raise out of here."""

    def __init__(
        self,
        endpoint: ReceiverEndpoint,
        replies: Replies,
        arrived: Callable[[Arrival, int, float], None],
        delivered: Callable[[Delivered, float], None] = lambda event, now: None,
        recovered: Callable[[Recovered, int, float], None] = lambda event, size, now: None,
        message: Callable[[Message], None] = lambda event: None,
        heard: Callable[[bytes, float], None] = lambda origin, now: None,
    ) -> None:
        """`arrived(arrival, size of the datagram, now)` is called for every segment of a tolerant stream that was
        taken in; `recovered` likewise for a protected stream, `delivered` for what a reliable one brings, `message`
        for control messages but announcements; `heard(origin, now)` for what a sender says beside its streams."""
        self._endpoint = endpoint
        self._replies = replies
        self._arrived = arrived
        self._delivered, self._recovered, self._message = delivered, recovered, message
        self._heard = heard
        self._refused = RateLimited(log)
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._named = b""  # the origin whose announcement was logged last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is no subclass of it
        self._poll()

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self.take(data, addr, monotonic())

    def take(self, data: bytes, addr: tuple[str | int, ...], now: float) -> None:
        """A datagram came from `addr` at `now`."""
        event = self._endpoint.receive(data, now, addr)
        if isinstance(event, Dropped):
            if event.reason not in HARMLESS:
                self._refused.add(f"packets refused: {event.reason}", source=addr[0])
        elif isinstance(event, Arrival):
            self._replies.arrived(event, now)
            self._arrived(event, len(data), now)
        elif isinstance(event, Recovered):
            self._recovered(event, len(data), now)
        elif isinstance(event, Answer):
            self._send(event.datagram, addr)
        else:
            self._heard(event.origin, now)
            self._beside(event, now)

    def _beside(self, event: Delivered | Announced | Message, now: float) -> None:
        if isinstance(event, Delivered):
            self._delivered(event, now)
            if self._transport is not None:
                self._poll()  # it is to be acknowledged
        elif isinstance(event, Announced):
            self._announced(event)
        else:
            self._message(event)

    def _announced(self, event: Announced) -> None:
        if event.origin != self._named:
            self._named = event.origin
            log.info("sender announced", name=event.announcement.name or "-", mode=event.announcement.mode)

    def _poll(self) -> None:
        """Send what is due, and come again."""
        if self._timer is not None:
            self._timer.cancel()
        now = monotonic()
        for datagram, address in self._replies.poll(now):
            self._send(datagram, address)
        delay = self._replies.next_time(now) - now
        self._timer = asyncio.get_running_loop().call_later(delay, self._poll)

    def _send(self, datagram: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, address)

    def error_received(self, exc: Exception) -> None:
        log.debug("socket error", error=str(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._refused.flush()


def open_socket(listen: Listen, interface: str = "") -> socket.socket:
    """A bound UDP socket; without a host it takes IPv4 and IPv6; a multicast group is joined on `interface`.

    Raises ServiceError with the fix."""
    try:
        return _bound(listen, interface)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServiceError(
            f"listen: cannot receive at {listen}: {reason}; choose another address, port or interface",
            EX_UNAVAILABLE,
        ) from None


def _bound(listen: Listen, interface: str) -> socket.socket:
    if not listen.host:
        with contextlib.suppress(OSError):
            return _bind(socket.AF_INET6, ("::", listen.port), dual_stack=True)
        return _bind(socket.AF_INET, ("0.0.0.0", listen.port))
    found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    if not is_group(listen.host):
        return _bind(family, address)
    sock = _bind(family, address, shared=True)
    try:
        join(sock, listen.host, interface)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(
    family: int, address: tuple[Any, ...], dual_stack: bool = False, shared: bool = False
) -> socket.socket:
    """`shared`: others on this host may receive the same."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if dual_stack:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.setblocking(False)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
