"""Calls into a library that now and then never returns: made in a thread of their own, given up after a while, tried
again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from common.log import Log

log = Log("patience")

T = TypeVar("T")

TRIES = 3
MOST_STUCK = 8  # threads that may be left behind, and what they hold with them


class StuckError(RuntimeError):
    """A call did not return, however often it was tried; only a new process helps."""


class Patience:
    """For calls to one library. Any thread; several may call at a time."""

    def __init__(self, library: str, seconds: float) -> None:
        """`seconds` that a call may take; many times what it takes on a slow host."""
        self._library, self._seconds = library, seconds
        self._stuck = list[threading.Thread]()
        self._lock = threading.Lock()

    @property
    def stuck(self) -> int:
        """Calls that were given up, and have not returned since."""
        with self._lock:
            self._stuck = [thread for thread in self._stuck if thread.is_alive()]
            return len(self._stuck)

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises; it may run more than once, and so must change nothing. Raises StuckError."""
        for _ in range(TRIES):
            if self.stuck >= MOST_STUCK:
                break
            call = _Call(work)
            call.start()
            call.join(self._seconds)
            if not call.is_alive():
                return call.outcome()
            with self._lock:
                self._stuck.append(call)
            log.warning(
                "a call does not return; it is made again", library=self._library, seconds=self._seconds
            )
        raise StuckError(f"{self._library}: calls do not return: start the program again")


class _Call(threading.Thread, Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name="call", daemon=True)
        self._work = work
        self._found: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:
            self._error = error

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._found[0]
