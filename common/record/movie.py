"""One video file, MP4 or Matroska, that is whole up to the last second at any time: fragments and clusters are
written as soon as they are full, so a killed process or a power loss costs no more than the last one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from common.record.output import OutputFile
from common.video import Picture, to_video_frame

if TYPE_CHECKING:
    from av.container import OutputContainer

FORMATS = {".mp4": "mp4", ".mkv": "matroska"}

TICK = Fraction(1, 90_000)
"""Of time stamps, seconds; every usual picture distance is a whole number of them (Matroska rounds to 1 ms)."""

FRAGMENT_S = 1.0
"""Length of an MP4 fragment and of a Matroska cluster, which is what a kill may cost."""

KEY_PICTURE_S = 2.0
"""Distance of key pictures: seeking is exact to this."""

BT601, LIMITED = 6, 1
"""FFmpeg's numbers of what a picture is."""

OPTIONS = {
    # Written as fragments, turned into a plain MP4 at the end.
    ".mp4": {"movflags": "hybrid_fragmented", "frag_duration": str(round(FRAGMENT_S * 1e6))},
    ".mkv": {"cluster_time_limit": str(round(FRAGMENT_S * 1e3))},
}
COMMON = {
    "flush_packets": "1",
    # A track with nothing to say must not hold back the others for ten seconds, which is the default.
    "max_interleave_delta": "200000",
}
CAPTIONS = "subrip"
"""Of Matroska alone: in fragments of MP4, a track of text spoils the time stamps of the others (FFmpeg 8.1)."""


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What the pictures become. `codec`: libx264 or ffv1 (lossless, .mkv only)."""

    width: int
    height: int
    fps: float
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def h264(cls, width: int, height: int, fps: float, crf: int = 20) -> VideoFormat:
        """H.264 without delay in the encoder; `crf`: 18 is hard to tell from the original, 28 is small."""
        options = {"preset": "veryfast", "crf": str(crf), "tune": "zerolatency"}
        return cls(width, height, fps, "libx264", options)

    @classmethod
    def ffv1(cls, width: int, height: int, fps: float) -> VideoFormat:
        """Lossless, every picture by itself."""
        return cls(width, height, fps, "ffv1", {"level": "3", "g": "1", "slicecrc": "1"})


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """An audio track of packets that are coded already."""

    codec: str = "libopus"
    rate: int = 48_000
    layout: str = "mono"


class Movie:
    """Muxes pictures, and where asked for coded audio and captions, into one file. Owned by one thread.

    Times are seconds from the start of the file. Errors of the disk are OSErrors; the file is then given up: `close`.
    """

    def __init__(
        self,
        file: OutputFile,
        video: VideoFormat,
        *,
        audio: AudioFormat | None = None,
        captions: bool = False,
        title: str = "",
    ) -> None:
        """`file`: its suffix says the container. `captions`: a track of text, in .mkv. Raises OSError, ValueError."""
        suffix = file.path.suffix.lower()
        self._last = -1
        self._interval = round(1 / video.fps / TICK)
        self._container: OutputContainer = av.open(
            file, "w", format=FORMATS[suffix], options=OPTIONS[suffix] | COMMON
        )
        if title:
            self._container.metadata["title"] = title
        self._video = self._add_video(video)
        self._audio = None if audio is None else self._add_audio(audio)
        self._captions: Stream | None = None
        if captions and suffix == ".mkv":
            self._captions = self._container.add_mux_stream(CAPTIONS)
            self._captions.time_base = Fraction(1, 1000)

    def picture(self, picture: Picture, seconds: float) -> None:
        """Add a picture of the format's size; times rise. Raises OSError."""
        self._last = max(self._last + 1, round(seconds / TICK))
        with _told():
            for packet in self._video.encode(to_video_frame(picture, self._last, TICK)):
                packet.duration = self._interval  # else the last one of a fragment would last no time
                self._container.mux(packet)

    def audio(self, packet: bytes, seconds: float, duration: float) -> None:
        """Add a coded packet that lasts `duration` seconds. Raises OSError."""
        assert self._audio is not None
        self._mux(self._audio, packet, seconds, duration)

    def caption(self, text: str, seconds: float, duration: float) -> None:
        """Add a line that players can show for `duration` seconds; nothing where there are none. Raises OSError."""
        if self._captions is not None:
            self._mux(self._captions, text.encode(), seconds, duration)

    def close(self) -> None:
        """Finish the file. Raises OSError when its end could not be written."""
        try:
            with _told():
                self._container.mux(self._video.encode(None))
        finally:
            with _told():
                self._container.close()

    def _add_video(self, video: VideoFormat) -> VideoStream:
        rate = Fraction(video.fps).limit_denominator(1001)
        stream = self._container.add_stream(video.codec, rate=rate, options=dict(video.options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        context = stream.codec_context
        stream.time_base = context.time_base = TICK
        context.gop_size = 1 if video.codec == "ffv1" else max(1, round(video.fps * KEY_PICTURE_S))
        context.thread_count = 1
        context.colorspace, context.color_range = BT601, LIMITED
        return stream

    def _add_audio(self, audio: AudioFormat) -> Stream:
        """Its encoder is there for the header that it writes; packets come coded."""
        stream = self._container.add_stream(audio.codec, rate=audio.rate)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = audio.layout
        stream.time_base = Fraction(1, audio.rate)
        return stream

    def _mux(self, stream: Stream, data: bytes, seconds: float, duration: float) -> None:
        packet = Packet(data)
        packet.stream = stream
        base = stream.time_base or TICK
        packet.time_base = base
        packet.pts = packet.dts = round(seconds / base)
        packet.duration = round(duration / base)
        packet.is_keyframe = True
        with _told():
            self._container.mux(packet)


class _told(contextlib.AbstractContextManager[None]):
    """FFmpeg's errors as OSErrors: what fails here is the disk."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, av.FFmpegError) and not isinstance(error, OSError):
            raise OSError(error.errno, error.strerror) from error
