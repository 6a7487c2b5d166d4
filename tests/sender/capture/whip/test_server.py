"""WHIP as RFC 9725 says, with a real peer; who may publish; what is refused."""

from __future__ import annotations

import asyncio
import re
import signal

import aiohttp
import imageio_ffmpeg  # type: ignore[import-untyped]
import pytest
from aiortc import RTCPeerConnection, RTCRtpSender
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.values import Address, Size
from common.video import from_video_frame
from common.web_page import own_host
from sender.capture.base import SourceError
from sender.capture.whip import publishers as publishers_module
from sender.capture.whip import server as server_module
from sender.capture.whip.server import WhipServer, visible_host
from tests.sender.capture.clips import number
from tests.sender.capture.whip.camera import Numbers, offer_of, peer, publishing, serving
from tests.waiting import until

TOKEN = "a-token-of-24-characters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
RUBBISH = ("", "v=0", "rubbish\r\n", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "\x00\xff", b"\xff\xfe")


async def test_a_publisher_sends_pictures_until_it_ends() -> None:
    async with serving() as served:
        async with publishing(served.client, Numbers(5)) as (_, place):
            assert re.fullmatch(r"/cam/[\w-]{16}", place)
            await until(lambda: len(served.pictures) >= 5)
            picture = served.pictures[-1]
            assert (picture.width, picture.height) == (96, 64)
            assert number(from_video_frame(picture)) == 5
            async with served.client.get("/state.json") as answer:
                state = await answer.json()
            assert state == {"width": 64, "height": 64, "fps": 15.0, "sound": False, "publisher": place[5:9]}
            for status in (200, 404):
                async with served.client.delete(place) as gone:
                    assert gone.status == status
            assert served.server.publishers.on_air is None
        async with served.client.get("/state.json") as answer:
            assert (await answer.json())["publisher"] is None


def like_obs(connection: RTCPeerConnection) -> None:
    """Sound beside the video, and H.264 alone."""
    connection.addTransceiver("audio", direction="sendonly")
    known = RTCRtpSender.getCapabilities("video")
    assert known is not None
    h264 = [codec for codec in known.codecs if codec.mimeType == "video/H264"]
    connection.getTransceivers()[0].setCodecPreferences(h264)


async def test_h264_with_sound_is_taken_too() -> None:
    async with serving() as served, publishing(served.client, Numbers(7), prepare=like_obs):
        await until(lambda: len(served.pictures) >= 3)
        assert number(from_video_frame(served.pictures[-1])) == 7


async def test_a_second_publisher_takes_over_with_its_first_picture() -> None:
    async with serving() as served, publishing(served.client, Numbers(1)):
        await until(lambda: len(served.pictures) >= 3)
        first = served.server.publishers.on_air
        # An offer that comes to nothing leaves the picture alone, and a newer one takes its place.
        for _ in range(2):
            idle = peer()
            idle.addTrack(Numbers(9))
            assert await served.offer(await offer_of(idle)) == 201
            await idle.close()
        count = len(served.pictures)
        await until(lambda: len(served.pictures) >= count + 5)
        assert served.server.publishers.on_air is first
        async with publishing(served.client, Numbers(8)):
            await until(lambda: served.server.publishers.takeovers == 1)
            await until(lambda: number(from_video_frame(served.pictures[-1])) == 8)
            assert first is not None and first.ended
            await until(lambda: first.peer.connectionState == "closed")


async def test_an_offer_that_stops_half_way_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "READ_S", 1.0)
    async with serving() as served:
        host, port = served.server.url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /cam HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/sdp\r\n"
        writer.write(f"{head}Content-Length: 500\r\n\r\nv=0".encode())
        await asyncio.sleep(0.2)
        async with publishing(served.client, Numbers(3)):
            await until(lambda: len(served.pictures) >= 1)
        async with asyncio.timeout(5):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()


