"""The quality curve f_p of the shipped codec: quality of what is shown against the share of a unit's packets received.

Each clip is encoded at a fixed budget without feedback, so every unit has the same number n of packets. Then it is
decoded n + 1 times; in each pass every unit loses a random subset of its packets, and over the passes each unit is once
met with each number received, 0..n, after units that lost other numbers at random. So all shares are seen over the same
pictures, and what the decoder remembers is as varied as on a real link. The first unit always arrives, and does not
count.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget, EncodedUnit
from common.codec.registry import create_decoder, create_encoder
from common.video import Picture, Resizer
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES, max_payload
from tests.bench.contestant import unit_frames
from tests.bench.quality import psnr, similarities

SIDE, FPS = 256, 15.0
MEASURES = ("ms_ssim", "psnr")


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived of one unit; the decoder takes it as it does a reassembled one."""

    unit: int
    segments: tuple[bytes | None, ...]


def square(path: Path, frames: int) -> list[Picture]:
    """The first pictures of a clip in whole units, SIDE x SIDE, at about FPS; enlarged where the clip is smaller."""
    resizer = Resizer(SIDE, SIDE)
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        step = max(1, round(rate / FPS))
        chosen = itertools.islice(container.decode(video=0), 0, step * frames, step)
        pictures = [resizer.convert(frame) for frame in chosen]
    whole = pictures[: len(pictures) // unit_frames() * unit_frames()]
    if len(whole) < 2 * unit_frames():
        raise ValueError(f"{path}: shorter than two units")
    return whole


def encode(pictures: Sequence[Picture], wire_kbps: float) -> list[EncodedUnit]:
    """The units of a clip, each with the whole share of the wire rate."""
    frames = unit_frames()
    budget = Budget(wire_kbps * 125 * frames / FPS, OVERHEAD_BYTES + IP_UDP_BYTES, max_payload())
    encoder = create_encoder("resilient", SIDE, SIDE, FPS)
    return [
        encoder.encode(pictures[unit * frames : (unit + 1) * frames], unit, budget)
        for unit in range(len(pictures) // frames)
    ]


def passes(units: int, packets: int, rng: np.random.Generator) -> Iterator[list[NDArray[np.bool_]]]:
    """For each of packets + 1 passes what arrives of each unit; over them each unit but the first, of which all
    arrive, has every number received once."""
    orders = [rng.permutation(packets + 1) for _ in range(units)]
    for turn in range(packets + 1):
        counts = [packets, *(int(order[turn]) for order in orders[1:])]
        yield [rng.permutation(packets) < count for count in counts]


def samples(pictures: Sequence[Picture], wire_kbps: float, seed: int) -> tuple[int, NDArray[np.float64]]:
    """(n, quality of shape (units - 1, n + 1, 2)): mean over the unit's pictures of MEASURES by number received."""
    units, rng = encode(pictures, wire_kbps), np.random.default_rng(seed)
    counts = {len(unit.payloads) for unit in units}
    if len(counts) != 1:
        raise ValueError(f"{wire_kbps:g} kbit/s: units of {sorted(counts)} packets, not of one number")
    (packets,) = counts
    out = np.zeros((len(units), packets + 1, len(MEASURES)))
    for arrived in passes(len(units), packets, rng):
        decoder = create_decoder("resilient")
        for number, (unit, kept) in enumerate(zip(units, arrived, strict=True)):
            came = tuple(p if k else None for p, k in zip(unit.payloads, kept, strict=True))
            shown = decoder.decode(Received(number, came) if kept.any() else None).pictures
            sent = pictures[number * unit_frames() : (number + 1) * unit_frames()]
            out[number, int(kept.sum())] = np.mean(
                [_closeness(a, b) for a, b in zip(sent, shown, strict=True)], 0
            )
    return packets, out[1:]


def _closeness(sent: Picture, shown: Picture) -> tuple[float, float]:
    return similarities(sent, shown)[0], psnr(sent, shown)


def measure(clips: Sequence[Path], wire_kbps: float, frames: int, seed: int) -> dict[str, object]:
    """The curve over all clips at one wire rate, as it stands in the results: for each share the mean of each measure
    and its standard error over clips, each clip counting alike."""
    measured = [samples(square(clip, frames), wire_kbps, seed + i) for i, clip in enumerate(clips)]
    packets = measured[0][0]
    means = np.array([quality.mean(0) for _, quality in measured])  # (clips, n + 1, measures)
    errors = means.std(0, ddof=1) / np.sqrt(len(clips)) if len(clips) > 1 else np.zeros_like(means[0])
    out: dict[str, object] = {
        "wire_kbps": wire_kbps,
        "packets": packets,
        "units": sum(len(quality) for _, quality in measured),
        "share": [round(k / packets, 6) for k in range(packets + 1)],
    }
    for index, name in enumerate(MEASURES):
        out[name] = [round(float(x), 4) for x in means.mean(0)[:, index]]
        out[f"{name}_error"] = [round(float(x), 4) for x in errors[:, index]]
    return out
