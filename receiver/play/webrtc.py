"""WebRTC viewers: a WHEP offer in, an answer and VP8 video out (RFC 9725, without trickle ICE).

All viewers read one feed; each has an encoder of its own, since each asks for key pictures when it needs them.
"""

from __future__ import annotations

import asyncio
import secrets

import aioice.ice
import aiortc.codecs.vpx as vpx
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError
from av import VideoFrame

from common.log import Log
from common.video import to_video_frame
from receiver.play.base import Shown
from receiver.play.feed import Feed, FeedClosed

CONNECT_TIMEOUT_S = 15.0
"""A viewer that is not connected by then is dropped, so that abandoned offers cost nothing."""

LOCAL_BITRATES = (1_000_000, 2_000_000, 6_000_000)
"""aiortc's lowest, first and highest VP8 rate (bit/s).  Viewers sit on the local network; its own defaults
(0.25, 0.5 and 1.5 Mbit/s, for the Internet) would blur what little the radio link let through."""

RTP_CLOCK = 90_000

log = Log("play.webrtc")


class OfferError(ValueError):
    """The offer cannot be answered."""


class TooManyViewers(Exception):
    """The limit of viewers is reached."""


class PictureTrack(MediaStreamTrack):
    """The feed as a video track; a viewer that encodes slowly gets fewer pictures, never older ones."""

    kind = "video"

    def __init__(self, feed: Feed[Shown]) -> None:
        super().__init__()
        self._feed = feed
        self._version = 0
        self._origin: float | None = None
        self._pts = -1

    async def recv(self) -> VideoFrame:
        """The next picture.  Raises MediaStreamError when the feed has ended."""
        try:
            self._version, shown = await self._feed.after(self._version)
        except FeedClosed:
            raise MediaStreamError from None
        if self._origin is None:
            self._origin = shown.shown_at
        self._pts = max(self._pts + 1, round((shown.shown_at - self._origin) * RTP_CLOCK))
        return to_video_frame(shown.picture, pts=self._pts, time_base=VIDEO_TIME_BASE)


class Viewers:
    """The WebRTC connections.  Event loop thread only."""

    def __init__(self, feed: Feed[Shown], limit: int) -> None:
        self.limit = limit
        self._feed = feed
        self._peers: dict[str, RTCPeerConnection] = {}
        self._closing: set[asyncio.Task[None]] = set()
        vpx.MIN_BITRATE, vpx.DEFAULT_BITRATE, vpx.MAX_BITRATE = LOCAL_BITRATES
        allow_loopback()

    def __len__(self) -> int:
        return len(self._peers)

    async def answer(self, offer: str) -> tuple[str, str]:
        """(viewer id, SDP answer).  Raises OfferError and TooManyViewers."""
        if len(self._peers) >= self.limit:
            raise TooManyViewers(f"{self.limit} viewers are connected already")
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        viewer = secrets.token_urlsafe(12)
        self._peers[viewer] = peer
        peer.on("connectionstatechange", lambda: self._changed(viewer, peer))
        try:
            # The codec preference only counts on a transceiver that exists before the offer is applied.
            transceiver = peer.addTransceiver(PictureTrack(self._feed), direction="sendonly")
            codecs = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/VP8"])
            await peer.setRemoteDescription(RTCSessionDescription(without_mdns(offer), "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
        except asyncio.CancelledError:
            await self.close(viewer)
            raise
        except Exception as error:  # aiortc's SDP parser raises whatever it stumbles over
            await self.close(viewer)
            raise OfferError(f"{type(error).__name__}: {error}") from None
        asyncio.get_running_loop().call_later(CONNECT_TIMEOUT_S, self._check, viewer)
        return viewer, peer.localDescription.sdp

    async def close(self, viewer: str) -> bool:
        """End one connection; False if there is none of that name."""
        peer = self._peers.pop(viewer, None)
        if peer is None:
            return False
        await peer.close()
        return True

    async def close_all(self) -> None:
        """End all connections."""
        await asyncio.gather(*(self.close(viewer) for viewer in list(self._peers)), return_exceptions=True)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _changed(self, viewer: str, peer: RTCPeerConnection) -> None:
        log.info("viewer", id=viewer[:4], state=peer.connectionState, viewers=len(self._peers))
        if peer.connectionState in ("failed", "closed"):
            self._drop(viewer)

    def _check(self, viewer: str) -> None:
        peer = self._peers.get(viewer)
        if peer is not None and peer.connectionState != "connected":
            self._drop(viewer)

    def _drop(self, viewer: str) -> None:
        async def end() -> None:
            await self.close(viewer)

        task = asyncio.get_running_loop().create_task(end(), name="viewer-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def without_mdns(sdp: str) -> str:
    """The offer without `.local` candidates: resolving them takes multicast, and the browser, which is told our
    addresses, finds us anyway."""
    lines = sdp.splitlines()
    kept = [line for line in lines if not (line.startswith("a=candidate:") and ".local " in line)]
    return "\r\n".join(kept) + "\r\n"


def allow_loopback() -> None:
    """Let a host without any network offer 127.0.0.1, which aioice leaves out even then."""
    original = aioice.ice.get_host_addresses
    if getattr(original, "semcast", False):
        return

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return original(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])

    addresses.semcast = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = addresses
