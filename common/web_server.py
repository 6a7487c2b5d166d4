"""Serving an aiohttp application on an address of the settings."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

from common.values import Address
from common.web_limit import ConnectionLimit

SHUTDOWN_S = 1.0
"""How long requests may still take at the end."""


class Server:
    """One that listens, with a bound on its connections. Event loop thread."""

    def __init__(self, runner: web.AppRunner, limit: ConnectionLimit) -> None:
        host, port = runner.addresses[0][:2]
        self.address = Address(host, port)
        """Where it listens; the port that the system chose when 0 was asked for."""
        server = runner.server
        assert server is not None
        self._runner = runner
        self._limiting = asyncio.create_task(limit.run(lambda: server.connections), name="web-limit")

    async def close(self) -> None:
        """Hang up."""
        self._limiting.cancel()
        await self._runner.cleanup()


async def serve(app: web.Application, listen: Address, tls: ssl.SSLContext | None = None) -> Server:
    """Listen. Raises OSError."""
    limit = ConnectionLimit()
    app.middlewares.insert(0, limit.middleware)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host or None, listen.port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return Server(runner, limit)
