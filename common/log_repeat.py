"""Keeps floods of equal records out of a log: the first is written at once, the others as one with their number."""

from __future__ import annotations

import copy
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from common.clock import Clock, monotonic

WINDOW_S = 10.0
"""For so long after a record its repetitions are only counted."""

BURST = 20
"""Records of one event that may differ in their fields within a window; more are counted too."""

MAX_EVENTS = 256
"""Events remembered; libraries may make up any number of them."""


@dataclass(slots=True)
class _Seen:
    began: float
    fields: set[Hashable] = field(default_factory=set)
    repeated: int = 0
    last: logging.LogRecord | None = None


class RepeatFilter(logging.Filter):
    """A filter for a handler. Any thread; logging holds no lock while it asks.

    An event is what component, level and text name. Within WINDOW_S a record that says nothing new is counted instead
    of written; after it the newest of those goes to `emit`, with `repeated` telling how many it stands for.
    """

    def __init__(
        self,
        emit: Callable[[logging.LogRecord], object],
        *,
        window: float = WINDOW_S,
        clock: Clock = monotonic,
        timer: bool = True,
    ) -> None:
        """`timer`: tell what was counted when the window is over, by a thread; else only with the next record."""
        super().__init__()
        self._emit = emit
        self._window = window
        self._clock = clock
        self._with_timer = timer
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._seen: OrderedDict[Hashable, _Seen] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record now."""
        if getattr(record, "repeated", False):
            return True
        with self._lock:
            now = self._clock()
            due = self._expire(now)
            write = self._admit(record, now)
            if len(self._seen) > MAX_EVENTS:
                _, oldest = self._seen.popitem(last=False)
                due += _summary(oldest)
            if not write:
                self._arm()
        for summary in due:
            self._emit(summary)
        return write

    def flush(self) -> None:
        """Write what has been counted and not told yet."""
        with self._lock:
            due = [summary for seen in self._seen.values() for summary in _summary(seen)]
            self._seen.clear()
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        for summary in due:
            self._emit(summary)

    def __len__(self) -> int:
        """Events remembered."""
        return len(self._seen)

    def _admit(self, record: logging.LogRecord, now: float) -> bool:
        event = (record.name, record.levelno, getattr(record, "event", record.msg))
        if not isinstance(event[2], str):
            event = (*event[:2], str(event[2]))
        seen = self._seen.setdefault(event, _Seen(now))
        fields = hash(_fields(record))
        if fields not in seen.fields and len(seen.fields) < BURST:
            seen.fields.add(fields)
            return True
        seen.repeated, seen.last = seen.repeated + 1, record
        return False

    def _expire(self, now: float) -> list[logging.LogRecord]:
        """Forget the windows that are over; return what is to be told of them."""
        due: list[logging.LogRecord] = []
        while self._seen:
            event, seen = next(iter(self._seen.items()))
            if now - seen.began < self._window:
                break
            del self._seen[event]
            due += _summary(seen)
        return due

    def _arm(self) -> None:
        if self._with_timer and self._timer is None:
            self._timer = threading.Timer(self._window, self._timed)
            self._timer.daemon = True
            self._timer.name = "log"
            self._timer.start()

    def _timed(self) -> None:
        with self._lock:
            self._timer = None
            due = self._expire(self._clock())
            if any(seen.repeated for seen in self._seen.values()):
                self._arm()
        for summary in due:
            self._emit(summary)


def _fields(record: logging.LogRecord) -> str:
    """What a record says beside its event."""
    error = record.exc_info[1] if record.exc_info else None
    try:
        return f"{getattr(record, 'fields', None) or record.args!r} {error!r}"
    except Exception:  # a value that cannot be shown must not hurt who logs it
        return ""


def _summary(seen: _Seen) -> list[logging.LogRecord]:
    if seen.last is None:
        return []
    record = copy.copy(seen.last)
    fields = dict(getattr(record, "fields", {}))
    record.__dict__.update(fields=fields | {"repeated": seen.repeated}, repeated=True)
    return [record]
