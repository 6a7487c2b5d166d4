"""Where sound comes from: the container of the pictures, a file, a device, the test voice."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest

from common.audio import RATE, Samples, Sound
from common.values import Size
from sender.audio.generated import SyntheticSound, clicks_and_voice
from sender.audio.recorded import FileSound
from sender.audio.stage import AudioStage
from sender.audio.units import AudioFormat
from sender.capture.base import CaptureOptions, SourceError
from sender.capture.file import FileSource
from sender.capture.playback import Playback
from sender.capture.reel import ListSource
from sender.capture.sound import MAX_PARKED, ContainerSound
from tests.receiver.audio.link import click_times

FPS = 25


def clip(path: Path, seconds: int = 3, sound: bool = True) -> str:
    """A clip that flashes and clicks at each second."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("libopus", rate=RATE, layout="mono") if sound else None
        samples, step = clicks_and_voice(0, seconds * RATE), RATE // FPS
        for number in range(seconds * FPS):
            picture = np.full((96, 64), 128, np.uint8)
            picture[:64] = 220 if number % FPS < 5 else 40
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = number
            container.mux(video.encode(frame))
            if audio is not None:
                piece = samples[number * step : (number + 1) * step]
                heard = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
                heard.sample_rate, heard.pts = RATE, number * step
                container.mux(audio.encode(heard))
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))
    return str(path)


def laid(pieces: list[Sound], seconds: float, origin: float = 0.0) -> Samples:
    """The pieces where they belong on a line of so many seconds."""
    line = np.zeros(round(seconds * RATE), np.int16)
    for piece in pieces:
        at = round((piece.captured_at - origin) * RATE)
        part = piece.samples[max(0, -at) : max(0, len(line) - at)]
        line[max(at, 0) : max(at, 0) + len(part)] = part
    return line


def test_sound_of_a_file_is_in_step_with_its_pictures_pass_after_pass(tmp_path: Path) -> None:
    got: list[Sound] = []
    tap = ContainerSound(got.append)
    playback = Playback(clip(tmp_path / "clip.mkv"), Size(64, 64), loop=True, sound=tap)
    flashes, before = [], True
    for slot in range(7 * FPS):
        picture = playback.at(slot / FPS)
        assert picture is not None
        tap.anchor(slot / FPS, 1000.0 + slot / FPS)
        bright = bool(picture[:64].mean() > 128)
        if bright and not before:
            flashes.append(slot / FPS)
        before = bright
    playback.close()
    clicks = click_times(laid(got, 7.0, 1000.0))
    assert len(flashes) == 6
    for flash in flashes:
        assert min(abs(click - flash) for click in clicks) < 0.045
    assert tap.damaged == 0


def test_files_of_a_list_are_heard_one_after_the_other(tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        clip(tmp_path / name, 2)
    got: list[Sound] = []
    tap = ContainerSound(got.append)
    source = ListSource(str(tmp_path / "*.mkv"), CaptureOptions(Size(64, 64), FPS, sound=tap))
    stop = threading.Event()
    for slot in range(4 * FPS - 2):
        assert source._at(slot / FPS, stop) is not None
        tap.anchor(slot / FPS, 1000.0 + slot / FPS)
    source._close()
    clicks = click_times(laid(got, 4.0, 1000.0))
    for second in (1.0, 2.0, 3.0):
        assert min(abs(click - second) for click in clicks) < 0.045


def test_a_source_without_sound_shows_its_pictures(tmp_path: Path) -> None:
    got: list[Sound] = []
    playback = Playback(
        clip(tmp_path / "mute.mkv", 1, sound=False), Size(64, 64), sound=ContainerSound(got.append)
    )
    assert playback.at(0.5) is not None and not got
    playback.close()


def test_sound_that_ends_early_does_not_hold_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "early.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("libopus", rate=RATE, layout="mono")
        heard = av.AudioFrame.from_ndarray(clicks_and_voice(0, 9600)[None], format="s16", layout="mono")
        heard.sample_rate, heard.pts = RATE, 0
        container.mux(audio.encode(heard))
        container.mux(audio.encode(None))
        for number in range(MAX_PARKED + 20):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), number % 200, np.uint8), format="yuv420p")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    playback = Playback(str(path), Size(64, 64), sound=ContainerSound(lambda sound: None))
    shown = [playback.at(slot / FPS) for slot in range(MAX_PARKED + 20)]
    assert all(picture is not None for picture in shown)
    playback.close()


