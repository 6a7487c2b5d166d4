"""Runs two links against the clock and sockets: clients <-> relay <-> target, as a NAT would sit between them."""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import socket
import time
from collections.abc import Callable
from typing import IO

from tests.bench.link.draws import Direction
from tests.bench.link.model import IP_UDP_BYTES, Link

MAX_IN_FLIGHT = (
    65_536  # packets a direction holds for their delay; beyond that they are refused, so memory is bounded
)
BATCH = 64  # datagrams read in a turn, so that neither direction starves the other
BUFFER_BYTES = 4 << 20
TICK_S = 1e-3  # timers of the loop are as fine as that: a delivery is up to this late, never early

Address = tuple[str, int]


class Lane:
    """One direction: packets in, deliveries out at their times."""

    def __init__(self, link: Link, send: Callable[[bytes], None], trace: IO[str] | None) -> None:
        self.link = link
        self.unsent = 0
        self._send = send
        self._trace = trace
        self._in_flight: list[tuple[float, int, bytes]] = []
        self._entered = 0
        self._armed = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def push(self, data: bytes, now: float) -> None:
        """A packet enters; `flush` sends what is due."""
        copies = 0
        if len(self._in_flight) < MAX_IN_FLIGHT:
            for at, payload in self.link.transfer(data, now):
                heapq.heappush(self._in_flight, (at, self._entered, payload))
                self._entered += 1
                copies += 1
        else:
            self.link.refuse(data, now)
        if self._trace is not None:
            way = self.link.direction.name.lower()
            line = {"at": time.time(), "way": way, "wire_bytes": len(data) + IP_UDP_BYTES, "copies": copies}
            self._trace.write(json.dumps(line) + "\n")

    def flush(self, now: float) -> None:
        """Sends what is due, and comes back for the rest."""
        while self._in_flight and self._in_flight[0][0] <= now:
            try:
                self._send(heapq.heappop(self._in_flight)[2])
            except OSError:
                self.unsent += 1
        if self._in_flight and self._in_flight[0][0] < self._armed:
            self._arm(now)

    def _arm(self, now: float) -> None:
        self.close()
        self._armed = self._in_flight[0][0]
        ticks = math.ceil((self._armed - now) / TICK_S)
        self._timer = asyncio.get_running_loop().call_later(max(1, ticks) * TICK_S, self._due)

    def _due(self) -> None:
        self._armed = math.inf
        self.flush(time.monotonic())

    def close(self) -> None:
        """Ends its timer."""
        if self._timer is not None:
            self._timer.cancel()


class Relay:
    """Forwards from any client to the target, and the target's replies to the client that spoke last.

    To be used in a running event loop alone. A client whose address changes is followed at its next packet.
    """

    def __init__(
        self,
        listen: Address,
        target: Address,
        forward: Link,
        back: Link,
        trace: IO[str] | None = None,
        roam_every: float | None = None,
    ) -> None:
        """Opens the sockets. Raises OSError."""
        self.roams = 0
        self._client: Address | None = None
        self._buffer = bytearray(1 << 16)
        self._roam_every = roam_every
        self._roam_timer: asyncio.TimerHandle | None = None
        self._target, self._family = _resolved(target)
        place, own_family = _resolved(listen)
        self._downstream = _opened(own_family)
        try:
            self._downstream.bind(place)
            self._upstream = self._new_upstream()
        except OSError:
            self._downstream.close()
            raise
        self.lanes = {
            Direction.FORWARD: Lane(forward, self._send_up, trace),
            Direction.BACK: Lane(back, self._send_down, trace),
        }
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._downstream, self._from_client)
        self._loop.add_reader(self._upstream, self._from_target)
        self._roam_later()

    @property
    def address(self) -> Address:
        """Where clients send to."""
        host, port = self._downstream.getsockname()[:2]
        return host, port

    @property
    def upstream(self) -> Address:
        """Where the target sees the packets come from."""
        host, port = self._upstream.getsockname()[:2]
        return host, port

    def roam(self) -> None:
        """Another source port towards the target from now on; replies to the old one get lost, as at a NAT."""
        new, old = self._new_upstream(), self._upstream
        self._loop.remove_reader(old)
        old.close()
        self._upstream = new
        self._loop.add_reader(new, self._from_target)
        self.roams += 1

    def stats(self) -> dict[str, object]:
        """For JSON: by direction what became of the packets, and how often the source port changed."""
        told = {
            way.name.lower(): lane.link.counts.told() | {"unsent": lane.unsent}
            for way, lane in self.lanes.items()
        }
        return {**told, "roams": self.roams}

    def close(self) -> None:
        """Ends timers and sockets; what is in flight is lost."""
        for lane in self.lanes.values():
            lane.close()
        if self._roam_timer is not None:
            self._roam_timer.cancel()
        for sock in (self._downstream, self._upstream):
            self._loop.remove_reader(sock)
            sock.close()

    def _new_upstream(self) -> socket.socket:
        """Bound where packets to the target leave from, but not connected: a refusal by the target's host would end
        the reading of a connected socket in uvloop."""
        with _opened(self._family) as probe:
            probe.connect(self._target)
            self._target = probe.getpeername()
            host, _, *rest = probe.getsockname()
        sock = _opened(self._family)
        try:
            sock.bind((host, 0, *rest))
        except OSError:
            sock.close()
            raise
        return sock

    def _roam_later(self) -> None:
        if self._roam_every is not None:
            self._roam_timer = self._loop.call_later(self._roam_every, self._roam_again)

    def _roam_again(self) -> None:
        try:
            self.roam()
        finally:
            self._roam_later()

    def _from_client(self) -> None:
        lane = self.lanes[Direction.FORWARD]
        for _ in range(BATCH):
            try:
                size, self._client = self._downstream.recvfrom_into(self._buffer)
            except OSError:
                break
            now = time.monotonic()
            if lane.link.counts.received == 0:  # both ways share their zero of time
                self.lanes[Direction.BACK].link.start(now)
            lane.push(bytes(memoryview(self._buffer)[:size]), now)
        lane.flush(time.monotonic())

    def _from_target(self) -> None:
        lane = self.lanes[Direction.BACK]
        for _ in range(BATCH):
            try:
                data, source = self._upstream.recvfrom(1 << 16)
            except OSError:
                break
            if source != self._target:
                continue
            lane.push(data, time.monotonic())
        lane.flush(time.monotonic())

    def _send_up(self, payload: bytes) -> None:
        self._upstream.sendto(payload, self._target)

    def _send_down(self, payload: bytes) -> None:
        if self._client is not None:
            self._downstream.sendto(payload, self._client)


def _resolved(address: Address) -> tuple[Address, socket.AddressFamily]:
    family, _, _, _, place = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    return place, family  # type: ignore[return-value]  # IPv6 has four parts, all of which are passed on


def _opened(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return sock
