"""How a log record is written: one line whatever it holds, as logfmt or JSON, without secrets."""

from __future__ import annotations

import json
import logging
import math
import os
from datetime import UTC, datetime
from typing import Any, TextIO

from common.redact import HIDDEN, SECRET_FIELD, redact

ROOT = "semcast"
MAX_VALUE = 500
"""Characters of one field; garbage from outside must not fill the disk."""

MAX_TRACEBACK = 8000

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Severities of syslog (RFC 5424 section 6.2.1), which journald reads from the start of a line (sd-daemon(3))."""


class Formatter(logging.Formatter):
    """`ts`, `level`, `component` and `event` of every record, then its own fields, in one line."""

    def __init__(self, form: str, *, priority: bool = False) -> None:
        """`form`: logfmt or json; `priority`: begin with `<3>` and the like, for journald."""
        super().__init__()
        self.form = form
        self._write = _json if form == "json" else _logfmt
        self._priority = priority

    def format(self, record: logging.LogRecord) -> str:
        line = self._write(self._fields(record))
        return f"<{PRIORITIES.get(record.levelno, 6)}>{line}" if self._priority else line

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        head: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            # Of our own without the common root; those of libraries as they are.
            "component": record.name.removeprefix(ROOT + "."),
            "event": _shown("event", record.getMessage()),
        }
        for name, value in getattr(record, "fields", {}).items():
            head[f"{name}_" if name in head else name] = _shown(name, value)
        if record.exc_info:
            head["traceback"] = _cut(redact(self.formatException(record.exc_info)), MAX_TRACEBACK)
        return head


def under_journal(stream: TextIO) -> bool:
    """Whether what is written to `stream` goes to journald: JOURNAL_STREAM names its device and inode."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def _shown(name: str, value: Any) -> Any:
    """Numbers as they are, everything else as text of bounded length and without secrets; of bytes only how many."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET_FIELD.search(name):
        return HIDDEN
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} bytes)"
    return _cut(redact(str(value)), MAX_VALUE)


def _cut(text: str, most: int) -> str:
    text = text if len(text) <= most else text[:most] + "..."
    return text.encode(errors="backslashreplace").decode()  # names of files may be no text


def _json(fields: dict[str, Any]) -> str:
    finite = {key: _finite(value) for key, value in fields.items()}
    return json.dumps(finite, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _logfmt(fields: dict[str, Any]) -> str:
    return " ".join(f"{key}={_word(value)}" for key, value in fields.items())


def _word(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    plain = text and all(char.isprintable() and char not in ' "=' for char in text)
    return text if plain else json.dumps(text, ensure_ascii=False)
