"""Sound with its pictures from a file through loss into a recording, real daemons on loopback."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from common.audio import RATE
from tests.e2e.daemons import RX, daemons
from tests.receiver.audio.link import click_times
from tests.sender.audio.test_sources import clip


def test_sound_and_pictures_of_a_file_are_recorded_in_step(tmp_path: Path) -> None:
    source = clip(tmp_path / "clip.mkv", 6)
    with daemons(tmp_path) as bench:
        receiver = bench.receiver()
        _, port = bench.relay("--loss", "0.1", "--seed", "5")
        flags = ("--source", source, "--loop", "--audio", "source", "--fps", "12.5", "--size", "64x64")
        bench.sender(port, None, *flags)
        bench.wait("sound", lambda: bench.figures().get(RX + "audio_units_total") >= 24)
        assert bench.sender_figure("audio_units_total") >= 24
        assert abs(bench.figures().get(RX + "audio_offset_seconds")) <= 0.040
        receiver.stop()
    recording = max(tmp_path.glob("shown*.mkv"), key=lambda path: path.stat().st_size)
    flashes, clicks = flashes_and_clicks(recording)
    pairs = [(click, min(flashes, key=lambda flash: abs(flash - click))) for click in clicks]
    near = [click - flash for click, flash in pairs if abs(click - flash) < 0.4]
    assert len(near) >= 3
    # A flash is seen up to a picture (80 ms) after it was: half of that is left out.
    assert abs(float(np.median(near)) + 0.02) < 0.06


def flashes_and_clicks(path: Path) -> tuple[list[float], list[float]]:
    """When the picture turns bright, and when clicks begin; seconds."""
    flashes, before, line = [], True, np.zeros(60 * RATE, np.int16)
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            bright = bool(picture.to_ndarray(format="gray").mean() > 128)
            if bright and not before:
                flashes.append(picture.time or 0.0)
            before = bright
    with av.open(str(path)) as container:
        for sound in container.decode(audio=0):
            samples = np.asarray(sound.to_ndarray()[0] * 32767, np.int16)
            at = round((sound.time or 0.0) * RATE)
            line[max(0, at) : at + len(samples)] = samples[max(0, -at) :]
    return flashes, click_times(line)
