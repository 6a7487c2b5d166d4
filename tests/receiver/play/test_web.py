"""The page's server: WHEP with a real peer, figures, JPEG stream, limits, headers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame

from receiver.config import WebSection
from receiver.play import web
from receiver.play.base import SinkError
from receiver.play.vp8 import VideoPacket
from receiver.play.web import WebSink
from tests.receiver.play.pictures import shown
from tests.waiting import until

SDP = {"Content-Type": "application/sdp"}


def nobody(_: str | None) -> bool:
    return False


def make(listen: str = "127.0.0.1:0", **settings: object) -> WebSink:
    section = WebSection.model_validate({"listen": listen, **settings})
    return WebSink(section, lambda: {"state": "live", "loss": 0.5}, nobody)


@contextlib.asynccontextmanager
async def serving(max_viewers: int = 2) -> AsyncIterator[tuple[WebSink, aiohttp.ClientSession]]:
    sink = make(max_viewers=max_viewers)
    await sink.start()
    try:
        async with aiohttp.ClientSession(sink.url) as client:
            yield sink, client
    finally:
        await sink.close()


async def offer(peer: RTCPeerConnection, *kinds: str) -> str:
    for kind in kinds or ("video",):
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


@contextlib.asynccontextmanager
async def watching(
    client: aiohttp.ClientSession, *kinds: str
) -> AsyncIterator[tuple[RTCPeerConnection, asyncio.Queue[Any], str]]:
    """A WHEP viewer: its connection, the tracks that it is sent, and its address."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks: asyncio.Queue[Any] = asyncio.Queue()
    peer.on("track", tracks.put_nowait)
    async with client.post("/whep", data=await offer(peer, *kinds), headers=SDP) as answer:
        assert answer.status == 201 and answer.content_type == "application/sdp"
        place, sdp = answer.headers["Location"], await answer.text()
    assert "VP8/90000" in sdp and "H264" not in sdp
    await peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    try:
        yield peer, tracks, place
    finally:
        await peer.close()


@contextlib.asynccontextmanager
async def playing(sink: WebSink) -> AsyncIterator[None]:
    async def play() -> None:
        for number in range(1000):
            sink.show(shown(number, 128, 128))
            await asyncio.sleep(1 / 30)

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()


async def test_a_whep_viewer_gets_moving_vp8_pictures() -> None:
    async with serving() as (sink, client), watching(client) as (_, tracks, place), playing(sink):
        track = await tracks.get()
        async with asyncio.timeout(15):
            frames: list[VideoFrame] = [await track.recv() for _ in range(8)]
        first, last = (frame.to_ndarray(format="yuv420p").astype(int) for frame in (frames[0], frames[-1]))
        assert first.shape == (192, 128)
        assert np.abs(first - last).mean() > 0.5
        assert sink.viewers == 1
        viewer = place.rpartition("/")[2]  # maps are stamped with the times of its pictures
        await until(lambda: sink._viewers.timestamp(viewer, 0) is not None)
        later = sink._viewers.timestamp(viewer, 90), sink._viewers.timestamp(viewer, 0)
        assert later[0] is not None and later[1] is not None and (later[0] - later[1]) % 2**32 == 90
        assert sink._viewers.timestamp("nobody", 0) is None
        async with client.delete(place) as gone:
            assert gone.status == 200
        async with client.delete(place) as gone:
            assert gone.status == 404
        assert sink.viewers == 0
        assert len(sink._vp8) == 0


async def test_viewers_share_one_encode_and_one_that_asks_gets_a_key_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        serving() as (sink, client),
        watching(client) as (first, tracks, _),
        watching(client) as (_, others, _),
    ):
        encoded: list[bool] = []
        publish = sink._vp8._publish

        def note(packet: VideoPacket) -> None:
            encoded.append(packet.is_keyframe)
            publish(packet)

        monkeypatch.setattr(sink._vp8, "_publish", note)
        async with playing(sink), asyncio.timeout(15):
            for queue in (tracks, others):
                track = await queue.get()
                assert isinstance(await track.recv(), VideoFrame)
            await until(lambda: len(sink._vp8) == 2)
            await asyncio.sleep(0.5)  # the key pictures of joining are over
            begun = len(encoded)
            receiver = first.getReceivers()[0]
            ssrc = next(iter(getattr(receiver, "_RTCRtpReceiver__remote_streams")))  # noqa: B009
            await receiver._send_rtcp_pli(ssrc)
            await until(lambda: any(encoded[begun:]))
        assert sink._vp8.encoded <= 1 + sink._vp8._queue.accepted


