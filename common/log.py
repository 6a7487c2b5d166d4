"""Structured logs on standard error: one event with named fields a line, as logfmt or JSON.

`log = Log("sender.capture")`, then `log.info("source opened", source=name, fps=15)`. Every line has `ts`, `level`,
`component` and `event`. What is said again and again, also by libraries, is written once and then with the number of
its repetitions (common.log_repeat). Keys and packet payloads are never logged; passwords and tokens in texts are cut
out (common.redact). Under systemd each line begins with its priority, which journald takes off.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TextIO

from common.clock import Clock, monotonic
from common.log_format import ROOT, Formatter, under_journal
from common.log_repeat import RepeatFilter
from common.redact import redact

__all__ = ["LEVELS", "Log", "RateLimited", "is_structured", "records", "redact", "setup", "uncaught"]

LEVELS = ("debug", "info", "warning", "error", "critical")

_records: Counter[str] = Counter(dict.fromkeys(LEVELS, 0))
_counting = threading.Lock()


def records() -> dict[str, int]:
    """How many records there have been by level since the start, those that were only counted included. Any thread."""
    return dict(_records)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to a stream, but what is repeated only now and then. logging closes it at exit."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._repeats = RepeatFilter(self.handle)
        self.addFilter(_count)
        self.addFilter(self._repeats)

    def close(self) -> None:
        self._repeats.flush()
        super().close()


def _count(record: logging.LogRecord) -> bool:
    if not getattr(record, "repeated", False):
        level = record.levelname.lower()
        with _counting:
            _records[level if level in LEVELS else "info"] += 1
    return True


def setup(
    level: str = "info", format: Literal["logfmt", "json"] = "logfmt", stream: TextIO | None = None
) -> None:
    """Send all events of at least `level` to `stream` (standard error). Called once, before anything logs; another call
    takes the place of the one before."""
    target = stream or sys.stderr
    handler = _Handler(target)
    handler.setFormatter(Formatter(format, priority=under_journal(target)))
    root = logging.getLogger(ROOT)
    for former in root.handlers:
        former.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
    # What libraries say (asyncio, aiortc) is only of interest when something is wrong.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def is_structured() -> bool:
    """Whether lines are read by programs: then nothing else should be written to standard error."""
    handlers = logging.getLogger(ROOT).handlers
    return any(isinstance(h.formatter, Formatter) and h.formatter.form == "json" for h in handlers)


@contextlib.contextmanager
def uncaught() -> Iterator[None]:
    """What nobody has caught, in any thread, becomes a record instead of a traceback of many lines."""
    log, before = Log("service"), (threading.excepthook, sys.unraisablehook)

    def in_thread(hook: threading.ExceptHookArgs) -> None:
        if hook.exc_value is not None and hook.exc_type is not SystemExit:
            log.exception("thread crashed", hook.exc_value, thread=hook.thread.name if hook.thread else "-")

    def unraisable(hook: sys.UnraisableHookArgs) -> None:
        if hook.exc_value is not None:
            log.exception(hook.err_msg or "error ignored", hook.exc_value)

    threading.excepthook, sys.unraisablehook = in_thread, unraisable
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


class Log:
    """A named source of events. Any thread may use it."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{ROOT}.{name}")

    def debug(self, event: str, **fields: Any) -> None:
        """For development."""
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Normal, and rare enough to be read."""
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something an operator may want to look at; the daemon goes on."""
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """The daemon, or a part of it, gives up."""
        self._emit(logging.ERROR, event, fields)

    def exception(self, event: str, error: BaseException, **fields: Any) -> None:
        """An error that nobody foresaw, with its traceback."""
        self._emit(logging.ERROR, event, fields, error)

    def _emit(
        self, level: int, event: str, fields: Mapping[str, Any], error: BaseException | None = None
    ) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"fields": dict(fields), "event": event}
            self._logger.log(level, "%s", event, extra=extra, exc_info=error)


class RateLimited:
    """Turns a flood of events of one owner into one line now and a summary line at most every `interval` seconds.

    For events that come with every packet: unlike a record, an event that is only counted costs next to nothing. One
    thread owns it. `add` per event; `flush` at the end, or from a timer, so that the last are told too.
    """

    def __init__(self, log: Log, interval: float = 10.0, clock: Clock = monotonic) -> None:
        self._log = log
        self._interval = interval
        self._clock = clock
        self._waiting: dict[str, int] = {}
        self._last: dict[str, float] = {}

    def add(self, event: str, **fields: Any) -> None:
        """Count one event; the first, and then one each interval, is logged with its fields and the count."""
        now = self._clock()
        self._waiting[event] = self._waiting.get(event, 0) + 1
        if event not in self._last or now - self._last[event] >= self._interval:
            self._last[event] = now
            self._log.warning(event, count=self._waiting.pop(event), **fields)

    def flush(self) -> None:
        """Log what has been counted and not told yet."""
        for event, count in self._waiting.items():
            self._log.warning(event, count=count)
        self._waiting.clear()
