"""The UDP shell: sends what the pacer releases, hears what comes back, and keeps a socket open whatever happens."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable

from common.clock import Clock, WallClock, monotonic
from common.log import Log, RateLimited
from common.meter import RateMeter
from common.multicast import connected, is_group
from common.service import EX_NOHOST, ServiceError
from common.values import Address
from proto.packet import Segment
from proto.wire import IP_UDP_BYTES, TICK_SECONDS, latest_time
from sender.capture.timing import Backoff
from sender.control import Control
from sender.encode import CodedUnit
from sender.pacer import Pacer

log = Log("sender.transmit")

HARMLESS = {errno.ECONNREFUSED, errno.EAGAIN, errno.ENOBUFS, errno.EINTR, errno.EMSGSIZE}
"""Errors after which the same socket goes on: nobody listens yet, or a queue is full. Others reopen it."""


class Transmitter:
    """Sends units to one address. Everything runs in the event loop.

    `run` keeps the socket; `submit` hands over a unit; `drained` waits until all of it has left. The counters
    are plain ints: datagrams sent, their bytes on the wire, datagrams that could not be sent, errors.
    """

    def __init__(
        self,
        to: Address,
        pacer: Pacer[Segment],
        control: Control,
        *,
        hops: int = 1,
        interface: str = "",
        clock: Clock = monotonic,
    ) -> None:
        """`hops`, `interface`: for a multicast group, see common.multicast."""
        self.packets = 0
        self.wire_bytes = 0
        self.unsent = 0
        self.errors = 0
        self.reopened = 0
        self.last_media: float | None = None
        """When a packet of video last left."""
        self.meter = RateMeter()
        self.delayed: Callable[[float], None] = lambda seconds: None
        """Told of each packet of video how long after the capture of its unit's first frame it left."""
        self._wall = WallClock()
        self._to = to
        self._pacer = pacer
        self._control = control
        self._hops, self._interface = hops, interface
        self._clock = clock
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._poll_timer: asyncio.TimerHandle | None = None
        self._broken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._trouble = RateLimited(log)

    async def run(self) -> None:
        """Open the socket, and again whenever it breaks; until cancelled.

        Raises ServiceError (exit code 68) when the host name does not exist at the first attempt.
        """
        backoff = Backoff(first=0.2, limit=5.0)
        try:
            while True:
                try:
                    await self._open()
                    backoff.reset()
                    await self._broken.wait()
                except OSError as error:
                    unknown = isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN
                    if unknown and not self.reopened:
                        raise ServiceError(
                            f"to: no such host: {self._to.host} ({error.strerror})", EX_NOHOST
                        ) from None
                    self._trouble.add(
                        "cannot open a socket", to=self._to, reason=error.strerror or str(error)
                    )
                self.reopened += 1
                self._close()
                await asyncio.sleep(backoff.next())
        finally:
            self._close()
            self._trouble.flush()

    def submit(self, unit: CodedUnit) -> None:
        """Send the unit's packets, paced."""
        self._control.unit_sent(unit.unit, len(unit.segments))
        self._pacer.submit(unit.segments, unit.duration, self._clock())
        self._idle.clear()
        self._send_due()

    async def drained(self) -> None:
        """Until nothing waits any more."""
        await self._idle.wait()

    def rate(self) -> float:
        """Bits per second on the wire over the last 4 s."""
        return 8 * self.meter.rate(self._clock())

    async def _open(self) -> None:
        self._broken.clear()
        loop = asyncio.get_running_loop()
        if is_group(self._to.host):
            group = connected(self._to.host, self._to.port, self._hops, self._interface)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(self), sock=group)
        else:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: _Protocol(self), remote_addr=(self._to.host, self._to.port)
            )
        (log.debug if self.reopened else log.info)(
            "sending", to=self._to
        )  # a flapping network reopens for ever
        self.poll()

    def received(self, datagram: bytes) -> None:
        """A datagram came back; called by the socket's protocol."""
        self._control.receive(datagram, self._clock())
        self.poll()

    def poll(self) -> None:
        """Send what the session wants to say, and come again when it next does; also when it was given something."""
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        now = self._clock()
        for datagram in self._control.poll(now, time.time()):
            self._send(datagram, now)
        delay = max(self._control.next_time() - self._clock(), 0.0)
        self._poll_timer = asyncio.get_running_loop().call_later(delay, self.poll)

    def _close(self) -> None:
        if self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _send_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        for segment in self._pacer.take(now):
            # Not sealed before it can leave: a packet that never left would look lost on the way.
            datagram = self._control.seal(segment, now) if self._is_open() else None
            if datagram is None:
                self.unsent += 1
            else:
                self._send(datagram, now)
                self.last_media = now
                self._tell_delay(segment)
        due = self._pacer.next_time()
        if due is None:
            self._idle.set()
        else:
            delay = max(due - self._clock(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self._send_due)

    def _tell_delay(self, segment: Segment) -> None:
        wall = self._wall.now()
        self.delayed(max(0.0, wall - latest_time(segment.timestamp * TICK_SECONDS, wall)))

    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _send(self, datagram: bytes, now: float) -> None:
        if self._transport is None or self._transport.is_closing():
            self.unsent += 1
            return
        try:
            self._transport.sendto(datagram)
        except OSError as error:
            self.unsent += 1
            self.failed(error)
            return
        wire = len(datagram) + IP_UDP_BYTES
        self.packets += 1
        self.wire_bytes += wire
        self.meter.add(wire, now)

    def failed(self, error: OSError) -> None:
        """The network reported an error; called by the socket's protocol."""
        self.errors += 1
        self._trouble.add("network error", to=self._to, reason=error.strerror or str(error))
        if error.errno not in HARMLESS:
            self._broken.set()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, owner: Transmitter) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self._owner.received(data)

    def error_received(self, exc: Exception) -> None:
        self._owner.failed(exc if isinstance(exc, OSError) else OSError(str(exc)))
