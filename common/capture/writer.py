"""Writes a capture on a thread of its own, which never holds up who has something to write."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common.capture.records import CLOSED, MAGIC, NEXT_PART, Dropped, End, Record, Start, Steps, pack
from common.clock import Clock, WallClock, monotonic
from common.log import Log
from common.record.output import OutputFile
from common.record.recording import Recording
from common.record.rules import Rules
from common.record.storage import Storage
from common.service import EX_CANTCREAT, ServiceError

QUEUE_BYTES = 4 << 20
"""What may wait for the disk: many seconds of any stream of ours. Unlike pictures, records that are dropped cannot be
concealed, so this queue is longer than those of sinks, and what comes when it is full is dropped."""

CLOSE_SECONDS = 5.0
FEW_STEPS = 64
SOFTWARE = "semcast"
OVERHEAD = 100
"""Bytes that a record in the queue takes beside its own."""

log = Log("capture")


class CaptureWriter:
    """`put` and `step` by one thread (the event loop's); `close` ends the file. The counters may be read by any."""

    def __init__(self, path: Path, role: int, rules: Rules, clock: Clock = monotonic) -> None:
        """`role`: RECEIVED or SENT. Raises ServiceError (exit code 73)."""
        storage = Storage(path, rules, mode=0o600)
        reason = storage.check()
        if reason is not None:
            raise ServiceError(f"record: {path}: {reason}", EX_CANTCREAT)
        self.records = 0
        """Taken in."""
        self.dropped = 0
        """Not written, because the disk was too slow, full or failing."""
        self.recording: Recording[_Part] = Recording(storage, self._start, clock=clock)
        self._role, self._clock = role, clock
        self._wall = WallClock(monotonic=clock)
        self._run = os.urandom(8)
        self._steps: list[float] = []
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._lost = 0  # records dropped since the last one that was queued
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="capture", daemon=True)

    def start(self) -> None:
        """Once, before `put`."""
        self._thread.start()

    def step(self, now: float) -> None:
        """The player looked what is due at `now`."""
        self._steps.append(now)
        if len(self._steps) >= FEW_STEPS:
            self._flush()

    def put(self, record: Record) -> None:
        """Write a record. Never blocks."""
        self._flush()
        self._put(pack(record))

    def close(self) -> None:
        """Write what waits, and finish. Blocks up to five seconds."""
        self._flush()
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def _flush(self) -> None:
        if self._steps:
            steps, self._steps = self._steps, []
            self._put(pack(Steps(tuple(steps))))

    def _put(self, data: bytes) -> None:
        with self._changed:
            self.records += 1
            if self._queued + len(data) + OVERHEAD > QUEUE_BYTES:
                self.dropped += 1
                self._lost += 1
                return
            if self._lost:
                data = pack(Dropped(self._clock(), self._lost)) + data
                self._lost = 0
            self._queue.append(data)
            self._queued += len(data) + OVERHEAD
            self._changed.notify()

    def _write(self) -> None:
        """The thread's."""
        missing = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    break
                items, self._queued = list(self._queue), 0
                self._queue.clear()
            data = b"".join(items)
            if missing:
                data = pack(Dropped(self._clock(), missing)) + data
            if self.recording.write(partial(_Part.add, data=data)):
                missing = 0
            else:
                missing += len(items)
                self.dropped += len(items)
        self.recording.close()

    def _start(self, file: OutputFile, number: int) -> _Part:
        now = self._clock()
        start = Start(self._role, self._run, number, now, self._wall.from_monotonic(now), SOFTWARE)
        return _Part(file, start, self._end)

    def _end(self) -> bytes:
        with self._changed:
            reason = CLOSED if self._closed and not self._queue else NEXT_PART
        return pack(End(self._clock(), reason))


class _Part:
    """One file."""

    def __init__(self, file: OutputFile, start: Start, end: Callable[[], bytes]) -> None:
        self._file, self._end = file, end
        file.write(MAGIC + pack(start))

    def add(self, data: bytes) -> None:
        """Raises OSError; what was written of `data` then ends in a record that is not whole."""
        self._file.write(data)

    def close(self) -> None:
        self._file.write(self._end())
