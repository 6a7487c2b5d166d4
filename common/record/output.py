"""A file that is written without a buffer of ours, counted, and synced to the disk by a thread of its own."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path


class OutputFile:
    """A new file. Owned by one thread; `write` writes everything or raises OSError.

    What was written is the system's at once, so that a killed process loses nothing of it.
    """

    def __init__(self, path: Path, mode: int, sync_seconds: float) -> None:
        """Raises FileExistsError, or another OSError. `sync_seconds`: 0 for no syncing."""
        self.path = path
        self.name = str(path)
        self.written = 0
        """Bytes; what was written over counts again."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        self.inode = os.fstat(self._fd).st_ino
        self._closing = threading.Event()
        self._syncer: threading.Thread | None = None
        if sync_seconds > 0:
            self._syncer = threading.Thread(
                target=self._sync, args=(sync_seconds,), name="record-sync", daemon=True
            )
            self._syncer.start()

    def write(self, data: bytes) -> int:
        """All of `data`. Raises OSError."""
        view = memoryview(data)
        while view:
            count = os.write(self._fd, view)
            self.written += count
            view = view[count:]
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return os.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def close(self) -> None:
        """May be called again. Returns before the last bytes are on the disk: the syncing thread sees to that."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        self._closing.set()
        if self._syncer is None:
            os.close(fd)

    def _sync(self, seconds: float) -> None:
        """A disk may take seconds to sync, during which pictures must not be lost."""
        fd = self._fd
        while not self._closing.wait(seconds):
            with contextlib.suppress(OSError):
                os.fdatasync(fd)
        with contextlib.suppress(OSError):
            os.fsync(fd)
        os.close(fd)
