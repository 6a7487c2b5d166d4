"""Reads a recording (a file, or a URL with time stamps) and tells the picture of any later moment."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from common.values import Size
from common.video import Picture, Resizer
from sender.capture.sound import SoundTap, demuxed

MAX_BAD_PACKETS = 100
"""Packets in a row that do not decode before a source counts as unusable."""

MAX_JUMP = 10.0
"""Seconds. Time stamps that jump further than this, or back, are a splice; playback goes on without a gap."""

NEARLY_SQUARE = Fraction(1, 50)
"""Deviations that nobody sees; correcting them would blur the whole picture."""

DEFAULT_STEP = 1 / 25
"""Seconds between frames when the container does not say."""


ROUNDING = 1e-6
"""Seconds by which sums of frame times may be off."""


class NoPictures(ValueError):
    """The container opened, but there is no video to be had from it."""


def open_input(
    url: str, format: str | None, options: dict[str, str], timeout: float | None
) -> InputContainer:
    """Open with FFmpeg for low latency. Raises av.FFmpegError, OSError or ValueError."""
    limit: Any = None if timeout is None else (max(timeout, 10.0), timeout)
    return av.open(url, mode="r", format=format, options=options, timeout=limit)


def video_stream(container: InputContainer) -> VideoStream:
    """The first video stream, set up for decoding without frame delay. Raises NoPictures."""
    if not container.streams.video:
        raise NoPictures("it holds no video")
    stream = container.streams.video[0]
    # Frame threads would each hold back a frame; slices do not.
    stream.thread_type = "SLICE"
    return stream


def pixel_aspect(stream: VideoStream) -> Fraction | None:
    """Width of a pixel divided by its height, None when square, near enough, or unknown."""
    aspect = stream.codec_context.sample_aspect_ratio
    return aspect if aspect and aspect > 0 and abs(aspect - 1) > NEARLY_SQUARE else None


def decoded(
    container: InputContainer, stream: VideoStream, sound: SoundTap | None = None, live: bool = False
) -> Iterator[av.VideoFrame]:
    """Every frame that decodes. Damaged packets are passed over. Raises av.FFmpegError when reading fails.

    `sound` gets what is heard with it; `live`: nothing is read ahead for it.
    """
    bad = 0
    for packet in demuxed(container, stream, sound, live):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            bad += 1
            if bad > MAX_BAD_PACKETS:
                raise
            continue
        for frame in frames:
            bad = 0
            if isinstance(frame, av.VideoFrame):
                yield frame


class Playback:
    """A recording on its own time line: `at(seconds)` with times that never go back. One thread."""

    def __init__(
        self,
        url: str,
        size: Size,
        *,
        loop: bool = False,
        options: dict[str, str] | None = None,
        timeout: float | None = None,
        sound: SoundTap | None = None,
        begins: float = 0.0,
    ) -> None:
        """Open it; it `begins` then (s) on the line of the source. Raises av.FFmpegError, OSError, or NoPictures."""
        self._url = url
        self._options = options or {}
        self._timeout = timeout
        self._loop = loop
        self._sound = sound
        self._begins = begins
        self._resizer = Resizer(size.width, size.height)
        self._container = open_input(url, None, self._options, timeout)
        self._current: av.VideoFrame | None = None
        self._next: tuple[float, av.VideoFrame] | None = None
        self._picture: Picture | None = None
        self._end = 0.0
        self._timeline = self._times()
        try:
            self._stream = video_stream(self._container)
            self._aspect = pixel_aspect(self._stream)
            self._next = next(self._timeline, None)
        except (av.FFmpegError, NoPictures):
            self._container.close()
            raise

    @property
    def duration(self) -> float | None:
        """Seconds of one pass, None when the container does not know (a live stream)."""
        return None if not self._container.duration else self._container.duration / 1e6

    @property
    def end(self) -> float:
        """Seconds after the beginning at which the pictures shown so far end; the length once `at` was None."""
        return self._end

    def at(self, seconds: float) -> Picture | None:
        """The picture on show at `seconds` after the beginning; None after the last one's time."""
        frame = self.frame_at(seconds)
        if frame is not None and self._picture is None:
            self._picture = self._resizer.convert(frame, self._aspect)
        return None if frame is None else self._picture

    def frame_at(self, seconds: float) -> av.VideoFrame | None:
        """The same as it was decoded."""
        while self._next is not None and self._next[0] <= seconds + ROUNDING:
            time, self._current = self._next
            self._end = time + self._step
            self._picture = None
            self._next = next(self._timeline, None)
        if self._current is None or (self._next is None and seconds + ROUNDING >= self._end):
            return None
        return self._current

    def close(self) -> None:
        """Give the file back."""
        self._container.close()

    @property
    def _step(self) -> float:
        rate = self._stream.average_rate
        return float(1 / rate) if rate else DEFAULT_STEP

    def _times(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """(time on our line, frame) over all passes."""
        time, offset = -1.0, 0.0
        while True:
            first = True
            previous = 0.0
            for frame in decoded(self._container, self._stream, self._sound):
                stamp = frame.time if frame.pts is not None else previous + self._step
                if first:
                    offset = stamp if time < 0 else stamp - time - self._step
                elif not 0 <= stamp - previous <= MAX_JUMP:
                    offset += stamp - previous - self._step
                first, previous = False, stamp
                time = stamp - offset
                if self._sound is not None:
                    self._sound.line(offset - self._begins)
                yield time, frame
            if time < 0:
                raise NoPictures("none of its video could be decoded")
            if not self._loop or first:
                return
            self._container.close()
            self._container = open_input(self._url, None, self._options, self._timeout)
            self._stream = video_stream(self._container)
