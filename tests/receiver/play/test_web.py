"""The page's server: WHEP with a real peer, figures, JPEG stream, limits, headers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from common.values import Address
from receiver.play import web
from receiver.play.base import SinkError
from receiver.play.web import WebSink
from receiver.play.webrtc import without_mdns
from tests.receiver.link import until
from tests.receiver.play.pictures import shown

SDP = {"Content-Type": "application/sdp"}


@contextlib.asynccontextmanager
async def serving(max_viewers: int = 2) -> AsyncIterator[tuple[WebSink, aiohttp.ClientSession]]:
    sink = WebSink(Address("127.0.0.1", 0), lambda: {"state": "live", "loss": 0.5}, max_viewers)
    await sink.start()
    try:
        async with aiohttp.ClientSession(sink.url) as client:
            yield sink, client
    finally:
        await sink.close()


async def offer(peer: RTCPeerConnection) -> str:
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


async def test_a_whep_viewer_gets_moving_vp8_pictures() -> None:
    async with serving() as (sink, client):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        tracks: asyncio.Queue[object] = asyncio.Queue()
        peer.on("track", tracks.put_nowait)
        async with client.post("/whep", data=await offer(peer), headers=SDP) as answer:
            assert answer.status == 201 and answer.content_type == "application/sdp"
            place, sdp = answer.headers["Location"], await answer.text()
        assert "VP8/90000" in sdp and "H264" not in sdp
        await peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        track = await tracks.get()

        async def play() -> None:
            for number in range(1000):
                sink.show(shown(number, 128, 128))
                await asyncio.sleep(1 / 30)

        player = asyncio.create_task(play())
        async with asyncio.timeout(15):
            frames: list[VideoFrame] = [await track.recv() for _ in range(8)]  # type: ignore[attr-defined]
        player.cancel()
        first, last = (frame.to_ndarray(format="yuv420p").astype(int) for frame in (frames[0], frames[-1]))
        assert first.shape == (192, 128)
        assert np.abs(first - last).mean() > 0.5
        assert sink.viewers == 1
        async with client.delete(place) as gone:
            assert gone.status == 200
        async with client.delete(place) as gone:
            assert gone.status == 404
        assert sink.viewers == 0
        await peer.close()


async def test_viewers_are_limited_and_bad_offers_refused() -> None:
    async with serving(max_viewers=1) as (sink, client):
        for body in ("", "v=0", "rubbish\r\n", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "\x00\xff"):
            async with client.post("/whep", data=body, headers=SDP) as answer:
                assert answer.status == 400
        async with client.post("/whep", data=b"\xff\xfe", headers=SDP) as answer:
            assert answer.status == 400
        strange = {"Content-Type": "application/sdp; charset=strange"}
        async with client.post("/whep", data="v=0", headers=strange) as answer:
            assert answer.status == 400
        async with client.post("/whep", data="x" * 100_000, headers=SDP) as answer:
            assert answer.status == 413
        async with client.post("/whep", data="{}", headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 415
        assert sink.viewers == 0
        peers = [RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2)]
        statuses = []
        for peer in peers:
            async with client.post("/whep", data=await offer(peer), headers=SDP) as answer:
                statuses.append(answer.status)
        assert statuses == [201, 503]
        for peer in peers:
            await peer.close()


async def test_other_sites_may_not_use_the_page() -> None:
    async with serving() as (sink, client):
        for origin in ("http://elsewhere.example", "null", "http://["):
            async with client.get("/stats.json", headers={"Origin": origin}) as answer:
                assert answer.status == 403
        for path, site, status in (
            ("/stream.mjpeg", "cross-site", 403),
            ("/stats.json", "same-site", 403),
            ("/stats.json", "same-origin", 200),
            ("/stats.json", "none", 200),
            ("/", "cross-site", 200),
        ):
            async with client.get(path, headers={"Sec-Fetch-Site": site}) as answer:
                assert answer.status == status, (path, site)
        async with client.get("/stats.json", headers={"Origin": sink.url.rstrip("/")}) as answer:
            assert answer.status == 200


async def test_the_page_is_one_file_behind_a_strict_policy() -> None:
    async with serving() as (_, client), client.get("/") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert policy.count("'sha256-") == 2
    assert "src=" not in text.split("<script>")[0].replace('id="pictures"', "")
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert "style=" not in text and "onclick=" not in text


async def test_events_and_stats_carry_figures_and_trust() -> None:
    async with serving() as (sink, client):
        async with client.get("/stats.json") as answer:
            assert await answer.json() == {"state": "live", "loss": 0.5, "viewers": 0}
        sink.show(shown(0))
        async with client.get("/events") as answer:
            assert answer.content_type == "text/event-stream"
            line = await answer.content.readline()
        stats = json.loads(line.removeprefix(b"data: "))
        assert stats["trust"] == {"rows": 3, "columns": 4, "cells": "012012012012"}
        assert (stats["width"], stats["height"], stats["silence_s"]) == (64, 48, 0.0)


async def test_the_jpeg_stream_shows_the_newest_picture_and_ends_with_the_sink() -> None:
    async with serving() as (sink, client), client.get("/stream.mjpeg") as answer:
        assert answer.content_type == "multipart/x-mixed-replace"
        for number in range(3):
            sink.show(shown(number))
            boundary = await answer.content.readline()
            assert boundary.startswith(b"--")
            await answer.content.readline()
            length = int((await answer.content.readline()).split()[-1])
            await answer.content.readline()
            assert (await answer.content.readexactly(length))[:2] == b"\xff\xd8"
            await answer.content.readline()
        sink._feed.close()
        assert await answer.content.read() == b""


async def test_streams_are_limited() -> None:
    async with serving(max_viewers=1) as (_, client), contextlib.AsyncExitStack() as stack:
        statuses = []
        for _ in range(3):
            statuses.append((await stack.enter_async_context(client.get("/events"))).status)
        assert statuses == [200, 200, 503]


async def test_a_port_in_use_is_explained() -> None:
    async with serving() as (sink, _):
        port = int(sink.url.rstrip("/").rpartition(":")[2])
        second = WebSink(Address("127.0.0.1", port), dict)
        with pytest.raises(SinkError, match=r"web\.listen: cannot listen on 127\.0\.0\.1"):
            await second.start()
        await second.close()


def test_mdns_candidates_are_left_out() -> None:
    lines = [
        "v=0",
        "a=candidate:1 1 udp 1 abcd.local 5000 typ host",
        "a=candidate:2 1 udp 1 10.0.0.1 5000 typ host",
    ]
    assert without_mdns("\r\n".join(lines)) == f"{lines[0]}\r\n{lines[2]}\r\n"


async def test_the_stream_of_a_viewer_that_left_before_the_first_picture_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "GONE_INTERVAL_S", 0.05)
    async with serving(max_viewers=1) as (sink, client):
        for _ in range(2):
            async with client.get("/stream.mjpeg") as answer:
                assert answer.status == 200
        await until(lambda: sink._streams == 0)