async def test_a_publisher_that_shows_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishers_module, "CONNECT_TIMEOUT_S", 0.3)
    async with serving() as served:
        idle = peer()
        idle.addTrack(Numbers(9))
        assert await served.offer(await offer_of(idle)) == 201
        pending = served.server.publishers._pending
        assert pending is not None
        await until(lambda: pending.ended)
        await idle.close()


async def test_pictures_too_large_end_the_publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishers_module, "MAX_PIXELS", 1000)
    async with serving() as served, publishing(served.client):
        pending = served.server.publishers._pending
        assert pending is not None
        await until(lambda: pending.ended)
        assert not served.pictures


async def test_what_the_endpoint_offers() -> None:
    async with serving() as served:
        async with served.client.options("/cam") as answer:
            assert (answer.status, answer.headers["Accept-Post"]) == (204, "application/sdp")
        for method, path in (("GET", "/cam"), ("PUT", "/cam"), ("PATCH", "/cam/x"), ("GET", "/cam/x")):
            async with served.client.request(method, path, data="a=candidate") as answer:
                assert answer.status == 405, (method, path)
        async with served.client.post("/cam", json={}) as answer:
            assert answer.status == 415
        assert await served.offer("x" * 100_000) == 413


async def test_offers_that_cannot_be_answered() -> None:
    async with serving() as served:
        for body in RUBBISH:
            assert await served.offer(body) == 400, body
        sound, viewer, two = peer(), peer(), peer()
        sound.addTransceiver("audio", direction="sendonly")
        viewer.addTransceiver("video", direction="recvonly")
        two.addTransceiver("video", direction="sendonly")
        two.addTransceiver("video", direction="sendonly")
        for connection in (sound, viewer, two):
            assert await served.offer(await offer_of(connection)) == 400
            await connection.close()
        assert served.stats.refused == len(RUBBISH) + 3
        assert served.server.publishers._pending is None


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, *HealthCheck]
)
@given(st.data())
def test_any_body_is_answered_by_2xx_or_4xx(data: st.DataObject) -> None:
    async def run() -> None:
        async with serving() as served:
            lines = (await an_offer()).splitlines()
            for _ in range(5):
                assert await served.offer(data.draw(bodies(lines))) in (201, 400)
            assert await served.offer(await an_offer()) == 201

    asyncio.run(run())


async def an_offer() -> str:
    """A good one, of a connection that is gone again."""
    connection = peer()
    connection.addTransceiver("video", direction="sendonly")
    offer = await offer_of(connection)
    await connection.close()
    return offer


def bodies(lines: list[str]) -> st.SearchStrategy[bytes]:
    """Any bytes, or an offer with lines lost, doubled, shuffled or damaged."""
    some = st.lists(st.sampled_from(lines), max_size=2 * len(lines)).map("\r\n".join)
    cut = st.tuples(st.integers(0, 2000), st.integers(0, 40), st.text(max_size=8)).map(
        lambda where: (
            (whole := "\r\n".join(lines) + "\r\n")[: where[0]] + where[2] + whole[where[0] + where[1] :]
        )
    )
    return st.one_of(st.binary(max_size=300), some.map(str.encode), cut.map(lambda text: text.encode()))


async def test_the_token_is_asked_for() -> None:
    async with serving(token=TOKEN) as served:
        wrong: tuple[dict[str, str], ...] = (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Bearer \xe9"},
        )
        for headers in wrong:
            async with served.client.post("/cam", data="v=0", headers=headers) as answer:
                assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        for method, path in (("GET", "/state.json"), ("DELETE", "/cam/x"), ("GET", "/nowhere")):
            async with served.client.request(method, path) as answer:
                assert answer.status == 401
        assert served.stats.refused == 7
        assert await served.offer("v=0", **BEARER) == 400
        async with served.client.get("/") as answer:
            assert answer.status == 200
        async with publishing(served.client, headers=BEARER) as (_, place):
            await until(lambda: len(served.pictures) >= 1)
            async with served.client.delete(place) as answer:
                assert answer.status == 401
            assert served.server.publishers.on_air is not None


