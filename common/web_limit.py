"""Bounds the connections of an aiohttp server, which by itself waits for ever for the first request of each.

Who reaches the port could else use up the files that this process may have open, without any token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from common.clock import Clock, monotonic
from common.log import Log, RateLimited

MOST = 128
"""Connections; beyond it those without a request under way are closed, oldest first."""

SILENT_S = 15.0
"""A connection that has not asked for anything by then is closed."""

LOOK_S = 0.5

log = Log("web")


class ConnectionLimit:
    """Event loop thread. Its `middleware` must be the application's first; `run` is a task beside the server."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self.closed = 0
        """Connections closed because of the limits."""
        self._clock = clock
        self._began: dict[Any, float] = {}  # by the connection's protocol, oldest first
        self._asked: set[Any] = set()
        self._busy: dict[Any, int] = {}
        self._trouble = RateLimited(log)

    @property
    def middleware(self) -> Middleware:
        """Notes which connections are in use."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            protocol = request.protocol
            self._asked.add(protocol)
            self._busy[protocol] = self._busy.get(protocol, 0) + 1
            try:
                return await handler(request)
            finally:
                self._busy[protocol] -= 1
                if not self._busy[protocol]:
                    del self._busy[protocol]

        return note

    async def run(self, connections: Callable[[], list[Any]]) -> None:
        """Until cancelled. `connections`: `web.Server.connections`."""
        while True:
            self.look(connections())
            await asyncio.sleep(LOOK_S)

    def look(self, connections: list[Any]) -> None:
        """Close what is to be closed now."""
        now, there = self._clock(), set(connections)
        self._began = {each: at for each, at in self._began.items() if each in there}
        self._asked &= there
        for each in connections:
            self._began.setdefault(each, now)
        idle = [each for each in self._began if each not in self._busy]
        silent = [each for each in idle if each not in self._asked and now - self._began[each] >= SILENT_S]
        spare = [each for each in idle if each not in silent][: max(0, len(there) - len(silent) - MOST)]
        for each in silent + spare:
            self.closed += 1
            self._began.pop(each)
            if each.transport is not None:
                each.transport.abort()
        if spare:
            self._trouble.add("too many connections; idle ones are closed", most=MOST)
