"""Talks to the control socket of a relay (control.py has the protocol)."""

from __future__ import annotations

import asyncio
import json
import socket
from types import TracebackType
from typing import Any

from tests.bench.relay.forwarder import Address

TIMEOUT_S = 5.0
MAX_ANSWER = 1 << 16


class ControlError(Exception):
    """The relay refused a request; the message is its own."""


class Control:
    """A connection, from asyncio; one request at a time. Raises ControlError, OSError or TimeoutError."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def __aenter__(self) -> Control:
        self._reader, self._writer = await asyncio.open_connection(*self._address, limit=MAX_ANSWER)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request."""
        self._writer.write(_line(request))
        async with asyncio.timeout(TIMEOUT_S):
            return _checked(await self._reader.readline())

    async def set(self, direction: str = "both", **settings: Any) -> None:
        """Changes the link from the next packet on: `set(loss=0.5, delay_ms=40)`."""
        await self.ask({"set": settings, "direction": direction})

    async def outage(self, seconds: float, direction: str = "both") -> None:
        """Nothing gets in for so long."""
        await self.ask({"outage": seconds, "direction": direction})

    async def roam(self) -> None:
        """Changes the source port towards the target."""
        await self.ask({"roam": True})

    async def stats(self) -> dict[str, Any]:
        """What the relay would print at its end: {"forward": {...}, "back": {...}, "roams": 0}."""
        return await self.ask({"get": "stats"})


def ask(address: Address, request: dict[str, Any], timeout: float = TIMEOUT_S) -> dict[str, Any]:
    """One request over a connection of its own, from plain code. Raises ControlError or OSError."""
    with socket.create_connection(address, timeout) as sock, sock.makefile("rb") as answers:
        sock.sendall(_line(request))
        return _checked(answers.readline(MAX_ANSWER))


def _line(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode() + b"\n"


def _checked(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ConnectionError("the relay closed the connection")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer
