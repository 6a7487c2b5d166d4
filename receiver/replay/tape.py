"""Capture files as one row of records on one clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from common.capture.reader import Reader, open_capture
from common.capture.records import Decoded, Dropped, Packet, Record, Start, Steps
from common.clock import WallClock

BETWEEN_RUNS_S = 1.0
"""What is left of the pause between two runs of the recorder."""


class Tape:
    """The files in the order in which they were made; parts of a run follow each other as they did. Iterate once."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Looks at the beginning of every file. Raises CaptureError that names the file, OSError."""
        found: list[tuple[Start, Path]] = []
        for path in paths:
            file, reader = open_capture(path)
            file.close()
            found.append((reader.start, path))
        self._files = sorted(found, key=lambda entry: (entry[0].wall, entry[0].part))
        self.start = self._files[0][0]
        """Of the first file; its clock is that of all records."""
        self.missing = 0
        """Records that the recorder could not keep, as far as read."""
        self.read: list[tuple[Path, Reader]] = []
        """The files that were read to their end, with what is to be said of them."""

    @property
    def wall(self) -> WallClock:
        """From the clock of the records to the time of day then."""
        return WallClock(epoch=lambda: self.start.wall, monotonic=lambda: self.start.clock)

    def __iter__(self) -> Iterator[Record]:
        """Raises CaptureError, OSError, where a file has changed meanwhile."""
        newest, run, shift = self.start.clock, self.start.run, 0.0
        for start, path in self._files:
            if start.run != run:
                run, shift = start.run, newest + BETWEEN_RUNS_S - start.clock
            file, reader = open_capture(path)
            with file:
                yield start
                for record in reader:
                    if isinstance(record, Dropped):
                        self.missing += record.records
                    shifted = _shifted(record, shift)
                    newest = max(newest, _time(shifted, newest))
                    yield shifted
            self.read.append((path, reader))


def _shifted(record: Record, shift: float) -> Record:
    if shift == 0.0 or isinstance(record, Start):
        return record
    if isinstance(record, Steps):
        return Steps(tuple(time + shift for time in record.times))
    return replace(record, time=record.time + shift)


def _time(record: Record, otherwise: float) -> float:
    if isinstance(record, Steps):
        return max(record.times, default=otherwise)
    return record.time if isinstance(record, Packet | Decoded) else otherwise