async def test_sound_is_sent_to_who_offers_to_receive_it_where_there_is_any() -> None:
    async with serving() as (sink, client):
        sink._viewers.audio = None
        async with watching(client, "audio", "video") as (_, tracks, _):
            assert (await tracks.get()).kind == "video" and tracks.empty()
        sink._viewers.audio = AudioStreamTrack
        async with watching(client, "video", "audio") as (_, tracks, _), playing(sink), asyncio.timeout(15):
            both = {track.kind: track for track in (await tracks.get(), await tracks.get())}
            assert isinstance(await both["audio"].recv(), AudioFrame)
            assert isinstance(await both["video"].recv(), VideoFrame)
        async with watching(client, "video") as (_, tracks, _):
            assert (await tracks.get()).kind == "video" and tracks.empty()


async def test_the_sound_of_a_viewer_that_never_connects_is_forgotten() -> None:
    async with serving() as (sink, client):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        async with client.post("/whep", data=await offer(peer, "video", "audio"), headers=SDP) as answer:
            assert answer.status == 201 and len(sink._sound) == 1
            place = answer.headers["Location"]
        await peer.close()
        async with client.delete(place) as answer:
            assert answer.status == 200
        await until(lambda: len(sink._sound) == 0)


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


async def test_a_name_that_leads_to_this_host_does_not_open_the_page() -> None:
    """DNS rebinding: a page of another site whose name its owner lets point here is of the same origin."""
    async with serving() as (sink, client):
        port = sink.url.rstrip("/").rpartition(":")[2]
        for host, status in (
            (f"elsewhere.example:{port}", 403),
            ("", 403),
            (f"localhost:{port}", 200),
            (f"127.0.0.1:{port}", 200),
            (f"[::1]:{port}", 200),
        ):
            headers = {"Host": host, "Origin": f"http://{host}"}
            async with client.get("/stats.json", headers=headers) as answer:
                assert answer.status == status, host
    open_to_all = make(open=True)
    await open_to_all.start()
    named = {"Host": "display.example"}
    async with (
        aiohttp.ClientSession(open_to_all.url) as client,
        client.get("/stats.json", headers=named) as answer,
    ):
        assert answer.status == 200
    await open_to_all.close()


async def test_the_page_is_one_file_behind_a_strict_policy() -> None:
    async with serving() as (_, client), client.get("/") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert policy.count("'sha256-") == 2
    assert " src=" not in text.split("<script>")[0] and "/*s" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert "style=" not in text and not re.search(r"<[^>]* on[a-z]+=", text)


async def test_events_and_stats_carry_figures_and_trust() -> None:
    async with serving() as (sink, client):
        async with client.get("/stats.json") as answer:
            told = await answer.json()
        assert len(told.pop("page")) == 16
        assert told == {"state": "live", "loss": 0.5, "viewers": 0}
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
        second = make(f"127.0.0.1:{port}")
        with pytest.raises(SinkError, match=r"web\.listen: cannot listen on 127\.0\.0\.1"):
            await second.start()
        await second.close()


async def test_the_stream_of_a_viewer_that_left_before_the_first_picture_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "GONE_INTERVAL_S", 0.05)
    async with serving(max_viewers=1) as (sink, client):
        for _ in range(2):
            async with client.get("/stream.mjpeg") as answer:
                assert answer.status == 200
        await until(lambda: sink._streams == 0)


async def test_a_sender_is_chosen_by_the_page_itself_alone() -> None:
    asked: list[str | None] = []

    def choose(id: str | None) -> bool:
        asked.append(id)
        return id in (None, "aa")

    sink = WebSink(WebSection.model_validate({"listen": "127.0.0.1:0"}), dict, choose)
    await sink.start()
    try:
        async with aiohttp.ClientSession(sink.url) as client:
            for body, status in (
                ('{"id": "aa"}', 200),
                ('{"id": null}', 200),
                ('{"id": "bb"}', 404),
                ('{"id": 1}', 400),
                ("{}", 400),
                ("[]", 400),
                ("no JSON", 400),
                (b"\xff", 400),
                ("[" * 60_000, 400),
            ):
                async with client.post("/sender", data=body) as answer:
                    assert answer.status == status, body
            elsewhere = {"Origin": "http://elsewhere.example"}
            async with client.post("/sender", data='{"id": "aa"}', headers=elsewhere) as answer:
                assert answer.status == 403
            site = {"Sec-Fetch-Site": "cross-site"}
            async with client.post("/", data="", headers=site) as answer:
                assert answer.status == 403
    finally:
        await sink.close()
    assert asked == ["aa", None, "bb"]
