"""Speech through the audio stream at packet losses: what interleaving, concealment and parity are worth.

    python -m tests.bench.audio [--speech FILE] [--seeds 3] [--out tests/bench/results/audio.md]

In memory and virtual time, from samples to samples; espeak-ng (Debian) speaks where no file is given. Measures are of
the sound heard against the sound captured, aligned by the clock:

- STOI, 0 to 1 (Taal, Hendriks, Heusdens and Jensen 2011; the package pystoi): predicts intelligibility. It looks at
  third-octave bands up to 4.3 kHz, so that it says little of the band from 4 to 8 kHz.
- LSD: log-spectral distance in dB over frames with speech, 300 to 7000 Hz, lower is better.
- held: share of the frames with speech whose level is within 10 dB of what was said.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from pystoi import stoi

from common.audio import RATE, Samples
from proto.protection import Policy
from sender.audio.units import AudioFormat
from tests.receiver.audio.link import NO_PARITY, Heard, Link, parity, play

LOSSES = (0.0, 0.1, 0.3, 0.5)
WORDS = (
    "The boat reports position fifty four degrees north. Wind is from the west at twenty knots. We have two people "
    "aboard, and the engine has stopped. Please send the tug before seven this evening. The hatch is closed, the pump "
    "is running, and nobody is hurt. We will call again on channel sixteen when the weather clears."
)
WINDOW, STEP = 1536, 768
SPEECH_BELOW_PEAK = 40.0  # dB
HELD_DB = 10.0

Spectra = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One way to send, and what it cost and gave: a value for each of LOSSES."""

    name: str
    wire_kbps: float
    stoi: tuple[float, ...]
    lsd: tuple[float, ...]
    held: tuple[float, ...]


WAYS: tuple[tuple[str, AudioFormat, Policy | float], ...] = (
    ("8 kbit/s, 240 ms", AudioFormat(8, interleave=False), NO_PARITY),
    ("8 kbit/s, 240 ms, interleaved", AudioFormat(8), NO_PARITY),
    ("9 kbit/s, 240 ms", AudioFormat(9, interleave=False), NO_PARITY),
    ("9 kbit/s, 120 ms", AudioFormat(9, packet_ms=120, interleave=False), NO_PARITY),
    ("9 kbit/s, 120 ms, interleaved", AudioFormat(9, packet_ms=120), NO_PARITY),
    ("9 kbit/s, 240 ms, interleaved", AudioFormat(9), NO_PARITY),
    ("9 kbit/s, 360 ms, interleaved", AudioFormat(9, packet_ms=360), NO_PARITY),
    ("9 kbit/s, 240 ms, interleaved, each packet twice", AudioFormat(9), 1.0),
    ("12 kbit/s, 240 ms, interleaved", AudioFormat(12), NO_PARITY),
    ("16 kbit/s, 240 ms, interleaved", AudioFormat(16), NO_PARITY),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, help="a file that FFmpeg reads, in place of espeak-ng")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the table there, too")
    options = parser.parse_args()
    speech = samples_of(options.speech) if options.speech else spoken()
    text = table([row(name, format, policy, speech, options.seeds) for name, format, policy in WAYS])
    print(text)
    if options.out:
        head = "What speech of espeak-ng keeps at packet losses: `python -m tests.bench.audio --out FILE`\n\n"
        options.out.write_text(head + text + "\n", encoding="utf-8")


def row(name: str, format: AudioFormat, policy: Policy | float, speech: Samples, seeds: int) -> Row:
    """Means over the seeds."""
    wire, means = 0.0, []
    for loss in LOSSES:
        protection = parity(loss, policy) if isinstance(policy, float) else policy
        protection = replace(protection, window_s=0.25)
        values = []
        for seed in range(seeds if loss else 1):
            heard = play(speech, format, Link(loss=loss, seed=seed, policy=protection))
            wire = max(wire, 8 * heard.bytes / (len(speech) / RATE) / 1000)
            values.append(measures(speech, heard))
        means.append(np.mean(values, axis=0))
        print(name, loss, np.round(means[-1], 3), file=sys.stderr)
    intelligible, distance, held = (tuple(map(float, column)) for column in np.transpose(means))
    return Row(name, wire, intelligible, distance, held)


def measures(speech: Samples, heard: Heard) -> tuple[float, float, float]:
    """(STOI, LSD in dB, held)."""
    length = min(len(speech), len(heard.samples))
    said, got = speech[:length].astype(np.float64), heard.samples[:length].astype(np.float64)
    a, b = spectra(said), spectra(got)
    loud_a, loud_b = 10 * np.log10(a.sum(axis=1)), 10 * np.log10(b.sum(axis=1))
    speaking = loud_a > loud_a.max() - SPEECH_BELOW_PEAK
    band = slice(round(300 * WINDOW / RATE), round(7000 * WINDOW / RATE))
    gap = 10 * (np.log10(a[speaking, band]) - np.log10(b[speaking, band]))
    distance = float(np.mean(np.sqrt(np.mean(np.square(gap), axis=1))))
    held = float(np.mean(np.abs(loud_a - loud_b)[speaking] < HELD_DB))
    return float(stoi(said, got, RATE)), distance, held


def spectra(sound: npt.NDArray[np.float64]) -> Spectra:
    """Power spectra of Hann windows, with a floor 60 dB below a sine at -20 dB of full scale."""
    frames = np.lib.stride_tricks.sliding_window_view(sound / 32768.0, WINDOW)[::STEP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    floor = (0.1 * WINDOW / 4) ** 2 * 1e-6
    result: Spectra = power + floor
    return result


def samples_of(path: Path) -> Samples:
    """All sound of a file. Raises av.FFmpegError."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        parts = [
            part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)
        ]
    parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate(parts)


def spoken() -> Samples:
    """WORDS, by espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise SystemExit(
            "espeak-ng is missing: apt-get install espeak-ng, or name a recording with --speech FILE"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run([program, "-v", "en-gb", "-s", "150", "-w", str(path), WORDS], check=True)
        return samples_of(path)


def table(rows: list[Row]) -> str:
    """Markdown: STOI, LSD and held of each way at each loss."""
    losses = [f"{loss:g}" for loss in LOSSES]
    lines = [
        "| | kbit/s on the wire, at most | "
        + " | ".join(f"STOI, LSD dB, held at {loss}" for loss in losses)
        + " |",
        "|---|---:|" + "---|" * len(losses),
    ]
    for one in rows:
        cells = [f"{s:.2f}, {d:.1f}, {h:.2f}" for s, d, h in zip(one.stoi, one.lsd, one.held, strict=True)]
        lines.append(f"| {one.name} | {one.wire_kbps:.1f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
