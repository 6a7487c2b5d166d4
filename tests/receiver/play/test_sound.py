"""Sound of the sinks: the sound card, the WebRTC track, the track of a recording."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest

from common.audio import RATE
from receiver.audio.block import BLOCK, BLOCK_S, SoundBlock
from receiver.config import WindowSection
from receiver.play.file import FileFormat, FileSink
from receiver.play.speaker import LEAD, MOST, Speaker
from receiver.play.window import WindowSink
from sender.audio.generated import clicks_and_voice
from tests.receiver.audio.link import click_times
from tests.receiver.play.pictures import shown
from tests.waiting import until

SOUND = clicks_and_voice(0, 4 * RATE)

PLAIN = FileFormat(captions=False)


def block(number: int) -> SoundBlock:
    """Captured with `shown`: picture n at 1000 + n / 15."""
    samples = SOUND[number * BLOCK : (number + 1) * BLOCK]
    captured_at = 1000.0 + number * BLOCK_S
    return SoundBlock(number, samples, captured_at + 0.5, captured_at, False)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
async def test_a_recording_has_sound_where_its_pictures_are(tmp_path: Path, suffix: str) -> None:
    sink = FileSink(tmp_path / f"out{suffix}", format=PLAIN, sound=lambda: True)
    await sink.start()
    number = 0
    for tick in range(45):
        while number * BLOCK_S <= tick / 15:
            sink.hear(block(number))
            number += 1
        sink.show(shown(tick, 128, 128))
        await until(lambda: len(sink._queue) == 0)
    await sink.close()
    line = np.zeros(4 * RATE, np.int16)
    with av.open(str(sink.path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        for frame in container.decode(audio=0):
            samples = np.asarray(frame.to_ndarray()[0] * 32767, np.int16)
            at = round((frame.time or 0.0) * RATE)
            line[max(0, at) : at + len(samples)] = samples[max(0, -at) :]
    clicks = [time for time in click_times(line) if time > 0.5]
    assert clicks == pytest.approx([1.0, 2.0], abs=0.02)


async def test_sound_that_begins_later_begins_another_file(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mkv", format=PLAIN)
    await sink.start()
    for tick in range(10):
        if tick >= 5:
            for number in range(3 * tick, 3 * tick + 3):
                sink.hear(block(number))
        sink.show(shown(tick, 128, 128))
        await until(lambda: len(sink._queue) == 0)
    await sink.close()
    assert sink.path.name == "out-2.mkv"
    for path, kinds in ((tmp_path / "out.mkv", ["video"]), (sink.path, ["video", "audio"])):
        with av.open(str(path)) as container:
            assert [stream.type for stream in container.streams] == kinds
            assert len(list(container.decode(video=0))) == 5


async def test_sound_without_pictures_is_bounded(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mkv", format=PLAIN)
    for number in range(1000):
        sink.hear(block(number % 100))
    assert len(sink._blocks) == 100


async def test_viewers_hear_blocks_in_order_and_the_slow_lose_the_oldest() -> None:
    sound_track = pytest.importorskip("receiver.play.sound_track", reason="the web extra is not installed")
    tracks = sound_track.SoundTracks()
    one, slow = tracks.track(), tracks.track()
    for number in range(5):
        tracks.hear(block(number))
    frames = [await one.recv() for _ in range(5)]
    assert [frame.pts for frame in frames] == [n * BLOCK for n in range(5)]
    assert np.array_equal(frames[3].to_ndarray()[0], block(3).samples) and frames[0].sample_rate == RATE
    waiting = asyncio.create_task(one.recv())
    await asyncio.sleep(0)
    for number in range(5, 40):
        tracks.hear(block(number))
    assert (await waiting).pts == (40 - sound_track.MAX_WAITING) * BLOCK
    assert slow.dropped == 40 - sound_track.MAX_WAITING
    for _ in range(sound_track.MAX_WAITING):
        await slow.recv()
    ended = asyncio.create_task(slow.recv())
    await asyncio.sleep(0)
    slow.stop()
    with pytest.raises(sound_track.MediaStreamError):
        await ended
    assert len(tracks) == 1


async def test_a_viewer_gets_sound_in_its_peer_connection() -> None:
    aiortc = pytest.importorskip("aiortc", reason="the web extra is not installed")
    from receiver.play.sound_track import SoundTracks
    from receiver.play.vp8 import SharedVp8
    from receiver.play.webrtc import Viewers

    tracks = SoundTracks()
    encoder = SharedVp8()
    viewers = Viewers(encoder, 2)
    viewers.audio = tracks.track
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    got: list[object] = []

    async def listen(track: object) -> None:
        for _ in range(10):
            got.append(await track.recv())  # type: ignore[attr-defined]

    tasks = []
    peer.on(
        "track",
        lambda track: tasks.append(asyncio.create_task(listen(track))) if track.kind == "audio" else None,
    )
    peer.addTransceiver("video", direction="recvonly")
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    _, answer = await viewers.answer(peer.localDescription.sdp)
    await peer.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
    number = 0
    async with asyncio.timeout(20):
        while len(got) < 10:
            tracks.hear(block(number % 190))
            number += 1
            await asyncio.sleep(0.02)
    heard = np.concatenate([np.asarray(frame.to_ndarray()).ravel() for frame in got])  # type: ignore[attr-defined]
    assert np.abs(heard).max() > 500
    await viewers.close_all()
    await peer.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(tracks) == 0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """SDL's driver that plays into a file."""
    pytest.importorskip("sdl2", reason="the window extra is not installed")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "disk")
    monkeypatch.setenv("SDL_DISKAUDIOFILE", str(tmp_path / "heard.raw"))
    monkeypatch.setenv("SDL_DISKAUDIODELAY", "1")
    return tmp_path / "heard.raw"


async def test_the_window_plays_what_it_hears(disk: Path) -> None:
    sink = WindowSink(dict, WindowSection())
    await sink.start()
    await until(lambda: sink.speaker.opened)
    for number in range(100):
        sink.hear(block(number))
        await asyncio.sleep(0.002)
    await until(lambda: len(click_times(np.fromfile(disk, np.int16, disk.stat().st_size // 2))) >= 1)
    await sink.close()
    assert sink.speaker.blocks == 100 and not sink.speaker.opened
    heard = np.fromfile(disk, np.int16)
    first = int(np.flatnonzero(heard)[0])
    assert np.array_equal(heard[first : first + 500], SOUND[np.flatnonzero(SOUND)[0] :][:500])


def test_a_card_that_stands_still_does_not_let_sound_pile_up(
    monkeypatch: pytest.MonkeyPatch, disk: Path
) -> None:
    monkeypatch.setenv("SDL_DISKAUDIODELAY", "1000")  # ms; closing waits for as long
    speaker = Speaker()
    speaker.open()
    for number in range(100):
        speaker.hear(block(number))
        assert speaker._sdl.SDL_GetQueuedAudioSize(speaker._device) // 2 <= MOST + LEAD + BLOCK
    assert speaker.cut > 5
    speaker.close()


def test_no_sound_card_or_mute_is_silent_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sdl2", reason="the window extra is not installed")
    monkeypatch.setenv("SDL_AUDIODRIVER", "nonesuch")
    for speaker in (Speaker(), Speaker(mute=True)):
        speaker.open()
        speaker.hear(block(0))
        assert not speaker.opened and speaker.blocks == 0
        speaker.close()
