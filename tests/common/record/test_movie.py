"""What is muxed is there, with its times, also in the middle of it."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from common.record.movie import AudioFormat, Movie, VideoFormat
from common.record.output import OutputFile
from common.video import blank, from_video_frame

SAMPLES = 960


def tone() -> list[bytes]:
    """Opus packets of 20 ms."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.time_base = Fraction(1, 48_000)
    wave = (8000 * np.sin(np.arange(SAMPLES) * 2 * np.pi / 96)).astype(np.int16)[None]
    packets: list[bytes] = []
    for number in range(110):
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, number * SAMPLES
        packets += map(bytes, encoder.encode(frame))
    return packets


def times(path: Path, kind: str) -> list[float]:
    with av.open(str(path)) as container:
        [stream] = [stream for stream in container.streams if stream.type == kind]
        return [
            float(packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.pts is not None and packet.time_base is not None
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pictures_sound_and_captions_keep_their_times(tmp_path: Path, suffix: str) -> None:
    path, cut = tmp_path / f"a{suffix}", tmp_path / f"cut{suffix}"
    file = OutputFile(path, 0o644, 0.0)
    movie = Movie(file, VideoFormat.h264(64, 48, 15), audio=AudioFormat(), captions=True)
    packets = tone()
    for number in range(30):
        if number % 15 == 0:
            movie.caption(f"line {number}", number / 15, 1.0)
        movie.picture(blank(64, 48, 16 + 4 * number), number / 15)
        while len(packets) > 100 - (number + 1) / 15 / 0.02:
            movie.audio(packets.pop(0), (110 - len(packets) - 1) * 0.02, 0.02)
        if number == 28:
            shutil.copy(path, cut)
    movie.close()
    file.close()
    assert times(path, "video") == pytest.approx([n / 15 for n in range(30)], abs=0.001)
    sound = times(path, "audio")
    assert len(sound) >= 100 and np.diff(sound) == pytest.approx(0.02, abs=0.0011)
    if suffix == ".mkv":
        assert times(path, "subtitle") == pytest.approx([0.0, 1.0], abs=0.001)
    assert len(times(cut, "video")) >= 15 and len(times(cut, "audio")) >= 40
    with av.open(str(path)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 100 * SAMPLES - 312


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_minute_lasts_a_minute(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    file = OutputFile(path, 0o644, 0.0)
    movie = Movie(file, VideoFormat.h264(32, 32, 15), captions=True)
    for number in range(900):
        if number % 15 == 0:
            movie.caption("line", number / 15, 1.0)
        movie.picture(blank(32, 32, 16 + number % 200), number / 15)
    movie.close()
    file.close()
    with av.open(str(path)) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(60.0, abs=0.1)
    stamps = times(path, "video")
    assert len(stamps) == 900 and np.diff(stamps) == pytest.approx(1 / 15, abs=0.0011)


def test_ffv1_is_lossless(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    file = OutputFile(path, 0o644, 0.0)
    movie = Movie(file, VideoFormat.ffv1(32, 32, 15))
    noise = np.random.default_rng(1).integers(0, 256, (5, 48, 32)).astype(np.uint8)
    for number, picture in enumerate(noise):
        movie.picture(picture, number / 15)
    movie.close()
    file.close()
    with av.open(str(path)) as container:
        read = [from_video_frame(frame) for frame in container.decode(video=0)]
    assert np.array_equal(read, noise)


def test_a_file_is_synced_and_closed_by_its_thread(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "a", 0o644, 0.01)
    assert file.write(b"abc") == 3
    syncer = file._syncer
    assert syncer is not None
    file.close()
    file.close()
    syncer.join(5.0)
    assert not syncer.is_alive() and (tmp_path / "a").read_bytes() == b"abc"
