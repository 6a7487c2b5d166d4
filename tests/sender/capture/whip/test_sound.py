"""Sound of publishers: it reaches the session, in step with the pictures that were captured with it."""

from __future__ import annotations

import asyncio
import fractions
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, VideoStreamTrack
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket
from av import AudioFrame, VideoFrame

from common.audio import RATE, Sound
from common.clock import monotonic
from common.values import Size
from common.video import to_video_frame
from sender.audio.stage import AudioStage
from sender.audio.units import AudioFormat
from sender.capture.base import CaptureOptions
from sender.capture.sound import ContainerSound
from sender.capture.whip.lipsync import NTP_FRACTION, SPAN, LipSync, Reports
from tests.receiver.audio.link import click_times
from tests.sender.audio.test_sources import laid
from tests.sender.capture.whip.camera import publishing, serving
from tests.sender.capture.whip.test_source import reading
from tests.waiting import until

CLICK_HZ, EVERY_S, LASTS_S = 1000.0, 1.0, 0.2


class Flashes(VideoStreamTrack):
    """Thirty pictures a second, bright for a while at each second since `begun`."""

    def __init__(self, begun: float) -> None:
        super().__init__()
        self._begun = begun

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        picture = np.full((96, 64), 128, np.uint8)
        picture[:64] = 220 if (monotonic() - self._begun) % EVERY_S < LASTS_S else 40
        return to_video_frame(picture, pts, time_base)


class Clicks(MediaStreamTrack):
    """Mono sound as a microphone gives it: 20 ms when they are over; a click at each second since `begun`."""

    kind = "audio"

    def __init__(self, begun: float) -> None:
        super().__init__()
        self._begun = begun
        self._next = 0

    async def recv(self) -> AudioFrame:
        due = self._begun + (self._next + 960) / RATE
        await asyncio.sleep(max(0.0, due - monotonic()))
        t = (self._next + np.arange(960)) / RATE
        since = np.mod(t, EVERY_S)
        samples = np.round(20000 * np.sin(2 * np.pi * CLICK_HZ * since) * (since < 0.03)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._next, fractions.Fraction(1, RATE)
        self._next += 960
        return frame


def adding(track: MediaStreamTrack) -> Callable[[RTCPeerConnection], None]:
    def prepare(connection: RTCPeerConnection) -> None:
        connection.addTrack(track)

    return prepare


async def test_sound_of_a_publisher_is_in_step_with_its_pictures() -> None:
    got: list[Sound] = []
    options = CaptureOptions(Size(64, 64), 30.0, timeout=3.0, sound=ContainerSound(got.append))
    async with (
        reading("whip://127.0.0.1:0/cam", options) as run,
        aiohttp.ClientSession(run.source.url) as client,
    ):
        begun = monotonic()
        async with publishing(client, Flashes(begun), prepare=adding(Clicks(begun))):
            await until(lambda: sum(piece.duration for piece in got) > 6)
    origin = got[0].captured_at
    clicks = np.array(click_times(laid(got, 7.0, origin)))
    bright = [(frame.captured_at - origin, frame.picture[:64].mean() > 128) for frame in run.frames]
    flashes = [b[0] for a, b in itertools.pairwise(bright) if b[1] and not a[1]]
    off = [float(np.abs(clicks - flash).min()) for flash in flashes if 3.5 < flash < clicks.max() + 0.2]
    assert len(off) >= 2 and max(off) < 0.1, (off, flashes, clicks)


async def test_a_publisher_without_sound_and_one_that_sends_it_to_a_silent_session() -> None:
    got: list[Sound] = []
    for tap in (ContainerSound(got.append), None):
        options = CaptureOptions(Size(64, 64), 10.0, sound=tap)
        async with (
            reading("whip://127.0.0.1:0/cam", options) as run,
            aiohttp.ClientSession(run.source.url) as client,
        ):
            async with client.get("/state.json") as answer:
                assert (await answer.json())["sound"] is (tap is not None)
            prepare = adding(Clicks(monotonic())) if tap is None else lambda connection: None
            async with publishing(client, Flashes(monotonic()), prepare=prepare):
                await until(lambda run=run: len(run.frames) > 5)
        assert run.failure is None
    assert not got


async def test_test_sounds_go_with_the_pictures_of_a_publisher() -> None:
    stage = AudioStage("synthetic", AudioFormat())
    options = CaptureOptions(Size(64, 64), 10.0, sound=stage.tap)
    async with (
        reading("whip://127.0.0.1:0/cam", options) as run,
        aiohttp.ClientSession(run.source.url) as client,
        publishing(client, Flashes(monotonic())),
    ):
        await until(lambda: stage.units >= 2)
        async with client.get("/state.json") as answer:
            assert (await answer.json())["sound"] is False, "the page asks for no microphone"


async def test_only_the_publisher_on_the_air_is_heard() -> None:
    heard: list[AudioFrame] = []
    async with serving(hear=lambda sound, at: heard.append(sound)) as served:
        first = publishing(served.client, Flashes(monotonic()), prepare=adding(Clicks(monotonic())))
        async with first:
            await until(lambda: len(heard) > 5)
            async with publishing(served.client, Flashes(monotonic())):
                await until(lambda: served.server.publishers.takeovers == 1)
                count = len(heard)
                await asyncio.sleep(0.3)
                assert len(heard) == count


def receiver(origin: int) -> SimpleNamespace:
    """What of aiortc's receiver is used."""

    async def handle(packet: object) -> None:
        return None

    mapper = SimpleNamespace(_origin=origin)
    return SimpleNamespace(_handle_rtcp_packet=handle, _RTCRtpReceiver__timestamp_mapper=mapper)


@pytest.mark.parametrize("origin", [0, 5, SPAN - 1000])
async def test_reports_tell_the_publishers_clock_also_when_time_stamps_wrap(origin: int) -> None:
    track = receiver(origin)
    reports = Reports(track, 48_000)
    assert reports.time(0) is None
    info = RtcpSenderInfo(100 * NTP_FRACTION, (origin + 96_000) % SPAN, 1, 1)
    await track._handle_rtcp_packet(RtcpSrPacket(1, info))
    assert reports.time(96_000) == pytest.approx(100.0)
    assert reports.time(0) == pytest.approx(98.0)
    assert reports.time(240_000) == pytest.approx(103.0)
    assert Reports(SimpleNamespace(), 48_000).time(0) is None, "another release of aiortc"


def test_sound_follows_the_reports_unless_they_cannot_be() -> None:
    lips = LipSync()
    plain = lips.place(0, 0.02, 50.0)
    assert 49.8 < plain < 50.0
    lips.pictures, lips.sound = Reports(receiver(0), 90_000), Reports(receiver(0), 48_000)
    lips.pictures.heard(1000 * NTP_FRACTION, 0)
    lips.sound.heard(1000 * NTP_FRACTION + NTP_FRACTION // 5, 0)
    lips.picture(0, 49.9)
    assert lips.place(0, 0.02, 50.0) == pytest.approx(50.1)
    lips.sound.heard(7 * NTP_FRACTION, 0)
    assert lips.place(0, 0.02, 50.0) == pytest.approx(plain)
