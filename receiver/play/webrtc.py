"""WebRTC viewers: a WHEP offer in, an answer and VP8 video out (RFC 9725, without trickle ICE).

All viewers are sent the packets of one encoder.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from common.log import Log
from common.webrtc import allow_loopback as allow_loopback
from common.webrtc import without_mdns
from receiver.play.vp8 import SharedVp8, Subscription, VideoPacket

CONNECT_TIMEOUT_S = 15.0
"""A viewer that is not connected by then is dropped, so that abandoned offers cost nothing."""

log = Log("play.webrtc")


class OfferError(ValueError):
    """The offer cannot be answered."""


class TooManyViewers(Exception):
    """The limit of viewers is reached."""


class SharedTrack(MediaStreamTrack):
    """The shared encoder's packets as a video track, from the first key picture after the connection is up."""

    kind = "video"

    def __init__(self, encoder: SharedVp8) -> None:
        super().__init__()
        self._encoder = encoder
        self._subscription: Subscription | None = None
        self.sender: RTCRtpSender | None = None
        """Who sends it."""
        self.origin: int | None = None
        """What the sender adds to the encoder's pts, so that they become RTP timestamps; None: not known (yet)."""
        self._sent: int | None = None

    async def recv(self) -> VideoPacket:
        """The next picture, encoded. Raises MediaStreamError at the end."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._subscription is None:
            self._subscription = self._encoder.subscribe()
        # aiortc adds a random number of its own, which shows only in what it has sent: by now the last packet is.
        stamp = getattr(self.sender, "_RTCRtpSender__rtp_timestamp", None)
        if self._sent is not None and isinstance(stamp, int):
            self.origin = (stamp - self._sent) & 0xFFFFFFFF
        packet = await self._subscription.next()
        if packet is None:
            raise MediaStreamError
        self._sent = packet.pts
        return packet

    def need_key(self) -> None:
        """The viewer has lost what it would need to go on."""
        if self._subscription is not None:
            self._subscription.need_key()

    def stop(self) -> None:
        super().stop()
        if self._subscription is not None:
            self._subscription.close()


class Viewers:
    """The WebRTC connections.  Event loop thread only."""

    def __init__(self, encoder: SharedVp8, limit: int) -> None:
        self.limit = limit
        self.audio: Callable[[], MediaStreamTrack] | None = None
        """Makes the sound track of a viewer that offers to receive one; None: there is no sound."""
        self._encoder = encoder
        self._peers: dict[str, tuple[RTCPeerConnection, list[MediaStreamTrack]]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        allow_loopback()

    def __len__(self) -> int:
        return len(self._peers)

    async def answer(self, offer: str) -> tuple[str, str]:
        """(viewer id, SDP answer).  Raises OfferError and TooManyViewers."""
        if len(self._peers) >= self.limit:
            raise TooManyViewers(f"{self.limit} viewers are connected already")
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        viewer = secrets.token_urlsafe(12)
        track = SharedTrack(self._encoder)
        tracks: list[MediaStreamTrack] = [track]
        self._peers[viewer] = peer, tracks
        peer.on("connectionstatechange", lambda: self._changed(viewer, peer))
        try:
            # The codec preference only counts on a transceiver that exists before the offer is applied.
            transceiver = peer.addTransceiver(track, direction="sendonly")
            codecs = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/VP8"])
            # aiortc tells its own encoder alone that the viewer asks for a key picture.
            setattr(transceiver.sender, "_send_keyframe", track.need_key)  # noqa: B010
            track.sender = transceiver.sender
            if self.audio is not None and "\nm=audio " in offer:
                tracks.append(self.audio())
                peer.addTransceiver(tracks[-1], direction="sendonly")
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

    def timestamp(self, viewer: str, pts: int) -> int | None:
        """The RTP timestamp of the encoder's `pts` in a viewer's video (RFC 3550 section 5.1); None: not known."""
        found = self._peers.get(viewer)
        track = found[1][0] if found is not None else None
        if not isinstance(track, SharedTrack) or track.origin is None:
            return None
        return (track.origin + pts) & 0xFFFFFFFF

    async def close(self, viewer: str) -> bool:
        """End one connection; False if there is none of that name."""
        found = self._peers.pop(viewer, None)
        if found is None:
            return False
        peer, tracks = found
        for track in tracks:  # aiortc ends those alone that it has begun to send
            track.stop()
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
        found = self._peers.get(viewer)
        if found is not None and found[0].connectionState != "connected":
            self._drop(viewer)

    def _drop(self, viewer: str) -> None:
        async def end() -> None:
            await self.close(viewer)

        task = asyncio.get_running_loop().create_task(end(), name="viewer-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
