"""Records of what was encoded, for measuring and for finding faults: a frame log and a lossless video."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from common.capture.records import SENT, Packet
from common.capture.writer import CaptureWriter
from common.clock import Clock, monotonic
from common.record.cadence import Cadence
from common.record.movie import Movie, VideoFormat
from common.record.output import OutputFile
from common.record.recording import Recording
from common.record.rules import Rules
from common.record.storage import Storage
from common.service import EX_CANTCREAT, ServiceError
from common.values import Size
from common.video import Frame
from proto.session import SenderSession


class FrameLog:
    """`--frame-log FILE`: a JSON line for every frame handed to the encoder. Owned by the encoding thread.

    Keys: unit, offset (place in the unit), index (number at the source), captured_at (s since the epoch).
    """

    def __init__(self, path: Path) -> None:
        """Start the file anew. Raises ServiceError (exit code 73)."""
        try:
            self._file: TextIO = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ServiceError(f"frame_log: cannot write {path}: {reason}", EX_CANTCREAT) from None

    def write(self, unit: int, frames: Sequence[Frame]) -> None:
        """Add the frames of one unit."""
        for offset, frame in enumerate(frames):
            line = {
                "unit": unit,
                "offset": offset,
                "index": frame.index,
                "captured_at": round(frame.captured_at, 6),
            }
            self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class Recorder:
    """`--record FILE.mkv`: the very pictures handed to the encoder, lossless (FFV1, Matroska). Encoding thread.

    While nothing pauses it and it is one file, picture n is line n of the frame log. A full disk pauses it.
    """

    def __init__(self, path: Path, size: Size, fps: float, rules: Rules | None = None) -> None:
        """An earlier recording is kept, the new one gets a number. Raises ServiceError (exit code 73)."""
        storage = Storage(path, Rules() if rules is None else rules)
        reason = storage.check()
        if reason is not None:
            raise ServiceError(f"record: {path}: {reason}", EX_CANTCREAT)
        self._format, self._fps = VideoFormat.ffv1(size.width, size.height, fps), fps
        self.recording: Recording[_Part] = Recording(storage, self._start)

    def write(self, unit: int, frames: Sequence[Frame]) -> None:
        """Add the frames of one unit. Raises nothing that a disk does."""
        for frame in frames:
            self.recording.write(partial(_Part.add, frame=frame))

    def close(self) -> None:
        """Finish the file."""
        self.recording.close()

    def _start(self, file: OutputFile, number: int) -> _Part:
        return _Part(Movie(file, self._format), self._fps)


class _Part:
    """One file."""

    def __init__(self, movie: Movie, fps: float) -> None:
        self._movie, self._fps, self._count = movie, fps, 0
        self._cadence = Cadence()

    def add(self, frame: Frame) -> None:
        """Raises OSError."""
        self._movie.picture(frame.picture, self._cadence.at(self._count, frame.captured_at, self._fps))
        self._count += 1

    def close(self) -> None:
        self._movie.close()


class Capture:
    """`--record FILE.smc`: every packet before it is sealed. Event loop thread; `writer` has the counters."""

    def __init__(self, path: Path, rules: Rules, session: SenderSession, clock: Clock = monotonic) -> None:
        """Raises ServiceError (exit code 73)."""
        self.writer = CaptureWriter(path, SENT, rules, clock)
        self._origin, self._clock = session.origin, clock
        session.tap = self._packet

    def _packet(self, session: bytes, counter: int, stream: int, two_way: bool, body: bytes) -> None:
        self.writer.put(Packet(self._clock(), session, self._origin, stream, counter, two_way, body))
