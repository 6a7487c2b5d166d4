"""Serving an aiohttp application on an address of the settings."""

from __future__ import annotations

import ssl

from aiohttp import web

from common.values import Address

SHUTDOWN_S = 1.0
"""How long requests may still take at the end."""


async def serve(app: web.Application, listen: Address, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    """Listen; the runner's `cleanup` ends it, its `addresses` tell the port. Raises OSError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host or None, listen.port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
