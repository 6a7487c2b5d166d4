"""One VP8 encoder for all viewers of the page: it runs on a thread of its own, and only while somebody looks.

A viewer must not miss a picture that a later one was predicted from. So each has a short queue, and when that runs
over, or the viewer asks (RTCP PLI or FIR, RFC 4585 and 5104), it goes on with the next key picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from fractions import Fraction
from typing import Any, TypeAlias

from av import VideoFrame
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from common.clock import Clock, monotonic
from common.handoff import DropOldest
from common.log import Log
from common.video import Picture, picture_size, to_video_frame
from receiver.play.base import Shown

TIME_BASE = Fraction(1, 90_000)
"""The RTP clock of video (RFC 7741)."""

KEY_INTERVAL_S = 0.4
"""Key pictures asked for come no closer together: whoever loses packets must not multiply the rate of all."""

REPEAT_S = 0.25
"""When no new picture comes, a viewer that needs a key picture gets the last one again after so long."""

MAX_BACKLOG = 16
"""Pictures that wait for one viewer (about a second); beyond that it skips to the next key picture."""

QUALITY = 10
"""libvpx's constant quality (0 to 63): about 42 dB on pictures of 256x256, so that nothing is lost once more."""

REFERENCE = 256 * 256 * 15
"""Pixels a second at which the highest rate is REFERENCE_RATE; it grows with the 0.75th power of them."""
REFERENCE_RATE = 1_500_000
LOWEST_RATE, HIGHEST_RATE = 500_000, 8_000_000

OPTIONS = {
    "deadline": "realtime",
    "cpu-used": "-6",
    "lag-in-frames": "0",
    "static-thresh": "1",
    "crf": str(QUALITY),
    "partitions": "0",
}

VideoPacket: TypeAlias = "Packet[Any]"
"""One encoded picture."""

log = Log("play.vp8")


def highest_rate(width: int, height: int, fps: float) -> int:
    """The bit rate (bit/s) that pictures of this size are held below."""
    rate: float = REFERENCE_RATE * (width * height * fps / REFERENCE) ** 0.75
    return round(min(HIGHEST_RATE, max(LOWEST_RATE, rate)))


