"""Records of what was encoded, for measuring and for finding faults: a frame log and a lossless video."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TextIO

import av
from av.video.stream import VideoStream

from common.service import EX_CANTCREAT, ServiceError
from common.values import Size
from common.video import Frame, to_video_frame

MAX_RATE = 1001 * 1000


class FrameLog:
    """`--frame-log FILE`: a JSON line for every frame handed to the encoder. Owned by the encoding thread.

    Keys: unit, offset (place in the unit), index (number at the source), captured_at (s since the epoch).
    """

    def __init__(self, path: Path) -> None:
        """Start the file anew. Raises ServiceError (exit code 73)."""
        try:
            self._file: TextIO = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise _cannot("frame_log", path, error) from None

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
    """`--record FILE`: the very pictures handed to the encoder, lossless (FFV1, Matroska). Encoding thread.

    Frame n of the file is line n of the frame log; its time is n / fps.
    """

    def __init__(self, path: Path, size: Size, fps: float) -> None:
        """Start the file anew. Raises ServiceError (exit code 73)."""
        rate = Fraction(fps).limit_denominator(MAX_RATE)
        try:
            self._container = av.open(str(path), "w", format="matroska")
            self._stream: VideoStream = self._container.add_stream("ffv1", rate=rate)
            self._stream.width, self._stream.height = size.width, size.height
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.thread_count = 1
            self._container.start_encoding()
        except (OSError, av.FFmpegError) as error:
            raise _cannot("record", path, error) from None
        self._time_base = 1 / rate
        self._count = 0

    def write(self, unit: int, frames: Sequence[Frame]) -> None:
        """Add the frames of one unit."""
        for frame in frames:
            picture = to_video_frame(frame.picture, self._count, self._time_base)
            self._container.mux(self._stream.encode(picture))
            self._count += 1

    def close(self) -> None:
        """Finish the file."""
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


def _cannot(setting: str, path: Path, error: BaseException) -> ServiceError:
    reason = getattr(error, "strerror", None) or str(error)
    return ServiceError(f"{setting}: cannot write {path}: {reason}", EX_CANTCREAT)
