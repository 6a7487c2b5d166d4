"""Connections that ask for nothing, and too many of them."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web

from common import web_limit
from common.web_limit import ConnectionLimit


async def test_connections_are_bounded_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_limit, "MOST", 8)
    monkeypatch.setattr(web_limit, "LOOK_S", 0.02)
    limit, go = ConnectionLimit(), asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await go.wait()
        return web.Response(text="done")

    app = web.Application(middlewares=[limit.middleware])
    app.add_routes([web.get("/", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server = runner.server
    assert server is not None
    task = asyncio.create_task(limit.run(lambda: server.connections))
    async with aiohttp.ClientSession() as client, asyncio.timeout(10):
        asking = asyncio.ensure_future(client.get(f"http://{host}:{port}/"))
        while not limit._busy:
            await asyncio.sleep(0.01)
        idle = [await asyncio.open_connection(host, port) for _ in range(30)]
        while len(server.connections) > 8 or limit.closed < 23:
            await asyncio.sleep(0.01)
        assert limit.closed == 23
        monkeypatch.setattr(web_limit, "SILENT_S", 0.1)
        while len(server.connections) > 1:
            await asyncio.sleep(0.01)
        go.set()
        assert (await asking).status == 200
        for _, writer in idle:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
    task.cancel()
    await runner.cleanup()
