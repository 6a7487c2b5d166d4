"""H.264 for media servers: one picture in, one packet out, on a clock that follows this host's. Owned by one thread."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from common.video import picture_size, to_video_frame
from receiver.play.base import Shown
from receiver.play.fit import Fitter
from receiver.play.mark import marked
from receiver.play.push.muxer import VIDEO

CLOCK = 90_000
"""Ticks of a packet's time in a second, as RTP and MPEG-TS count video."""

CODEC_OPTIONS = {
    "preset": "veryfast",
    "tune": "zerolatency",
    "profile": "baseline",
    "forced-idr": "1",
    "sc_threshold": "0",
}
"""Constrained baseline: what WebRTC servers take, and every player decodes; an I picture is an IDR picture; key
pictures come evenly, as servers that cut segments want them."""

BUFFER_S = 1.0
"""The rate is kept over this: no second is larger than a second's share (x264's VBV buffer)."""

BT601, LIMITED = 6, 1


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded picture: H.264 Annex B, with parameter sets before each key picture. Or a piece of sound (`stream`)."""

    data: bytes
    pts: int
    """In units of 1/CLOCK s; grows with each packet."""
    key: bool
    stream: int = VIDEO


@dataclass(frozen=True, slots=True)
class Settings:
    """What one encoder is made for. `kbps`: 1000 bit/s, over one second. `key_interval`: seconds."""

    kbps: int = 1000
    key_interval: float = 1.0
    mark: bool = True
    """Whether the picture tells of a lost signal."""
    sound: bool = True
    """Whether sound is sent, where there is some."""


class Timeline:
    """Times of packets from tick numbers, which are even, slowly steered to this host's clock, which servers go by.

    Steps of the host's clock, and gaps in which nothing was shown at all, are left out.
    """

    MOST_OFF = 0.5
    """Seconds; farther apart, the two clocks are taken as new."""
    STEER = 0.05
    """The most that one tick is stretched or shrunk, as a share of it."""

    def __init__(self) -> None:
        self.time = 0.0
        self._number = -1
        self._offset = 0.0

    def at(self, shown: Shown) -> float:
        """Seconds since the first picture, more than at the call before."""
        if self._number < 0 or shown.number <= self._number:
            ticks = 0 if self._number < 0 else 1
        else:
            ticks = shown.number - self._number
        step = ticks / shown.fps
        off = shown.shown_at - self._offset - (self.time + step)
        if ticks == 0 or abs(off) > self.MOST_OFF:
            self._offset = shown.shown_at - (self.time + step)
            off = 0.0
        self.time += step + max(-self.STEER * step, min(self.STEER * step, off))
        self._number = shown.number
        return self.time


class H264:
    """The encoder. The size is that of the first picture; later ones are fitted into it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeline = Timeline()
        self._fitter: Fitter | None = None
        self._codec: VideoCodecContext | None = None
        self._fps = 0.0

    @property
    def time(self) -> float:
        """Of the picture that was encoded last: seconds since the first."""
        return self._timeline.time

    def encode(self, shown: Shown, key: bool) -> list[Packet]:
        """The packet of a picture (none or several if the codec wants so). `key`: make it a key picture."""
        if self._fitter is None:
            self._fitter = Fitter(*picture_size(shown.picture))
        if self._codec is None or shown.fps != self._fps:
            self._fps = shown.fps
            self._codec = self._open(self._fitter.width, self._fitter.height)
        picture = self._fitter.fit(marked(shown) if self._settings.mark else shown.picture)
        pts = round(self._timeline.at(shown) * CLOCK)
        frame = to_video_frame(picture, pts=pts, time_base=Fraction(1, CLOCK))
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return [
            Packet(bytes(packet), pts if packet.pts is None else packet.pts, packet.is_keyframe)
            for packet in self._codec.encode(frame)
        ]

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = av.CodecContext.create("libx264", "w")
        assert isinstance(codec, VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base = Fraction(1, CLOCK)
        codec.framerate = Fraction(self._fps).limit_denominator(1001)
        codec.bit_rate = self._settings.kbps * 1000
        codec.gop_size = max(1, round(self._fps * self._settings.key_interval))
        codec.thread_count = 1
        codec.colorspace, codec.color_range = BT601, LIMITED
        rate = str(self._settings.kbps * 1000)
        size = str(round(self._settings.kbps * 1000 * BUFFER_S))
        codec.options = {**CODEC_OPTIONS, "maxrate": rate, "bufsize": size}
        codec.open()
        return codec
