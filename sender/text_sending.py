"""The operator's text on its way out: its reader in a thread, the reliable stream in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from common.clock import monotonic
from sender.control import Control
from sender.lines import follow
from sender.worker import Worker

PAUSE_S = 0.02
"""Between two lines: somebody may pipe a book in."""


class TextSending:
    """Made in the event loop, which starts `worker`."""

    def __init__(self, path: str, control: Control, poll: Callable[[], None], stop: threading.Event) -> None:
        """`path`: see sender.lines.follow; `poll`: sends what `control` holds."""
        self.worker = Worker("text", self._read)
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._control, self._poll = control, poll
        self._stop = stop

    def _read(self) -> None:
        """Body of the thread."""
        follow(self._path, self._tell, self._stop)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._send, line)
        self._stop.wait(PAUSE_S)

    def _send(self, line: str) -> None:
        self._control.text.send(line, monotonic())
        self._poll()
