"""Sound in the receiver's event loop: joined to the pictures, handed to the sinks."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from common.audio import RATE, Sound
from common.clock import WallClock
from common.metrics import Exporter
from proto.recover import RecoveredUnit, RecoverTally
from receiver.audio.block import BLOCK_S, AudioSink, SoundBlock
from receiver.audio.metrics import audio_status, export_audio
from receiver.audio.player import MAX_WAITING, AudioPlayer
from receiver.jitter import PlayoutClock
from sender.audio.generated import clicks_and_voice
from sender.audio.units import AudioFormat, UnitMaker
from tests.receiver.audio.link import EPOCH
from tests.waiting import until

BEGIN = EPOCH % 262.144


class Pictures:
    """A run of a sender whose pictures are shown half a second after they arrive."""

    def __init__(self) -> None:
        self.clock = PlayoutClock(0.5)
        self.clock.observe(BEGIN, 0.0)
        self.told: list[float] = []

    def captured_at(self, media_time: float) -> float:
        return media_time - BEGIN + EPOCH

    def beside_arrived(self, media_time: float, now: float) -> None:
        self.told.append(now - media_time)


class Ear:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.blocks: list[SoundBlock] = []

    def hear(self, block: SoundBlock) -> None:
        self.blocks.append(block)


def units(seconds: float = 1.0) -> list[RecoveredUnit]:
    maker = UnitMaker(AudioFormat(interleave=False))
    made = maker.push(Sound(clicks_and_voice(0, round(seconds * RATE)), EPOCH))
    return [RecoveredUnit(n, unit.timestamp - EPOCH + BEGIN, unit.data, False) for n, unit in enumerate(made)]


def player(pictures: Pictures | None, ear: Ear) -> tuple[AudioPlayer, list[Pictures | None]]:
    """And what it is told of pictures, which may be exchanged."""
    shown: list[Pictures | None] = [pictures]
    wall = WallClock(epoch=lambda: 5000.0, monotonic=lambda: 0.0)
    return AudioPlayer(lambda: shown[0], ear.hear, wall=wall), shown


def test_blocks_say_when_they_are_heard_and_when_they_were_captured() -> None:
    ear, pictures = Ear(), Pictures()
    audio, _ = player(pictures, ear)
    audio.recovered(b"run", units(), 0.3)
    assert isinstance(ear, AudioSink)
    for number in range(60):
        audio.step(0.301 + number * BLOCK_S)
    numbers = [block.number for block in ear.blocks]
    assert numbers == list(range(60)) == list(range(audio.blocks))
    assert ear.blocks[30].played_at == pytest.approx(5000.9)
    assert ear.blocks[30].captured_at == pytest.approx(EPOCH + 0.4, abs=0.003)
    assert ear.blocks[30].samples.any() and not ear.blocks[2].samples.any()
    assert len(pictures.told) == 4


def test_the_first_units_wait_for_the_first_pictures() -> None:
    ear = Ear()
    audio, shown = player(None, ear)
    audio.recovered(b"run", units(), 0.1)
    audio.step(0.12)
    assert not ear.blocks and audio.playout.units == 0
    shown[0] = Pictures()
    audio.step(0.2)
    audio.step(0.2)
    assert audio.heard
    assert audio.playout.units == 4
    audio.recovered(b"run", units(10.0), 0.2)
    shown[0] = None
    audio.recovered(b"run", units(10.0), 0.2)
    assert len(audio._waiting) == MAX_WAITING
    audio.step(0.3)
    assert ear.blocks and not ear.blocks[-1].samples.any()


def test_another_sender_s_sound_begins_anew() -> None:
    ear = Ear()
    audio, shown = player(Pictures(), ear)
    audio.recovered(b"one", units(), 0.3)
    for number in range(20):
        audio.step(0.3 + number * BLOCK_S)
    audio.recovered(b"other", (), 0.7)
    assert audio.playout.line is None
    shown[0] = Pictures()
    audio.recovered(b"other", units(), 0.7)
    assert audio.playout.units == 8


async def test_it_runs_by_itself() -> None:
    ear, pictures = Ear(), Pictures()
    now = asyncio.get_running_loop().time()
    pictures.clock = PlayoutClock(0.02)
    pictures.clock.observe(BEGIN, now)
    audio = AudioPlayer(lambda: pictures, ear.hear, wall=WallClock())
    task = asyncio.create_task(audio.run())
    await asyncio.sleep(0.01)
    audio.recovered(b"run", units(), now)
    await until(lambda: len(ear.blocks) >= 5)
    task.cancel()
    assert [block.number for block in ear.blocks[:5]] == [0, 1, 2, 3, 4]


def test_figures_for_prometheus_and_for_viewers() -> None:
    ear = Ear()
    audio, _ = player(Pictures(), ear)
    assert audio_status(audio)["audio_offset_ms"] is None
    registry = CollectorRegistry()
    export_audio(Exporter(registry, "semcast_receiver_"), audio, RecoverTally(units_lost=3), lambda: True)
    assert b"semcast_receiver_audio_margin_seconds NaN" in generate_latest(registry)
    audio.recovered(b"run", units(), 0.3)
    audio.step(0.4)
    text = generate_latest(registry).decode()
    assert "semcast_receiver_audio_units_total 4.0" in text
    assert "semcast_receiver_audio_units_lost_total 3.0" in text
    told = audio_status(audio)
    assert told["audio"] is True and isinstance(told["audio_buffer_ms"], float)
