"""The publishers' WebRTC connections: an offer in, an answer out, and the pictures and the sound of one of them.

A new publisher takes over with its first picture: a phone that has lost its network cannot say good-bye, and must not
lock itself out when it is back. Until then the old one stays on the air, so an offer that comes to nothing costs it
nothing. At most two connections exist: one on the air and one about to be.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from common.clock import monotonic
from common.log import Log
from common.webrtc import allow_loopback, without_mdns
from sender.capture.whip.lipsync import PICTURE_RATE, SOUND_RATE, LipSync, Reports
from sender.capture.whip.repair import Repair

CONNECT_TIMEOUT_S = 15.0
"""A publisher without a picture by then is dropped, so that abandoned offers cost nothing."""

WATCH_S = 0.1
MAX_PIXELS = 4096 * 2304
"""Of a picture; more would only cost memory, since the link carries far less."""

CODECS = ("video/VP8", "video/H264", "video/rtx")
"""Which aiortc decodes, best first: VP8 is colour-true, H.264 often comes without tags."""

log = Log("sender.capture")


class OfferError(ValueError):
    """The offer cannot be answered."""


class Publisher:
    """One connection."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self.id = secrets.token_urlsafe(12)
        self.peer = peer
        self.last_picture: float | None = None
        self.lips = LipSync()
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended = False

    def spawn(self, work: Any, name: str) -> None:
        """Run a coroutine until the connection is closed."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class Publishers:
    """Event loop thread only. `deliver(picture, arrived)` gets the pictures of the one that is on the air,
    `hear(sound, at)` its sound with the time at which the pictures that go with it arrive (monotonic s)."""

    def __init__(
        self,
        deliver: Callable[[VideoFrame, float], None],
        hear: Callable[[AudioFrame, float], None] = lambda sound, at: None,
    ) -> None:
        self.on_air: Publisher | None = None
        self.takeovers = 0
        self._deliver = deliver
        self._hear = hear
        self._pending: Publisher | None = None
        self._closing: set[asyncio.Task[None]] = set()
        allow_loopback()

    async def answer(self, offer: str) -> tuple[str, str]:
        """(id of the publisher, SDP answer). Raises OfferError."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        publisher = Publisher(peer)
        peer.on("track", lambda track: self._receive(publisher, track))
        peer.on("connectionstatechange", lambda: self._changed(publisher))
        try:
            # The codec preference only counts on a transceiver that exists before the offer is applied.
            video = peer.addTransceiver("video", direction="recvonly")
            known = RTCRtpReceiver.getCapabilities("video")
            assert known is not None
            video.setCodecPreferences([c for kind in CODECS for c in known.codecs if c.mimeType == kind])
            await peer.setRemoteDescription(RTCSessionDescription(without_mdns(offer), "offer"))
            if [each.kind for each in peer.getTransceivers()].count("video") != 1:
                raise OfferError("one video, and one audio at most, can be published")
            await peer.setLocalDescription(await peer.createAnswer())
            if video.currentDirection != "recvonly":
                raise OfferError("the offer sends no video")
        except asyncio.CancelledError:
            await self._close(publisher)
            raise
        except OfferError:
            await self._close(publisher)
            raise
        except Exception as error:  # aiortc's SDP parser raises whatever it stumbles over
            await self._close(publisher)
            raise OfferError(f"{type(error).__name__}: {error}") from None
        if self._pending is not None:
            self._drop(self._pending, "a newer offer")
        self._pending = publisher
        publisher.spawn(self._watch(publisher, video.receiver), "publisher-watch")
        return publisher.id, peer.localDescription.sdp

    async def close(self, name: str) -> bool:
        """End one connection; False if there is none of that name."""
        for publisher in (self.on_air, self._pending):
            if publisher is not None and publisher.id == name:
                log.info("publisher gone", id=name[:4], reason="it ended")
                await self._close(publisher)
                return True
        return False

    async def close_all(self) -> None:
        """End all connections."""
        for publisher in (self.on_air, self._pending):
            if publisher is not None:
                await self._close(publisher)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _receive(self, publisher: Publisher, track: Any) -> None:
        receivers = {each.kind: each.receiver for each in publisher.peer.getTransceivers()}
        if track.kind == "video":
            publisher.lips.pictures = Reports(receivers["video"], PICTURE_RATE)
            work = self._pictures(publisher, track)
        else:
            publisher.lips.sound = Reports(receivers["audio"], SOUND_RATE)
            work = self._sound(publisher, track)
        publisher.spawn(work, f"publisher-{track.kind}")

    async def _pictures(self, publisher: Publisher, track: Any) -> None:
        while True:
            try:
                picture = await track.recv()
            except MediaStreamError:
                self._drop(publisher, "its video ended")
                return
            now = monotonic()
            if picture.width * picture.height > MAX_PIXELS:
                self._drop(publisher, f"its pictures are too large ({picture.width}x{picture.height})")
                return
            if publisher.ended:
                return
            if publisher.last_picture is None:
                self._take_over(publisher, picture)
            publisher.last_picture = now
            publisher.lips.picture(picture.pts, now)
            self._deliver(picture, now)

    async def _sound(self, publisher: Publisher, track: Any) -> None:
        """Taken also while nobody hears it: aiortc would keep it."""
        while True:
            try:
                sound = await track.recv()
            except MediaStreamError:
                return
            if sound.pts is None or not sound.sample_rate:
                continue
            at = publisher.lips.place(sound.pts, sound.samples / sound.sample_rate, monotonic())
            if self.on_air is publisher:
                self._hear(sound, at)

    def _take_over(self, publisher: Publisher, picture: VideoFrame) -> None:
        old, self.on_air = self.on_air, publisher
        if self._pending is publisher:
            self._pending = None
        log.info("publisher on the air", id=publisher.id[:4], width=picture.width, height=picture.height)
        if old is not None:
            self.takeovers += 1
            self._drop(old, "another took over")

    async def _watch(self, publisher: Publisher, receiver: Any) -> None:
        """Drops a publisher that never shows anything; mends the stream of one that does."""
        repair, begun = Repair(receiver), monotonic()
        while True:
            await asyncio.sleep(WATCH_S)
            now = monotonic()
            if publisher.last_picture is None and now - begun > CONNECT_TIMEOUT_S:
                self._drop(publisher, "no picture came")
                return
            if publisher.peer.connectionState == "connected":
                await repair.step(now, publisher.last_picture or begun)

    def _changed(self, publisher: Publisher) -> None:
        if publisher.peer.connectionState in ("failed", "closed"):
            self._drop(publisher, "the connection broke")

    def _drop(self, publisher: Publisher, reason: str) -> None:
        if publisher.ended:
            return
        log.info("publisher gone", id=publisher.id[:4], reason=reason)
        self._forget(publisher)
        task = asyncio.get_running_loop().create_task(self._close(publisher), name="publisher-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _forget(self, publisher: Publisher) -> None:
        publisher.ended = True
        if self.on_air is publisher:
            self.on_air = None
        if self._pending is publisher:
            self._pending = None

    async def _close(self, publisher: Publisher) -> None:
        self._forget(publisher)
        tasks = [task for task in publisher.tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await publisher.peer.close()
