"""H.265 picture by picture: x265 with a quantiser for each, and FFmpeg's decoder; both give one for one, at once.

x265 through FFmpeg has no quantiser a picture and no rate that can be changed, but it takes offsets to the quantiser
(`region`; it wants adaptive quantisation switched on for them, at no strength to speak of, and a constant rate factor
without complexity blurring). So one run of the coder follows any budget, and what it codes refers to the
picture before, across units. SVT-AV1 through FFmpeg was measured first: it gives one for one and takes forced key
frames, but a new rate or quantiser within a run changes nothing (README.md).
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from common.codec.base import CodecError
from common.codec.hevc.region import Mark, offset
from common.video import Picture, to_video_frame

FINEST, COARSEST = 8, 51  # quantisers
NEUTRAL = 30  # quantiser of a picture without an offset
PRESETS = ("slow", "medium", "veryfast", "ultrafast")
NO_DELAY = 1 << 19  # FFmpeg's flag for decoders: a picture comes out as soon as it is decoded

PARAMS = (
    "log-level=none:info=0:pools=none:frame-threads=1:bframes=0:rc-lookahead=0:keyint=-1:scenecut=0:open-gop=0"
    f":crf={NEUTRAL}:qcomp=1:cutree=0:ipratio=1:aq-mode=1:aq-strength=0.01:qg-size=64"
)


class Coder:
    """One run of x265: the first picture is a key frame, each other refers to what is before. Called by one thread."""

    def __init__(self, width: int, height: int, preset: str) -> None:
        coder = av.CodecContext.create("libx265", "w")
        assert isinstance(coder, av.VideoCodecContext)
        coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"
        coder.framerate, coder.time_base = Fraction(15), Fraction(1, 15)
        coder.thread_count = 1
        coder.options = {"preset": preset, "tune": "zerolatency", "x265-params": PARAMS}
        self._coder, self._count = coder, 0
        self._size, self._filters = (width, height), dict[int, Mark]()

    def encode(self, picture: Picture, quantiser: int) -> bytes:
        """The next picture as one access unit, with parameter sets before the first."""
        frame = to_video_frame(picture, pts=self._count, time_base=Fraction(1, 15))
        self._count += 1
        if quantiser not in self._filters:
            self._filters[quantiser] = offset(*self._size, quantiser - NEUTRAL)
        packets = self._coder.encode(self._filters[quantiser](frame))
        if len(packets) != 1:
            raise RuntimeError(f"x265 gave {len(packets)} access units for a picture")
        return bytes(packets[0])


class Decoder:
    """Decodes one run of a coder. After an error it is of no more use. Called by one thread."""

    def __init__(self, width: int, height: int) -> None:
        decoder = av.CodecContext.create("hevc", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.thread_count = 1
        decoder.flags |= NO_DELAY
        decoder.options = {"max_pixels": str(width * height * 2), "err_detect": "explode"}
        self._decoder, self._size = decoder, (width, height)

    def decode(self, coded: bytes) -> Picture:
        """The picture of one access unit; raises CodecError if that is not what it is."""
        try:
            frames = self._decoder.decode(av.Packet(coded))
        except av.error.FFmpegError as error:
            raise CodecError(f"coded picture: {error.strerror}") from error
        if len(frames) != 1:
            raise CodecError(f"coded picture: {len(frames)} pictures where one should be")
        frame = frames[0]
        if (frame.width, frame.height, frame.format.name) != (*self._size, "yuv420p"):
            raise CodecError(f"coded picture: {frame.width}x{frame.height} {frame.format.name}")
        if frame.is_corrupt:
            raise CodecError("coded picture: damaged")
        return np.asarray(frame.to_ndarray(), np.uint8)
