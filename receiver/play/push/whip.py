"""WHIP (RFC 9725): an SDP offer posted over HTTP, then H.264 and Opus over WebRTC; the session is deleted at the end.

aiortc sends the packets of the shared encoder as they are, and again when the server misses them; a server that asks
for a key picture gets one at the next interval (`push.key_interval`). ICE uses this host's own addresses: no STUN, no
TURN. FFmpeg's own WHIP muxer, as PyAV's wheel has it, fails in the DTLS handshake with aiortc's peers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from receiver.play.push.coded import CLOCK, Packet, Settings
from receiver.play.push.link import CLOSED, REFUSED, UNKNOWN_HOST, UNVERIFIED, LinkError
from receiver.play.push.muxer import SOUND
from receiver.play.push.target import Target
from receiver.play.webrtc import allow_loopback

CONNECT_S = 10.0
CLOSE_TIMEOUT_S = 3.0
MAX_ANSWER = 64 << 10
MAX_WAITING = 2
"""Packets that wait for aiortc, which sends over UDP and so never waits long."""

CREATED = 201
STATUS = {
    400: "the server cannot use the offer; does it take H.264?",
    401: "the server refuses the token or password",
    403: "the server forbids publishing there",
    404: "the server knows no such path; is it the WHIP endpoint?",
    405: "this is no WHIP endpoint",
    406: "the server takes no H.264",
    409: "somebody else publishes there",
    415: "this is no WHIP endpoint",
    422: "the server cannot use the offer; does it take H.264?",
    429: "too many attempts",
    503: "the server is overloaded, or not ready",
}


class PacketTrack(MediaStreamTrack):
    """Coded packets as a video track of aiortc, which then only cuts and seals them."""

    kind = "video"
    waiting = MAX_WAITING

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[Packet | None] = asyncio.Queue(self.waiting)

    async def recv(self) -> Any:
        """The next packet, an av.Packet. Raises MediaStreamError at the end."""
        packet = await self.packets.get()
        if packet is None:
            raise MediaStreamError
        coded = av.Packet(packet.data)
        coded.pts, coded.time_base = packet.pts, Fraction(1, CLOCK)
        return coded


class SoundTrack(PacketTrack):
    """Coded sound as an audio track. A server that wants none does not hold up the pictures."""

    kind = "audio"
    waiting = 25

    def put(self, packet: Packet) -> None:
        """The oldest goes when aiortc takes none."""
        if self.packets.full():
            self.packets.get_nowait()
        self.packets.put_nowait(packet)


class Whip:
    """Connects by WHIP. `token_file`: holds the bearer token where the URL has none; read at each attempt."""

    def __init__(self, token_file: Path | None = None) -> None:
        self._token_file = token_file

    async def connect(self, target: Target, first: Packet, settings: Settings, sound: bool) -> WhipLink:
        """See `Connect`."""
        link = WhipLink(target, self._authorization(target), sound)
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        return link

    def _authorization(self, target: Target) -> str | None:
        """The header: `whip://TOKEN@...` is a bearer token, `whip://USER:PASSWORD@...` a login."""
        if target.password:
            login = f"{target.user}:{target.password}".encode()
            return f"Basic {base64.b64encode(login).decode()}"
        token = target.user
        if not token and self._token_file is not None:
            try:
                token = self._token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise LinkError(f"push.token_file: cannot be read: {error}") from None
        if any(not char.isprintable() or char.isspace() for char in token):
            raise LinkError("push.token_file: must hold one token on one line")
        return f"Bearer {token}" if token else None


class WhipLink:
    """One session."""

    def __init__(self, target: Target, authorization: str | None, sound: bool) -> None:
        self._target = target
        self._headers = {} if authorization is None else {"Authorization": authorization}
        self._track = PacketTrack()
        self._sound = SoundTrack() if sound else None
        self._http: aiohttp.ClientSession | None = None
        self._resource: str | None = None
        self._over = asyncio.Event()
        self._up = asyncio.Event()
        allow_loopback()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._changed)

    async def open(self) -> None:
        """Offer, post, answer, and wait until the media path is up. Raises LinkError."""
        transceiver = self._peer.addTransceiver(self._track, direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
        if self._sound is not None:
            self._peer.addTransceiver(self._sound, direction="sendonly")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await self._post(self._peer.localDescription.sdp)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except Exception as error:  # aiortc's SDP parser raises whatever it stumbles over
            raise LinkError(self._target.scrub(f"the answer cannot be used: {error}")) from None
        waits = [asyncio.ensure_future(event.wait()) for event in (self._up, self._over)]
        try:
            await asyncio.wait(waits, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._up.is_set():
            raise LinkError(
                "no media path to the server: UDP is blocked, or it told no address that is reachable"
            )

    async def send(self, packet: Packet) -> None:
        if packet.stream == SOUND:
            if self._sound is not None:
                self._sound.put(packet)
        elif not self._over.is_set():
            put = asyncio.ensure_future(self._track.packets.put(packet))
            over = asyncio.ensure_future(self._over.wait())
            try:
                await asyncio.wait((put, over), return_when=asyncio.FIRST_COMPLETED)
            finally:
                put.cancel()
                over.cancel()
        if self._over.is_set():
            raise LinkError(CLOSED)

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                if self._http is not None and self._resource is not None:
                    await self._http.delete(self._resource, headers=self._headers)
        with contextlib.suppress(Exception):
            if self._http is not None:
                await self._http.close()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._peer.close()

    async def _post(self, offer: str) -> str:
        """The answer. Raises LinkError with what the status means."""
        endpoint = _http_url(self._target)
        timeout = aiohttp.ClientTimeout(total=CONNECT_S)
        self._http = aiohttp.ClientSession(timeout=timeout)
        headers = {**self._headers, "Content-Type": "application/sdp", "Accept": "application/sdp"}
        try:
            async with self._http.post(endpoint, data=offer.encode(), headers=headers) as response:
                if response.status != CREATED:
                    said = STATUS.get(response.status, "the server refuses the offer")
                    raise LinkError(f"{said} (HTTP {response.status})")
                body = await response.content.read(MAX_ANSWER)
                location = response.headers.get("Location")
                if location:
                    self._resource = urljoin(str(response.url), location)
                return body.decode(errors="replace")
        except aiohttp.ClientConnectorCertificateError:
            raise LinkError(UNVERIFIED) from None
        except aiohttp.ClientConnectorDNSError:
            raise LinkError(UNKNOWN_HOST) from None
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED
            raise LinkError(REFUSED if refused else f"cannot connect: {error.os_error.strerror}") from None
        except TimeoutError:
            raise LinkError(f"no answer within {CONNECT_S:g} s") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise LinkError(self._target.scrub(f"HTTP: {type(error).__name__}: {error}")) from None

    def _changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected":
            self._up.set()
        elif state in ("failed", "closed"):
            self._over.set()


def _http_url(target: Target) -> str:
    """The endpoint without credentials: whip:// is http://, whips:// is https://."""
    parts = urlsplit(target.url)
    scheme = "https" if target.scheme == "whips" else "http"
    return urlunsplit((scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
