"""What of a test of lip sync came out at the far end: flashes and clicks."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from common.audio import RATE, Samples
from tests.receiver.audio.link import click_times


def to_mono(frame: av.AudioFrame) -> Samples:
    """Its left side, 16 bits."""
    plain = av.AudioResampler(format="s16p").resample(frame)[0]
    samples: Samples = plain.to_ndarray()[0]
    return samples


def flashes_of(pictures: list[tuple[float, float]]) -> list[float]:
    """From times (s) and mean levels of luma: when pictures turn bright."""
    found, bright = [], True
    for time, level in pictures:
        before, bright = bright, level > 100
        found += [time] if bright and not before else []
    return found


def clicks_of(pieces: list[tuple[float, Samples]]) -> NDArray[np.float64]:
    """From pieces of sound and their times (s): when clicks of 1 kHz begin."""
    line = np.zeros(0, np.int16)
    for time, samples in pieces:
        gap = np.zeros(max(0, round(time * RATE) - len(line)), np.int16)
        line = np.concatenate([line, gap, samples])
    return np.array(click_times(line))


def flashes_and_clicks(path: Path) -> tuple[list[float], NDArray[np.float64]]:
    """Times in a recording (s from its first picture)."""
    pieces: list[tuple[float, Samples]] = []
    pictures: list[tuple[float, float]] = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0, audio=0):
            try:
                frames = packet.decode()
            except av.FFmpegError:  # a picture before the first key picture
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame) and frame.time is not None:
                    pieces.append((frame.time, to_mono(frame)))
                elif isinstance(frame, av.VideoFrame) and frame.time is not None:
                    pictures.append((frame.time, float(frame.to_ndarray(format="gray").mean())))
    begins = pictures[0][0]
    heard = [(time - begins, samples) for time, samples in pieces if time >= begins]
    return flashes_of([(time - begins, level) for time, level in pictures]), clicks_of(heard)
