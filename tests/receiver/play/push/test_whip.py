"""WHIP (RFC 9725) against an endpoint made of aiohttp and aiortc, which decodes what it gets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import pytest
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from common.clock import monotonic
from receiver.play.push import whip
from receiver.play.push.whip import Whip
from sender.capture.whip.lipsync import PICTURE_RATE, SOUND_RATE, LipSync, Reports
from tests.ports import free_port
from tests.receiver.play.push.feeding import Feed, assert_moves
from tests.receiver.play.push.servers import tls_in_front

TOKEN = "t0ken-of-mine"


class Endpoint:
    """One WHIP endpoint; `frames` are the pictures of all sessions, `came` when they did, `sounds` what was heard, with
    when its pictures came."""

    def __init__(self, status: int = 201, answer: str | None = None) -> None:
        self.port = free_port()
        self.status = status
        self.answer = answer
        self.frames: list[av.VideoFrame] = []
        self.sounds: list[tuple[float, av.AudioFrame]] = []
        self.came: list[float] = []
        self.seen: list[str] = []
        self.offers: list[str] = []
        self.deleted: list[str] = []
        self._peers: dict[str, RTCPeerConnection] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/old/whip", self._moved)
        app.router.add_post("/cam/whip", self._post)
        app.router.add_delete("/session/{name}", self._delete)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        """As when the server is restarted: the sessions are gone too."""
        for peer in self._peers.values():
            await peer.close()
        self._peers.clear()
        for task in self._tasks:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _moved(self, request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/cam/whip")

    async def _post(self, request: web.Request) -> web.Response:
        self.seen.append(request.headers.get("Authorization", ""))
        assert request.content_type == "application/sdp"
        self.offers.append(await request.text())
        if self.status != 201:
            return web.Response(status=self.status)
        answer = await self._answered(self.offers[-1]) if self.answer is None else self.answer
        headers = {"Location": f"/session/{len(self.offers)}"}
        return web.Response(status=201, text=answer, headers=headers, content_type="application/sdp")

    async def _answered(self, offer: str) -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers[str(len(self.offers))] = peer
        lips = LipSync()

        def receive(track: MediaStreamTrack) -> None:
            receivers = {each.kind: each.receiver for each in peer.getTransceivers()}
            if track.kind == "video":
                lips.pictures = Reports(receivers["video"], PICTURE_RATE)
            else:
                lips.sound = Reports(receivers["audio"], SOUND_RATE)
            self._tasks.append(asyncio.create_task(self._watch(track, lips)))

        peer.on("track", receive)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    async def _watch(self, track: MediaStreamTrack, lips: LipSync) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.AudioFrame):
                    self.sounds.append(
                        (lips.place(frame.pts or 0, frame.samples / 48_000, monotonic()), frame)
                    )
                elif isinstance(frame, av.VideoFrame):
                    self.came.append(monotonic())
                    lips.picture(frame.pts, self.came[-1])
                    self.frames.append(frame)

    async def _delete(self, request: web.Request) -> web.Response:
        self.seen.append(request.headers.get("Authorization", ""))
        self.deleted.append(request.match_info["name"])
        peer = self._peers.pop(request.match_info["name"], None)
        if peer is not None:
            await peer.close()
        return web.Response()


@asynccontextmanager
async def endpoint(status: int = 201, answer: str | None = None) -> AsyncIterator[Endpoint]:
    served = Endpoint(status, answer)
    await served.start()
    try:
        yield served
    finally:
        await served.stop()


async def test_moving_pictures_arrive_also_after_the_server_has_restarted() -> None:
    async with endpoint() as served:
        async with Feed(f"whip://{TOKEN}@127.0.0.1:{served.port}/old/whip", Whip().connect) as feed:
            await feed.until("pictures", lambda: len(served.frames) > 15)
            await served.stop()
            first = list(served.frames)
            served.frames.clear()
            await feed.until("the loss to be seen", lambda: not feed.sink.connected)
            await served.start()
            await feed.until("pictures again", lambda: len(served.frames) > 15)
            assert feed.sink.connections == 2
        assert_moves(first, feed.number)
        assert_moves(served.frames, feed.number)
        assert served.deleted[-1] == str(len(served.offers)), "the session is ended at the end"
        assert set(served.seen) == {f"Bearer {TOKEN}"}
        offer = served.offers[0]
        assert "H264/90000" in offer and "a=sendonly" in offer and "VP8" not in offer


async def test_the_token_may_stand_in_a_file_and_a_login_in_the_url(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    async with endpoint(401) as served:
        for address, token in (("", file), ("me:p4ss@", file), ("", None)):
            url = f"whip://{address}127.0.0.1:{served.port}/cam/whip"
            async with Feed(url, Whip(token).connect) as feed:
                await feed.attempts(1)
    assert served.seen[0] == f"Bearer {TOKEN}"
    assert "Basic bWU6cDRzcw==" in served.seen and served.seen[-1] == ""


async def test_what_the_server_refuses_is_told_once(told: list[str]) -> None:
    for status, reason in ((401, "refuses the token"), (404, "no such path"), (418, "HTTP 418")):
        told.clear()
        async with (
            endpoint(status) as served,
            Feed(f"whip://{TOKEN}@127.0.0.1:{served.port}/cam/whip", Whip().connect) as feed,
        ):
            await feed.attempts(2)
        assert len(told) == 1 and reason in told[0] and TOKEN not in told[0]


NO_MEDIA = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=video 9 UDP/TLS/RTP/SAVPF 99
c=IN IP4 127.0.0.1
a=recvonly
a=mid:0
a=rtcp-mux
a=rtpmap:99 H264/90000
a=fmtp:99 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host
a=end-of-candidates
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {}
a=setup:passive
""".format(":".join(["AB"] * 32)).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("", "answer cannot be used"), ("hello", "answer cannot be used"), (NO_MEDIA, "no media path")],
)
async def test_answers_that_lead_nowhere(
    answer: str, reason: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whip, "CONNECT_S", 0.5)
    async with (
        endpoint(answer=answer) as served,
        Feed(f"whip://127.0.0.1:{served.port}/cam/whip", Whip().connect) as feed,
    ):
        await feed.attempts(1)
        assert served.deleted, "a session that came to nothing is ended too"
    assert reason in told[0]


async def test_hosts_and_certificates(tmp_path: Path, told: list[str]) -> None:
    async with endpoint() as served, tls_in_front(served.port, tmp_path) as port:
        closed = free_port()
        for url, reason in (
            (f"whips://{TOKEN}@localhost:{port}/cam/whip", "certificate cannot be verified"),
            (f"whip://{TOKEN}@127.0.0.1:{closed}/cam/whip", "nothing listens there"),
            (f"whip://{TOKEN}@no-such-host.invalid/cam/whip", "no such host"),
        ):
            told.clear()
            async with Feed(url, Whip().connect) as feed:
                await feed.attempts(1)
            assert reason in told[0] and TOKEN not in told[0]
        assert not served.seen


async def test_a_token_file_that_cannot_be_read_is_told(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "two").write_text("one\ntwo\n")
    for name, reason in (("none", "cannot be read"), ("two", "one token on one line")):
        told.clear()
        async with Feed("whip://127.0.0.1:9/cam/whip", Whip(tmp_path / name).connect) as feed:
            await feed.attempts(1)
        assert reason in told[0]
