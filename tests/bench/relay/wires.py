"""Sockets and relays on loopback for the tests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.bench.relay.client import Control
from tests.bench.relay.control import ControlServer
from tests.bench.relay.forwarder import Address, Relay

LOOPBACK = ("127.0.0.1", 0)
WAIT_S = 5.0


class Wire:
    """A UDP socket in the running loop."""

    def __init__(self, port: int = 0) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK[0], port))
        self.socket.setblocking(False)

    @property
    def address(self) -> Address:
        host, port = self.socket.getsockname()
        return host, port

    def send(self, data: bytes, to: Address) -> None:
        """At once."""
        self.socket.sendto(data, to)

    async def get(self) -> tuple[bytes, Address]:
        """The next datagram, and who sent it. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S):
            data, sender = await asyncio.get_running_loop().sock_recvfrom(self.socket, 1 << 16)
        return data, sender

    async def quiet(self, seconds: float = 0.1) -> bool:
        """Whether nothing comes for so long."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_recvfrom(self.socket, 1 << 16)
        except TimeoutError:
            return True
        return False


class Rig:
    """A client, a relay, and the target behind it."""

    def __init__(self, there: Impairments, back: Impairments, roam_every: float | None) -> None:
        self.client, self.target = Wire(), Wire()
        links = Link(there, 4), Link(back, 4, Direction.BACK)
        self.relay = Relay(LOOPBACK, self.target.address, *links, roam_every=roam_every)
        self.control: Control

    def send(self, data: bytes) -> None:
        """From the client."""
        self.client.send(data, self.relay.address)

    def close(self) -> None:
        """All sockets but those of the control."""
        self.relay.close()
        self.client.socket.close()
        self.target.socket.close()


@contextlib.asynccontextmanager
async def rigged(
    there: Impairments | None = None, back: Impairments | None = None, roam_every: float | None = None
) -> AsyncIterator[Rig]:
    """A rig with an open control connection."""
    rig = Rig(there or Impairments(), back or Impairments(), roam_every)
    server = ControlServer(rig.relay)
    try:
        async with Control(await server.start(LOOPBACK)) as control:
            rig.control = control
            yield rig
    finally:
        await server.close()
        rig.close()
        await asyncio.sleep(0)  # lets the connections end
