"""Pictures as JPEG, for browsers that get no WebRTC connection: encoded once, however many look."""

from __future__ import annotations

import asyncio
from fractions import Fraction

from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, VideoReformatter

from common.video import Picture, picture_size, to_video_frame
from receiver.play.base import Shown

BOUNDARY = "semcast-picture"
QUALITY = 4
"""MJPEG quantiser, 2 (best) to 31."""


class JpegEncoder:
    """I420 picture to JPEG bytes.  One thread at a time."""

    def __init__(self) -> None:
        self._context: VideoCodecContext | None = None
        self._reformatter = VideoReformatter()
        self._pts = 0

    def encode(self, picture: Picture) -> bytes:
        """One complete JPEG file."""
        width, height = picture_size(picture)
        context = self._context
        if context is None or (context.width, context.height) != (width, height):
            context = self._context = VideoCodecContext.create("mjpeg", "w")
            context.width, context.height = width, height
            context.pix_fmt = "yuvj420p"
            context.time_base = Fraction(1, 25)
            context.thread_count = 1
            context.qmin = context.qmax = QUALITY
        frame = self._reformatter.reformat(
            to_video_frame(picture, pts=0, time_base=Fraction(1, 25)),
            format="yuvj420p",
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )
        self._pts += 1
        frame.pts = self._pts
        return b"".join(bytes(packet) for packet in context.encode(frame))


class SharedJpeg:
    """The JPEG of the picture on show.  Event loop thread; encoding runs in a worker thread."""

    def __init__(self) -> None:
        self._encoder = JpegEncoder()
        self._lock = asyncio.Lock()
        self._number = -1
        self._data = b""

    async def of(self, shown: Shown) -> bytes:
        """`shown` as a JPEG, or a newer picture if one was encoded meanwhile."""
        async with self._lock:
            if shown.number > self._number:
                self._data = await asyncio.to_thread(self._encoder.encode, shown.picture)
                self._number = shown.number
            return self._data


def part(jpeg: bytes) -> bytes:
    """One part of the multipart/x-mixed-replace stream."""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n"
