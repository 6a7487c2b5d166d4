"""A publisher in this process: numbered pictures by aiortc, offered over HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import AudioFrame, VideoFrame

from common.values import Address, Size
from common.video import to_video_frame
from sender.capture.base import CaptureStats
from sender.capture.whip.place import Place
from sender.capture.whip.server import WhipServer
from tests.sender.capture.clips import numbered

SDP = {"Content-Type": "application/sdp"}


class Numbers(VideoStreamTrack):
    """Thirty grey pictures a second that all say the same number."""

    def __init__(self, number: int, width: int = 96, height: int = 64) -> None:
        super().__init__()
        self._picture = numbered(number, width, height)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        return to_video_frame(self._picture, pts, time_base)


@dataclass
class Served:
    """A server that is up, its client, and the pictures it has delivered."""

    server: WhipServer
    client: aiohttp.ClientSession
    stats: CaptureStats
    pictures: list[VideoFrame] = field(default_factory=list)

    async def offer(self, body: str | bytes, **headers: str) -> int:
        """The status that an offer is answered with."""
        async with self.client.post("/cam", data=body, headers={**SDP, **headers}) as answer:
            await answer.read()
            return answer.status


@contextlib.asynccontextmanager
async def serving(
    host: str = "127.0.0.1", hear: Callable[[AudioFrame, float], None] | None = None, **keywords: Any
) -> AsyncIterator[Served]:
    """A server at a free port of this host."""
    pictures: list[VideoFrame] = []
    stats = CaptureStats()
    server = WhipServer(
        Place(Address(host, 0), "/cam", False),
        Size(64, 64),
        15.0,
        stats,
        lambda picture, arrived: pictures.append(picture),
        hear,
        **keywords,
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(server.url) as client:
            yield Served(server, client, stats, pictures)
    finally:
        await server.close()


def peer() -> RTCPeerConnection:
    """A connection that asks nobody outside."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def offer_of(connection: RTCPeerConnection) -> str:
    """Its offer, with all candidates."""
    await connection.setLocalDescription(await connection.createOffer())
    return str(connection.localDescription.sdp)


@contextlib.asynccontextmanager
async def publishing(
    client: aiohttp.ClientSession,
    track: VideoStreamTrack | None = None,
    *,
    path: str = "/cam",
    headers: dict[str, str] | None = None,
    prepare: Callable[[RTCPeerConnection], None] = lambda connection: None,
) -> AsyncIterator[tuple[RTCPeerConnection, str]]:
    """A publisher on its way: its connection, and the session's place."""
    connection = peer()
    try:
        connection.addTrack(track or Numbers(3))
        prepare(connection)
        own = {**SDP, **(headers or {})}
        async with client.post(path, data=await offer_of(connection), headers=own) as answer:
            text = await answer.text()
            assert answer.status == 201 and answer.content_type == "application/sdp", text
            place = answer.headers["Location"]
        await connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
        yield connection, place
    finally:
        await connection.close()
