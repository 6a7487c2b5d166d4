"""Structured logs on standard error: one event with named fields a line, as logfmt or JSON.

`log = Log("sender.capture")`, then `log.info("source opened", source=name, fps=15)`. Keys and packet payloads
are never logged; addresses that may hold a password go through `redact`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from common.clock import Clock, monotonic

ROOT = "semcast"
MAX_VALUE = 500
"""Characters of one field; garbage from outside must not fill the disk."""

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]+@")  # up to the last @: FFmpeg takes those before it as password
_SECRETS = re.compile(r"(?i)\b(pass|passwd|password|pwd|token|secret|key|auth)=[^&;\s]+")


def redact(text: str) -> str:
    """The text without the user names, passwords and tokens of URLs."""
    return _SECRETS.sub(r"\1=***", _CREDENTIALS.sub("***@", text)) if "://" in text else text


def setup(
    level: str = "info", format: Literal["logfmt", "json"] = "logfmt", stream: TextIO | None = None
) -> None:
    """Send all events of at least `level` to `stream` (standard error). Called once, before anything logs."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if format == "json" else _Logfmt())
    root = logging.getLogger(ROOT)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
    # What libraries say (asyncio, aiortc) is only of interest when something is wrong.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


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
            self._logger.log(level, "%s", event, extra={"fields": dict(fields)}, exc_info=error)


class RateLimited:
    """Turns a flood of equal events into one line now and a summary line at most every `interval` seconds.

    One thread owns it. `add` per event; `flush` at the end, or from a timer, so that the last are told too.
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


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    # Names of our own loggers without the common root; others as they are.
    name = record.name.removeprefix(ROOT + ".")
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head = {"time": time, "level": record.levelname.lower(), "logger": name, "event": record.getMessage()}
    return head | getattr(record, "fields", {})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {key: _short(value) for key, value in _fields(record).items()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(f"{key}={_logfmt(value)}" for key, value in _fields(record).items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _short(value: Any) -> Any:
    """Numbers as they are, everything else as text of bounded length."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "..."


def _logfmt(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(_short(value))
    plain = text and all(char.isprintable() and char not in ' "=' for char in text)
    return text if plain else json.dumps(text, ensure_ascii=False)
