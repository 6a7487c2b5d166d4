"""A thread whose end the event loop waits for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable


class Worker:
    """Runs `work` in a thread of its own; `wait` returns when it returned and raises what it raised.

    The thread is a daemon thread: one that hangs in a driver does not keep the process alive.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Start it. Event loop only."""
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._thread.start()

    async def wait(self) -> None:
        """Until the work has ended; raises its error. Event loop only, after `start`."""
        assert self._done is not None, "not started"
        await asyncio.shield(self._done)

    def join(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the thread, blocking; whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._work()
        except BaseException as raised:
            error = raised
        assert self._loop is not None
        # The loop is closed when the daemon ends while this thread still hung.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, error)

    def _finish(self, error: BaseException | None) -> None:
        assert self._done is not None
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
            # Marks it as seen: at shutdown nobody may be waiting any more.
            self._done.exception()
