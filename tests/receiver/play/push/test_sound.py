"""Sound of pushes: real media servers get an audible tone in step with its pictures."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.audio import RATE
from receiver.audio.block import BLOCK, BLOCK_S, SoundBlock
from receiver.play.base import Shown
from receiver.play.push.coded import CLOCK, Packet, Settings
from receiver.play.push.encoder import MAX_SOUND, Packets
from receiver.play.push.muxer import SOUND
from receiver.play.push.sound import AAC_FRAME, AacCoder, Sound, SoundCodec
from receiver.play.push.whip import Whip
from sender.audio.generated import clicks_and_voice
from tests.receiver.audio.seen import clicks_of, flashes_and_clicks, flashes_of, to_mono
from tests.receiver.play.pictures import shown
from tests.receiver.play.push.feeding import HEIGHT, WIDTH, Feed
from tests.receiver.play.push.servers import Server, rtsp_server, running
from tests.receiver.play.push.test_servers import rtmp, srt, written
from tests.receiver.play.push.test_whip import endpoint

FPS, LASTS_S = 25, 0.2
VOICE = clicks_and_voice(0, 10 * RATE)


def picture(number: int, begun: float) -> Shown:
    """Bright for a while at each second since `begun` (s since the epoch)."""
    plain = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    plain[:HEIGHT] = 220 if number / FPS % 1 < LASTS_S else 40
    at = begun + number / FPS
    return dataclasses.replace(
        shown(number, WIDTH, HEIGHT), picture=plain, fps=float(FPS), shown_at=at, captured_at=at - 1.0
    )


def block(number: int, begun: float) -> SoundBlock:
    """With a click at each second."""
    at = number * BLOCK % len(VOICE)
    due = begun + number * BLOCK_S
    return SoundBlock(number, VOICE[at : at + BLOCK], due, due - 1.0, False)


async def played(feed: Feed, seconds: float, silent: bool = False) -> None:
    """Pictures and sound as the receiver hands them on in real time, until the server has taken them for so long.
    `silent`: sound begins when the first connection is up, and the second counts."""
    begun, clock = time.time(), time.monotonic()
    pictures = blocks = 0
    up: float | None = None
    while (now := time.monotonic() - clock) < 40 and (up is None or now - up < seconds):
        if up is None and feed.sink.connections == 1 + silent:
            up = now
        while pictures / FPS <= now:
            feed.sink.show(picture(pictures, begun))
            pictures += 1
        while blocks * BLOCK_S <= now:
            if not silent or feed.sink.connections:
                feed.sink.hear(block(blocks, begun))
            blocks += 1
        await asyncio.sleep(0.01)


def assert_in_step(flashes: list[float], clicks: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """At least two flashes, each with its click."""
    off = [float(np.abs(clicks - flash).min()) for flash in flashes if flash < clicks.max() + 0.5]
    assert len(off) >= 2 and max(off) < 0.1, (flashes, clicks)


def rtsp(folder: Path) -> tuple[Server, str]:
    server = rtsp_server(folder, "cam.mkv")
    return server, f"rtsp://uplink:s3cret-pw@127.0.0.1:{server.port}/cam"


@pytest.mark.parametrize("protocol", [rtsp, rtmp, srt])
async def test_media_servers_get_sound_in_step(
    protocol: Callable[[Path], tuple[Server, str]], tmp_path: Path
) -> None:
    server, url = protocol(tmp_path)
    with running(server):
        async with Feed(url, sound=True) as feed:
            await played(feed, 3.2)
            assert feed.sink.connections == 1 and feed.sink.failures == 0
            await feed.until("data", lambda: written(tmp_path) > 0)
        await asyncio.to_thread(server.stop)
    [file] = [path for path in tmp_path.iterdir() if path.suffix in (".ts", ".flv", ".mkv")]
    assert_in_step(*flashes_and_clicks(file))


async def test_whip_endpoints_get_sound_in_step() -> None:
    async with endpoint() as served:
        async with Feed(f"whip://127.0.0.1:{served.port}/cam/whip", Whip().connect, sound=True) as feed:
            await played(feed, 3.2)
        assert "opus/48000" in served.offers[0]
    begins = served.came[0]
    levels = [float(frame.to_ndarray(format="gray").mean()) for frame in served.frames]
    flashes = flashes_of(list(zip([came - begins for came in served.came], levels, strict=True)))
    assert_in_step(
        flashes, clicks_of([(at - begins, to_mono(frame)) for at, frame in served.sounds if at > begins])
    )


async def test_a_push_connects_again_once_when_sound_comes_unannounced(
    tmp_path: Path, told: list[str]
) -> None:
    server, url = rtmp(tmp_path)
    with running(server):
        async with Feed(url) as feed:
            await played(feed, 3.2, silent=True)
            assert (feed.sink.connections, feed.sink.failures) == (2, 0)
        await asyncio.to_thread(server.stop)
    assert sum("sound has come" in line for line in told) == 1
    files = sorted(tmp_path.glob("*.flv"), key=lambda path: path.stat().st_mtime_ns)
    assert_in_step(*flashes_and_clicks(files[-1]))


async def test_sound_can_be_left_out() -> None:
    async with endpoint() as served:
        url = f"whip://127.0.0.1:{served.port}/cam/whip"
        async with Feed(url, Whip().connect, Settings(sound=False), sound=True) as feed:
            await feed.until("pictures", lambda: len(served.frames) > 3)
            feed.sink.hear(block(0, 0.0))
            await feed.ticks(5)
            assert feed.sink.connections == 1 and "m=audio" not in served.offers[0]


def test_a_slow_server_costs_sound_and_later_pictures_still_begin_with_a_key() -> None:
    packets = Packets()
    packets.put_sound(Packet(b"early", 0, True, SOUND))
    assert not packets._items, "no sound before the first picture"
    packets.put(Packet(b"key", 0, True), 25.0)
    for number in range(MAX_SOUND + 5):
        packets.put_sound(Packet(b"sound", number, True, SOUND))
    assert packets.dropped == 5 and len(packets._items) == MAX_SOUND + 1
    for number in range(20):
        packets.put(Packet(b"picture", number, False), 25.0)
    packets.put_sound(Packet(b"sound", 99, True, SOUND))
    assert [packet.stream for packet in packets._items] == [SOUND], (
        "sound goes on while a key picture is waited for"
    )
    packets.put(Packet(b"key", 100, True), 25.0)
    assert len(packets._items) == 2


def test_aac_times_go_on_without_a_gap_and_begin_anew_after_one() -> None:
    coder = AacCoder()
    step = AAC_FRAME * CLOCK / RATE
    first = [packet.pts for n in range(100) for packet in coder.encode(VOICE[:BLOCK], 3.0 + n * BLOCK_S)]
    assert np.diff(first) == pytest.approx([step] * (len(first) - 1), abs=1)
    assert first[0] == pytest.approx((3.0 - AAC_FRAME / RATE) * CLOCK, abs=2)
    later = [packet.pts for n in range(9) for packet in coder.encode(VOICE[:BLOCK], 9.0 + n * BLOCK_S)]
    assert later[0] == pytest.approx((9.0 - AAC_FRAME / RATE) * CLOCK, abs=2)
    assert all(packet.pts >= 0 for packet in AacCoder().encode(np.tile(VOICE[:BLOCK], 9), 0.0))


def test_each_codec_is_coded_once_and_only_when_wanted() -> None:
    sound = Sound()
    assert not sound.encode(block(0, 50.0), [SoundCodec.OPUS]), "no picture tells where it belongs"
    sound.shown(picture(0, 50.0), 7.0)
    one = [codec for n in range(1, 5) for codec, _ in sound.encode(block(n, 50.0), [SoundCodec.OPUS])]
    both = {codec for n in range(5, 9) for codec, _ in sound.encode(block(n, 50.0), list(SoundCodec))}
    assert one == [SoundCodec.OPUS] * 4 and both == set(SoundCodec)
    [(_, packet)] = sound.encode(block(9, 50.0), [SoundCodec.OPUS])
    assert packet.pts == pytest.approx((7.0 + 9 * BLOCK_S - 312 / RATE) * CLOCK, abs=2)