def test_a_live_source_is_not_read_ahead() -> None:
    got: list[Sound] = []
    tap = ContainerSound(got.append)
    tap._pass, tap._live, tap._offsets = 0, True, {0: 0.0}
    for number in range(50):
        tap._keep(5.0 + number * 0.02, clicks_and_voice(number * 960, 960))
        if number % 3 == 2:  # pictures jitter by 10 ms
            tap.anchor(5.0 + number * 0.02, 900.0 + number * 0.02 + 0.01 * (number % 2))
    ends = [piece.captured_at + piece.duration for piece in got]
    starts = [piece.captured_at for piece in got]
    assert all(abs(b - a) < 0.002 for a, b in zip(ends[:-1], starts[1:], strict=True))
    assert abs(starts[0] - 900.0) < 0.011


def test_the_test_voice_clicks_with_the_clock_of_the_picture() -> None:
    got: list[Sound] = []
    tap = SyntheticSound(got.append)
    for index in range(46):
        tap.anchor(index / 15, 500.25 + index / 15)
    clicks = click_times(laid(got, 3.0, 500.25))
    assert clicks[1:] == pytest.approx([1.0, 2.0], abs=0.002)


def test_a_file_is_heard_beside_any_pictures(tmp_path: Path) -> None:
    got: list[Sound] = []
    path = clip(tmp_path / "voice.mkv", 2)
    tap = FileSound(got.append, path, loop=False)
    for index in range(100):
        tap.anchor(77.0 + index / 15, 500.0 + index / 15)
    heard = laid(got, 2.5, 500.0)
    assert click_times(heard)[1] == pytest.approx(1.0, abs=0.02)
    assert tap.ended and not heard[int(2.1 * RATE) :].any()
    again = FileSound(got.append, path, loop=True)
    got.clear()
    for index in range(100):
        again.anchor(77.0 + index / 15, 500.0 + index / 15)
    assert sum(piece.duration for piece in got) > 6.0


def test_what_has_no_sound_is_told(tmp_path: Path) -> None:
    nothing = clip(tmp_path / "mute.mkv", 1, sound=False)
    for source, words in ((nothing, "holds no sound"), (str(tmp_path / "none.wav"), "cannot play")):
        with pytest.raises(SourceError, match=words):
            AudioStage(source, AudioFormat())


def test_a_device_that_is_not_there_is_told_with_the_fix() -> None:
    stage = AudioStage("alsa:nosuchdevice", AudioFormat())
    assert stage.threaded and stage.tap is None
    with pytest.raises(SourceError, match="arecord -L"):
        stage.run(threading.Event())


def test_a_file_source_brings_its_sound_through_the_stage(tmp_path: Path) -> None:
    units: list[tuple[bytes, float, float]] = []
    stage = AudioStage("source", AudioFormat())
    stage.deliver = lambda *unit: units.append(unit)
    options = CaptureOptions(Size(64, 64), 60, sound=stage.tap)
    source = FileSource(clip(tmp_path / "clip.mkv", 1), options)
    frames = list(source.frames(threading.Event()))
    assert len(units) >= 3
    first = min(timestamp for _, timestamp, _ in units)
    assert abs(first - frames[0].captured_at) < 0.06
    assert stage.seconds > 0.8


def test_an_encoder_that_fails_ends_sound_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = AudioStage("synthetic", AudioFormat())

    def broken(sound: Sound) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(stage._maker, "push", broken)
    for _ in range(2):
        stage.put(Sound(clicks_and_voice(0, 960), 0.0))
    assert stage.failed and stage.units == 0


def test_sound_that_changes_rate_and_layout_half_way_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "spliced.ts"
    for rate, layout in ((48_000, "stereo"), (44_100, "mono")):
        part = tmp_path / "part.ts"
        with av.open(str(part), "w", format="mpegts") as container:
            video = container.add_stream("libx264", rate=FPS)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            audio = container.add_stream("aac", rate=rate, layout=layout)
            for number in range(2 * FPS):
                picture = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), format="yuv420p")
                picture.pts = number
                container.mux(video.encode(picture))
                channels = 2 if layout == "stereo" else 1
                silent = np.zeros((channels, rate // FPS), np.float32)
                heard = av.AudioFrame.from_ndarray(silent, format="fltp", layout=layout)
                heard.sample_rate = rate
                container.mux(audio.encode(heard))
            container.mux(video.encode(None))
            container.mux(audio.encode(None))
        with path.open("ab") as whole:
            whole.write(part.read_bytes())
    pieces: list[Sound] = []
    options = CaptureOptions(Size(64, 64), FPS, sound=ContainerSound(pieces.append))
    pictures = sum(1 for _ in FileSource(str(path), options).frames(threading.Event()))
    assert pictures >= 3.5 * FPS
    file = FileSound(pieces.append, str(path), loop=False)
    assert sum(map(len, file._read())) == pytest.approx(4 * RATE, rel=0.05)
