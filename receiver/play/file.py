"""Records what is shown into MP4 or Matroska, one H.264 picture per tick."""

from __future__ import annotations

from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.video.stream import VideoStream

from common.log import Log
from common.video import picture_size, to_video_frame
from receiver.play.base import Shown, SinkError, ThreadedSink
from receiver.play.fit import Fitter
from receiver.play.mark import marked

if TYPE_CHECKING:
    from av.container import OutputContainer

SUFFIXES = (".mp4", ".mkv")

CONTAINER_OPTIONS = {
    # Written as fragments, so that a killed receiver leaves a playable file; turned into a plain MP4 at the end.
    ".mp4": {"movflags": "hybrid_fragmented", "flush_packets": "1"},
    # Short clusters, flushed at once, so that at most a second is missing after a kill.
    ".mkv": {"cluster_time_limit": "500", "flush_packets": "1"},
}

CODEC_OPTIONS = {"preset": "veryfast", "crf": "20", "tune": "zerolatency"}

KEY_PICTURE_S = 2.0
"""Distance of key pictures: seeking is exact to this, and so is what a killed MP4 recording loses."""

log = Log("play.file")


def unused_path(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, ... where no recording lies: a restart overwrites nothing."""
    candidates = (path if n == 1 else path.with_stem(f"{path.stem}-{n}") for n in count(1))
    return next(p for p in candidates if not p.is_file() or p.stat().st_size == 0)


class FileSink(ThreadedSink):
    """The file is opened when the first picture comes; its clock is the tick, so dropped pictures leave a gap in
    time and nothing runs ahead."""

    def __init__(self, path: Path, mark: bool = True) -> None:
        """`path`: an earlier recording there is kept, the new one gets a number (flight-2.mkv).  `mark`: show in the
        picture when the signal is lost."""
        super().__init__(str(path))
        if path.suffix.lower() not in SUFFIXES:
            raise SinkError(f"{path}: a recording must end in .mp4 or .mkv")
        self.path = path
        self._mark = mark
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._fitter = Fitter(2, 2)
        self._first_number = 0
        self._time_base = Fraction(1, 15)

    async def start(self) -> None:
        if not self.path.parent.is_dir():
            raise SinkError(f"{self.path}: the folder {self.path.parent} does not exist; create it first")
        self.path = unused_path(self.path)
        try:
            self.path.open("ab").close()
        except OSError as error:
            raise SinkError(f"{self.path}: cannot be written: {error.strerror}") from None
        await super().start()

    def write(self, shown: Shown) -> None:
        if self._container is None or self._stream is None:
            self._open(shown)
        assert self._container is not None and self._stream is not None
        picture = self._fitter.fit(marked(shown) if self._mark else shown.picture)
        frame = to_video_frame(picture, pts=shown.number - self._first_number, time_base=self._time_base)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        if self._container is None or self._stream is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
        log.info("recording finished", file=self.path)

    def _open(self, shown: Shown) -> None:
        width, height = picture_size(shown.picture)
        rate = Fraction(shown.fps).limit_denominator(1001)
        container = av.open(str(self.path), "w", options=CONTAINER_OPTIONS[self.path.suffix.lower()])
        stream = container.add_stream("libx264", rate=rate, options=dict(CODEC_OPTIONS))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = self._time_base = 1 / rate
        stream.codec_context.gop_size = max(1, round(shown.fps * KEY_PICTURE_S))
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace = 6  # BT.601, limited range: what a picture is
        stream.codec_context.color_range = 1
        self._fitter = Fitter(width, height)
        self._first_number = shown.number
        self._container, self._stream = container, stream
        log.info("recording", file=self.path, size=f"{width}x{height}", fps=shown.fps)
