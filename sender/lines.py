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

from common.log import Log, RateLimited
from common.service import EX_NOINPUT, ServiceError

POLL_SECONDS = 0.2
MAX_READ_BYTES = 4096  # at a time; of a file that is rewritten, its end
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
    that was there before, its last line; a file that is replaced or becomes shorter is read anew.
    """
    if path == STDIN:
        _drain(sys.stdin.fileno(), tell, stop)
        return
    trouble, position, known = RateLimited(log), 0, None
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
                same = known == status.st_ino and status.st_size >= position
                position = _grown(path, position if same else 0, status.st_size, tell)
                known = status.st_ino
        except FileNotFoundError:
            known, position = None, 0
        except OSError as error:
            trouble.add("text cannot be read", path=path, reason=error.strerror or str(error))
        stop.wait(POLL_SECONDS)


def _grown(path: str, position: int, size: int, tell: Callable[[str], None]) -> int:
    """Tell the whole lines from `position` on, of a file read anew the last one; returns where to go on."""
    if size == position:
        return position
    anew = position == 0
    with open(path, "rb") as file:
        file.seek(max(position, size - MAX_READ_BYTES))
        data = file.read(MAX_READ_BYTES)
    if anew:
        lines = [line for line in Splitter().feed(data, last=True) if line.strip()][-1:]
    else:
        whole = data.rfind(b"\n") + 1
        lines, size = Splitter().feed(data[:whole]), size - (len(data) - whole)
    for line in lines:
        tell(line)
    return size


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
