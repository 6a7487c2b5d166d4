"""Where the operator's text comes from: standard input, a named pipe, or a file that grows or is written anew."""

from __future__ import annotations

import codecs
import os
import select
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from common.log import Log, RateLimited
from common.service import EX_NOINPUT, ServiceError

POLL_SECONDS = 0.2
MAX_READ_BYTES = 4096  # at a time; of a file that is rewritten, its end
KEPT_BYTES = 1024  # of what was read, to see whether it was written over
STDIN = "-"

log = Log("sender.text")


class Splitter:
    """Bytes in, whole lines out. Bounded: a line that does not end is cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes, *, last: bool = False) -> list[str]:
        """The lines that `data` completes; with `last` also one that has no end."""
        *lines, self._rest = (self._rest + self._decoder.decode(data, last)).split("\n")
        if last or len(self._rest) > MAX_READ_BYTES:
            lines, self._rest = [*lines, self._rest] if self._rest else lines, ""
        return [line.rstrip("\r") for line in lines]


def check_lines(path: str) -> None:
    """Raises ServiceError (exit code 66) where a regular file's folder is not there, or it is no file or pipe."""
    if path == STDIN:
        return
    found = Path(path)
    if found.is_dir() or not found.parent.is_dir():
        raise ServiceError(f"text: {path} is no file or pipe; name one, or - for standard input", EX_NOINPUT)


def follow(path: str, tell: Callable[[str], None], stop: threading.Event) -> None:
    """Body of a thread: hand every new line to `tell` until `stop` is set or standard input ends.

    A pipe is opened again when its writer has gone. Of a file only what comes after the start is told, but of one
    that was there before, its last line; a file that is replaced or written anew is read anew.
    """
    if path == STDIN:
        try:
            _drain(sys.stdin.fileno(), tell, stop)
        except (
            OSError,
            ValueError,
            AttributeError,
        ) as error:  # closed, or the terminal's and not ours any more
            log.warning("standard input cannot be read; no text any more", reason=str(error))
        return
    trouble, file = RateLimited(log), _File(path)
    while not stop.is_set():
        try:
            status = os.stat(path)
            if stat.S_ISFIFO(status.st_mode):
                pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    _drain(pipe, tell, stop)
                finally:
                    os.close(pipe)
            else:
                for line in file.look(status):
                    tell(line)
        except FileNotFoundError:
            file = _File(path)
        except OSError as error:
            trouble.add("text cannot be read", path=path, reason=error.strerror or str(error))
        stop.wait(POLL_SECONDS)


class _File:
    """How far a regular file has been read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._position = 0
        self._before = b""  # some of what stood there

    def look(self, status: os.stat_result) -> list[str]:
        """The whole lines that are new, of a file read anew the last one. Raises OSError."""
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp == self._stamp:
            return []
        with open(self._path, "rb") as file:
            if self._stamp is None or stamp[0] != self._stamp[0] or not self._goes_on(file):
                self._position, self._before = 0, b""
            anew = self._position == 0
            start = max(self._position, status.st_size - MAX_READ_BYTES)
            file.seek(start)
            data = file.read(MAX_READ_BYTES)
        self._stamp = stamp
        if not anew:
            data = data[: data.rfind(b"\n") + 1]
        lines = Splitter().feed(data, last=anew)
        self._before = ((self._before if start == self._position else b"") + data)[-KEPT_BYTES:]
        self._position = start + len(data)
        return [line for line in lines if line.strip()][-1:] if anew else lines

    def _goes_on(self, file: BinaryIO) -> bool:
        """Whether what has been read is still there: a status line is often written over by one as long."""
        file.seek(self._position - len(self._before))
        return file.read(len(self._before)) == self._before


def _drain(descriptor: int, tell: Callable[[str], None], stop: threading.Event) -> None:
    """Until the writer has gone."""
    splitter = Splitter()
    while not stop.is_set():
        readable, _, _ = select.select([descriptor], [], [], POLL_SECONDS)
        if not readable:
            continue
        try:
            data = os.read(descriptor, MAX_READ_BYTES)
        except BlockingIOError:
            continue
        for line in splitter.feed(data, last=not data):
            tell(line)
        if not data:
            return
