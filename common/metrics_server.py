"""/metrics and /healthz over HTTP, from the daemon's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from common.log import Log
from common.service import EX_UNAVAILABLE, ServiceError
from common.values import Address

Health = Callable[[], tuple[bool, Mapping[str, object]]]
"""Whether the daemon does its work, and details that go into the JSON answer."""

log = Log("metrics")

MAX_REQUEST = 8192
MAX_CLIENTS = 16
CLIENT_SECONDS = 5.0


class MetricsServer:
    """GET /metrics and /healthz over HTTP/1.1, one request a connection. Runs in the event loop.

    Bounded: at most 16 clients at a time, 8 KiB a request, 5 s a client. `start`, and `close` in a `finally`.
    """

    def __init__(self, registry: CollectorRegistry, listen: Address, health: Health) -> None:
        self._registry = registry
        self._listen = listen
        self._health = health
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> Address:
        """Listen; return the address in use (the port the system chose when 0 was asked for).

        Raises ServiceError when the address cannot be used.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, self._listen.host or None, self._listen.port, limit=MAX_REQUEST
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise ServiceError(
                f"metrics.listen: cannot listen on {self._listen}: {reason}; choose another address or `off`",
                EX_UNAVAILABLE,
            ) from None
        host, port = self._server.sockets[0].getsockname()[:2]
        log.info("metrics served", url=f"http://{Address(host, port)}/metrics")
        return Address(host, port)

    async def close(self) -> None:
        """Stop listening and hang up. May be called twice, and without `start`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) <= MAX_CLIENTS:
                async with asyncio.timeout(CLIENT_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("bad metrics request", error=type(error).__name__)
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), CLIENT_SECONDS)
            writer.transport.abort()
            self._clients.discard(task)

    def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
        method, target = (words[0], words[1].partition("?")[0]) if len(words) == 3 else ("", "")
        if method not in ("GET", "HEAD"):
            status, kind, body = "405 Method Not Allowed", "text/plain", b"only GET\n"
        elif target == "/metrics":
            # A scrape reads plain ints: about a millisecond, so it may stay in the loop.
            status, kind, body = "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry)
        elif target == "/healthz":
            healthy, details = self._health()
            text = json.dumps({"status": "ok" if healthy else "failing", **details}, default=str)
            status = "200 OK" if healthy else "503 Service Unavailable"
            kind, body = "application/json", (text + "\n").encode()
        else:
            status, kind, body = "404 Not Found", "text/plain", b"try /metrics or /healthz\n"
        lines = (
            f"HTTP/1.1 {status}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + (b"" if method == "HEAD" else body)