class Vp8Encoder:
    """Pictures of any size to VP8; a change of size begins with a key picture. One thread at a time."""

    def __init__(self, rate: int | None = None) -> None:
        """`rate`: bits a second that it stays below; None: fit for the size."""
        self._rate = rate
        self._context: VideoCodecContext | None = None

    def encode(self, picture: Picture, pts: int, fps: float, key: bool = False) -> VideoPacket:
        """One picture as one packet. `pts`: in TIME_BASE, rising; `key`: decodable without those before."""
        width, height = picture_size(picture)
        context = self._context
        if context is None or (context.width, context.height) != (width, height):
            context = self._context = self._open(width, height, fps)
        frame: VideoFrame = to_video_frame(picture, pts=pts, time_base=TIME_BASE)
        if key:
            frame.pict_type = PictureType.I
        packets = context.encode(frame)
        if len(packets) != 1:
            raise RuntimeError(f"libvpx made {len(packets)} packets of a picture")
        packets[0].time_base = TIME_BASE
        return packets[0]

    def _open(self, width: int, height: int, fps: float) -> VideoCodecContext:
        context = VideoCodecContext.create("libvpx", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = TIME_BASE
        context.framerate = Fraction(fps).limit_denominator(1001)
        context.bit_rate = self._rate or highest_rate(width, height, fps)
        context.gop_size = 3000
        context.qmin, context.qmax = 2, 63
        context.thread_count = 1
        context.options = dict(OPTIONS)
        return context


class Subscription:
    """One viewer's share of the encoder. Event loop thread only."""

    def __init__(self, encoder: SharedVp8) -> None:
        self._encoder = encoder
        self._waiting: deque[VideoPacket] = deque()
        self._filled = asyncio.Event()
        self._joined = False  # whether it has had a key picture since it began or ran over
        self.closed = False

    async def next(self) -> VideoPacket | None:
        """The next picture, the first one a key picture; None after `close`."""
        while not self._waiting and not self.closed:
            self._filled.clear()
            await self._filled.wait()
        return None if self.closed else self._waiting.popleft()

    def need_key(self) -> None:
        """The viewer cannot go on without a key picture."""
        self._encoder.need_key()

    def close(self) -> None:
        """No more pictures. Repeatable."""
        self.closed = True
        self._waiting.clear()
        self._encoder.leave(self)
        self._filled.set()

    def offer(self, packet: VideoPacket) -> None:
        """A picture has been encoded."""
        if len(self._waiting) >= MAX_BACKLOG:
            self._waiting.clear()
            self._joined = False
        if not self._joined and not packet.is_keyframe:
            self._encoder.need_key()
            return
        self._joined = True
        self._waiting.append(packet)
        self._filled.set()


class SharedVp8:
    """Encodes each picture once, however many look. Event loop thread, but for the encoder's own."""

    def __init__(self, rate: int | None = None, clock: Clock = monotonic) -> None:
        self.encoded = 0
        """Pictures encoded; written by the encoder's thread."""
        self._rate = rate
        self._encoder = Vp8Encoder(rate)
        self._clock = clock
        self._queue: DropOldest[Shown] = DropOldest()
        self._subscriptions: set[Subscription] = set()
        self._latest: Shown | None = None
        self._key = threading.Event()
        self._key_at = -KEY_INTERVAL_S
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pts = -1
        self._origin: float | None = None

    def __len__(self) -> int:
        return len(self._subscriptions)

    @property
    def dropped(self) -> int:
        """Pictures that came faster than they could be encoded."""
        return self._queue.dropped

    def subscribe(self) -> Subscription:
        """A new viewer; the encoder's thread starts with the first. Its first picture is a key picture."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="web-vp8", daemon=True)
            self._thread.start()
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        self.need_key()
        if self._latest is not None:
            self._queue.put(self._latest)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def need_key(self) -> None:
        """Make one of the next pictures a key picture."""
        self._key.set()

    def show(self, shown: Shown) -> None:
        """The picture on show now; dropped where nobody looks."""
        self._latest = shown
        if self._origin is None:
            self._origin = shown.shown_at
        if self._subscriptions:
            self._queue.put(shown)

    def pts(self, shown: Shown) -> int:
        """When a picture is due, in TIME_BASE since the first one that was shown."""
        return 0 if self._origin is None else round((shown.shown_at - self._origin) / TIME_BASE)

    async def close(self) -> None:
        """End all subscriptions and the thread."""
        for subscription in list(self._subscriptions):
            subscription.close()
        self._queue.close()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 5.0)

    def _run(self) -> None:
        shown: Shown | None = None
        loop = self._loop
        assert loop is not None
        while not self._queue.closed:
            fresh = self._queue.get(REPEAT_S)
            shown = fresh or shown
            if shown is None or (fresh is None and not self._key.is_set()):
                continue
            try:
                packet = self._encode(shown, repeated=fresh is None)
            except Exception as error:
                log.exception("a picture of the page's video could not be encoded; it begins anew", error)
                self._encoder, shown = Vp8Encoder(self._rate), None
                continue
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._publish, packet)

    def _encode(self, shown: Shown, repeated: bool) -> VideoPacket:
        """On the encoder's thread."""
        now = self._clock()
        key = self._key.is_set() and now - self._key_at >= KEY_INTERVAL_S
        if key:
            self._key.clear()
        step = round(REPEAT_S / TIME_BASE) if repeated else 1
        self._pts = max(self._pts + step, self.pts(shown))
        packet = self._encoder.encode(shown.picture, self._pts, shown.fps, key)
        if packet.is_keyframe:
            self._key_at = now
        self.encoded += 1
        return packet

    def _publish(self, packet: VideoPacket) -> None:
        for subscription in self._subscriptions:
            subscription.offer(packet)
