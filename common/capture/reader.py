"""Reads a capture file, whatever has become of it: damage costs the records that it hit, the end may be missing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from common.capture.records import HEAD, KINDS, MAGIC, MARK, MAX_BODY, CaptureError, End, Record, Start

CHUNK = 1 << 16


class Reader:
    """The records of one file, in order. Bounded memory. One thread at a time.

    Iterate once; the counters are of what has been read so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Reads up to the first record. Raises CaptureError for what is no capture, OSError."""
        self.damaged_bytes = 0
        """Passed over because no record was there."""
        self.tail_bytes = 0
        """After the last record, of one that is not whole."""
        self.unknown = 0
        """Records of a kind that is not known here, and such that make no sense."""
        self.ended: End | None = None
        """How the file was closed; None: it ends where a killed process or a full disk left it."""
        self._file = file
        self._data = bytearray()
        self._exhausted = False
        self._fill(len(MAGIC))
        if not self._data:
            raise CaptureError("is empty")
        if not MAGIC.startswith(self._data[: len(MAGIC)]):
            raise CaptureError("is not a capture (.smc)")
        del self._data[: len(MAGIC)]
        self._records = self._read()
        first = next(self._records, None)
        if not isinstance(first, Start):
            raise CaptureError("has no header that can be read; nothing of it can be used")
        self.start = first

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def _read(self) -> Iterator[Record]:
        while True:
            found = self._next()
            if found is None:
                return
            kind, body = found
            known = KINDS.get(kind)
            if known is None:
                self.unknown += 1
                continue
            try:
                record = known.parse(body)
            except CaptureError:
                if known is Start:
                    raise
                self.unknown += 1
                continue
            if isinstance(record, End):
                self.ended = record
            yield record

    def _next(self) -> tuple[int, bytes] | None:
        """The next record that is whole; None at the end."""
        before = self.damaged_bytes
        while self._fill(HEAD.size):
            mark, kind, _, length, crc = HEAD.unpack_from(self._data)
            if mark == MARK and length <= MAX_BODY and self._fill(HEAD.size + length):
                body = bytes(self._data[HEAD.size : HEAD.size + length])
                if zlib.crc32(body, zlib.crc32(bytes(self._data[: HEAD.size - 4]))) == crc:
                    del self._data[: HEAD.size + length]
                    return kind, body
            self._pass_over()
        self.tail_bytes = self.damaged_bytes - before + len(self._data)
        self.damaged_bytes = before
        self._data.clear()
        return None

    def _pass_over(self) -> None:
        """On to where the next record may begin."""
        mark = MARK.to_bytes(2, "big")
        at = self._data.find(mark, 1)
        gone = at if at > 0 else len(self._data) - (self._data[-1:] == mark[:1])
        gone = max(1, gone)
        self.damaged_bytes += gone
        del self._data[:gone]

    def _fill(self, size: int) -> bool:
        """Have `size` bytes at hand, if there are so many."""
        while len(self._data) < size and not self._exhausted:
            chunk = self._file.read(CHUNK)
            self._exhausted = not chunk
            self._data += chunk
        return len(self._data) >= size


def open_capture(path: Path) -> tuple[BinaryIO, Reader]:
    """The file, to be closed by the caller, and its reader. Raises CaptureError with the path, OSError."""
    file = path.open("rb")
    try:
        return file, Reader(file)
    except CaptureError as error:
        file.close()
        raise CaptureError(f"{path}: {error}") from None
    except BaseException:
        file.close()
        raise