async def test_other_sites_may_publish_with_the_token_only() -> None:
    origin = {"Origin": "https://studio.example", "Sec-Fetch-Site": "cross-site"}
    async with serving(token=TOKEN) as served:
        async with served.client.options("/cam", headers=origin) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        async with served.client.get("/state.json", headers={**origin, **BEARER}) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    async with serving() as served:
        for headers in (origin, {"Origin": "null"}, {"Host": "rebound.example"}, {"Host": "["}):
            async with served.client.get("/state.json", headers=headers) as answer:
                assert answer.status in (400, 403)
                assert "Access-Control-Allow-Origin" not in answer.headers
        own = {"Origin": served.server.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        async with served.client.get("/state.json", headers=own) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8889", True),
        ("localhost", True),
        ("[::1]:8889", True),
        ("192.0.2.1", True),
        ("camera.example:8889", False),
        ("[rebound]", False),
        ("", False),
    ],
)
def test_hosts_that_are_no_foreign_names(host: str, own: bool) -> None:
    assert own_host(host) is own


async def test_the_page_is_one_file_behind_a_strict_policy() -> None:
    async with serving() as served, served.client.get("/") as answer:
        text, policy = await answer.text(), answer.headers["Content-Security-Policy"]
        assert answer.headers["Permissions-Policy"] == "camera=(self), microphone=()"
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert 'data-endpoint="/cam"' in text
    assert "src=" not in text.split("<script>")[0] and "style=" not in text and "onclick=" not in text
    assert "https://" not in text and "http://" not in text.replace("http://www.w3.org/2000/svg", "")


async def test_a_port_in_use_is_explained() -> None:
    async with serving() as served:
        port = int(served.server.url.rstrip("/").rpartition(":")[2])
        place = served.server._place
        again = type(place)(Address("127.0.0.1", port), "/cam", False)
        second = WhipServer(again, Size(64, 64), 15.0, served.stats, lambda picture, arrived: None)
        with pytest.raises(SourceError, match=r"source: cannot listen on 127\.0\.0\.1:\d+: .*in use"):
            await second.start()


def test_the_address_that_is_told() -> None:
    assert visible_host("127.0.0.1") == "127.0.0.1"
    assert visible_host("cam.example") == "cam.example"
    assert visible_host("0.0.0.0") not in ("", "0.0.0.0")


async def test_connections_beyond_http_are_closed_with_the_server() -> None:
    async with serving() as served, publishing(served.client):
        await until(lambda: len(served.pictures) >= 1)
        first = served.server.publishers.on_air
        await served.server.close()
        assert first is not None and first.peer.connectionState == "closed"
        with pytest.raises(aiohttp.ClientConnectionError):
            await served.client.get("/")


async def test_ffmpeg_publishes() -> None:
    """A publisher that is not ours: FFmpeg's own WHIP, with H.264 and a token."""
    async with serving(token=TOKEN) as served:
        command = (
            f"{imageio_ffmpeg.get_ffmpeg_exe()} -v error -re -f lavfi -i testsrc=size=96x64:rate=20 -t 20"
        )
        coder = "-c:v libx264 -profile:v baseline -preset ultrafast -tune zerolatency -g 10 -pix_fmt yuv420p"
        target = f"-f whip -authorization {TOKEN} {served.server.url}cam"
        ffmpeg = await asyncio.create_subprocess_exec(
            *f"{command} {coder} {target}".split(), stdin=asyncio.subprocess.DEVNULL
        )
        try:
            await until(lambda: len(served.pictures) >= 10)
            first = served.server.publishers.on_air
            assert (served.pictures[-1].width, served.pictures[-1].height) == (96, 64)
        finally:
            ffmpeg.send_signal(signal.SIGINT)
            await ffmpeg.wait()
        await until(lambda: first is not None and first.ended)
