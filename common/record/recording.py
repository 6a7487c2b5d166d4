"""A recording that goes on for weeks: part after part, pausing while the disk is full."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from common.clock import Clock, WallClock, monotonic
from common.log import Log
from common.record.output import OutputFile
from common.record.storage import SPARE, Storage

RETRY_S = 2.0
"""While nothing can be written, another attempt is made this often."""

LOOK_S = 1.0
"""How often the free space is looked at while writing."""

log = Log("record")


class Writer(Protocol):
    """What writes one file."""

    def close(self) -> None:
        """Finish the file. May raise OSError."""
        ...


W = TypeVar("W", bound=Writer)


class Recording(Generic[W]):
    """Opens, cuts and pauses. Owned by one thread; the counters are plain ints that any thread may read."""

    def __init__(
        self,
        storage: Storage,
        start: Callable[[OutputFile, int], W],
        *,
        clock: Clock = monotonic,
        wall: Callable[[], float] | None = None,
    ) -> None:
        """`start` makes the writer of a file, given its number from 0; OSErrors of it and of writing pause it."""
        self.name = str(storage.pattern)
        self.files = 0
        """Begun."""
        self.path = storage.pattern
        """Of the file begun last."""
        self.pauses = 0
        """Times that the disk was full or failed."""
        self.skipped = 0
        """Items that were not written because of that."""
        self.storage = storage
        self._start = start
        self._clock = clock
        self._wall = wall or WallClock(monotonic=clock).now
        self._bytes_before = 0
        self._file: OutputFile | None = None
        self._writer: W | None = None
        self._begun = self._looked = 0.0
        self._retry_at: float | None = None
        self._skipped_before = 0

    @property
    def bytes(self) -> int:
        """Written so far."""
        file = self._file
        return self._bytes_before + (0 if file is None else file.written)

    @property
    def paused(self) -> bool:
        """Whether nothing can be written now."""
        return self._retry_at is not None

    def write(self, put: Callable[[W], None]) -> bool:
        """Let `put` write one item, which must not be split; False when it was skipped because there is no room."""
        now = self._clock()
        try:
            if not self._ready(now):
                self.skipped += 1
                return False
            assert self._writer is not None
            put(self._writer)
        except OSError as error:
            self._pause(error, now)
            self.skipped += 1
            return False
        return True

    def cut(self) -> None:
        """Go on in another file with the next item."""
        self._finish()

    def close(self) -> None:
        """Finish the file. Raises nothing: a disk that is full at the end costs the end."""
        self._finish()
        if self.files:
            log.info("recording finished", file=self.name, parts=self.files, mb=round(self.bytes / 1e6, 1))

    def _ready(self, now: float) -> bool:
        """There is a file to write to. Raises OSError."""
        if self._retry_at is not None and now < self._retry_at:
            return False
        if self._writer is not None and self._is_due(now):
            self._finish()
        if self._writer is None:
            if self._retry_at is not None and not self._has_room():
                self._retry_at = now + RETRY_S
                return False
            self._open(now)
        elif now - self._looked >= LOOK_S:
            self._looked = now
            self.storage.make_room()
        return True

    def _is_due(self, now: float) -> bool:
        rules = self.storage.rules
        assert self._file is not None
        return (rules.part_seconds is not None and now - self._begun >= rules.part_seconds) or (
            rules.part_bytes is not None and self._file.written >= rules.part_bytes
        )

    def _open(self, now: float) -> None:
        resumed = self._retry_at is not None
        file = self.storage.create(self._wall())
        try:
            self._writer = self._start(file, self.files)
        except BaseException:
            file.close()
            file.path.unlink(missing_ok=True)
            raise
        self._file, self.path = file, file.path
        self.files += 1
        self._begun = self._looked = now
        self._retry_at = None
        log.info(
            "recording again" if resumed else "recording",
            file=file.path,
            **({"skipped": self.skipped - self._skipped_before} if resumed else {}),
        )

    def _has_room(self) -> bool:
        """Enough for more than a moment, so that recording does not stop again at once."""
        self.storage.make_room()
        return self.storage.free() >= self.storage.rules.free_bytes + SPARE

    def _finish(self) -> None:
        """Close the file as well as possible."""
        writer, file = self._writer, self._file
        if writer is None or file is None:
            return
        self._writer = None
        with contextlib.suppress(OSError):
            writer.close()
        self._bytes_before, self._file = self._bytes_before + file.written, None
        file.close()

    def _pause(self, error: OSError, now: float) -> None:
        if self._retry_at is None:
            self.pauses += 1
            self._skipped_before = self.skipped
            log.error(
                "recording paused, playback goes on; it resumes when the disk can be written",
                file=self.name,
                reason=error.strerror or str(error),
            )
        self._finish()
        self._retry_at = now + RETRY_S
