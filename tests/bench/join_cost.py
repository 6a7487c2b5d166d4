"""What short packets for late joiners cost in picture quality: `resilient` without feedback, cut as usual and as
`sender.packet_length.join` asks with up to 20 % of headers. The same clips, wire rate and losses for both, paired by
clip.

`python -m tests.bench.join_cost --clips DIR/a.mp4 .. [--kbps 30 60] [--loss 0 0.5 0.8] [--out DIR]`
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget, CodecError
from common.codec.registry import create_decoder, create_encoder
from common.video import Picture
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES, max_payload
from sender.packet_length.join import LateJoin
from tests.bench.contestant import unit_frames
from tests.bench.quality import psnr, similarities
from tests.bench.share_curve import FPS, SIDE, Received, square

SEEDS = 3
HEADERS = 0.2  # of the wire, that they may take
SKIPPED = 2  # units at the start, until the coder has found its level
MEASURES = ("psnr", "ms_ssim")


def encode(pictures: Sequence[Picture], wire_kbps: float, short: bool) -> list[list[bytes]]:
    """Payloads of each unit."""
    frames, overhead = unit_frames(), OVERHEAD_BYTES + IP_UDP_BYTES
    seconds = frames / FPS
    share = wire_kbps * 125 * seconds
    payload = LateJoin(HEADERS).payload(share, seconds, max_payload()) if short else max_payload()
    encoder, budget = create_encoder("resilient", SIDE, SIDE, FPS), Budget(share, overhead, payload)
    starts = range(0, len(pictures), frames)
    return [encoder.encode(pictures[at : at + frames], at // frames, budget).payloads for at in starts]


def quality(
    pictures: Sequence[Picture], units: Sequence[Sequence[bytes]], loss: float, seed: int
) -> NDArray[np.float64]:
    """Mean of MEASURES over the pictures after SKIPPED units; each packet is lost with probability `loss`."""
    rng, decoder, frames = np.random.default_rng(seed), create_decoder("resilient"), unit_frames()
    out = []
    for number, payloads in enumerate(units):
        kept = rng.random(len(payloads)) >= loss if number else np.ones(len(payloads), bool)
        came = tuple(p if k else None for p, k in zip(payloads, kept, strict=True))
        try:
            shown = decoder.decode(Received(number, came) if kept.any() else None).pictures
        except CodecError as error:  # the first unit always arrives
            raise RuntimeError(f"unit {number}: {error}") from error
        sent = pictures[number * frames : (number + 1) * frames]
        if number >= SKIPPED:
            out += [(psnr(a, b), similarities(a, b)[0]) for a, b in zip(sent, shown, strict=True)]
    return np.asarray(np.mean(out, 0))


@dataclass(frozen=True, slots=True)
class Row:
    """Means over clips of both cuts at one rate and loss, and the standard error of the difference. Pairs: usual,
    short; quality by MEASURES."""

    kbps: float
    loss: float
    packets: tuple[float, float]
    usual: tuple[float, ...]
    short: tuple[float, ...]
    error: tuple[float, ...]


def compare(
    clips: Sequence[Path], frames: int, rates: Sequence[float], losses: Sequence[float]
) -> Iterator[Row]:
    """A row for each rate and loss."""
    made = [square(clip, frames) for clip in clips]
    for kbps in rates:
        both = [[encode(pictures, kbps, short) for pictures in made] for short in (False, True)]
        packets = [float(np.mean([len(unit) for units in cut for unit in units])) for cut in both]
        for loss in losses:
            seeds = range(SEEDS if loss else 1)
            usual, short = (
                np.array(
                    [
                        np.mean([quality(p, u, loss, seed) for seed in seeds], 0)
                        for p, u in zip(made, cut, strict=True)
                    ]
                )
                for cut in both
            )
            error = (short - usual).std(0, ddof=1) / np.sqrt(len(made)) if len(made) > 1 else np.zeros(2)
            values = (
                tuple(round(float(x), 4) for x in column) for column in (usual.mean(0), short.mean(0), error)
            )
            yield Row(kbps, loss, (round(packets[0], 2), round(packets[1], 2)), *values)


HEAD = """\
| kbit/s | loss | packets a unit | dB | MS-SSIM | gain, dB | gain, MS-SSIM |
|---:|---:|---|---|---|---:|---:|"""


def line(row: Row) -> str:
    """A row of the table: usual -> short."""
    (p0, s0), (p1, s1), (pe, se) = row.usual, row.short, row.error
    return (
        f"| {row.kbps:g} | {row.loss:g} | {row.packets[0]:g} -> {row.packets[1]:g} | {p0:.2f} -> {p1:.2f} "
        f"| {s0:.4f} -> {s1:.4f} | {p1 - p0:+.2f} +- {pe:.2f} | {s1 - s0:+.4f} +- {se:.4f} |"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.join_cost", description=__doc__)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, metavar="FILE", help="training clips")
    parser.add_argument("--frames", type=int, default=40, help="of each (default: 40)")
    parser.add_argument("--kbps", type=float, nargs="+", default=[30.0, 60.0])
    parser.add_argument("--loss", type=float, nargs="+", default=[0.0, 0.5, 0.8])
    parser.add_argument("--out", type=Path, metavar="DIR", help="cost.json and cost.md go there")
    args = parser.parse_args(argv)
    print(HEAD)
    rows = []
    for row in compare(args.clips, args.frames, args.kbps, args.loss):
        rows.append(row)
        print(line(row), flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "cost.md").write_text("\n".join([HEAD, *map(line, rows)]) + "\n")
        about = {
            "clips": [clip.stem for clip in args.clips],
            "frames": args.frames,
            "rows": [asdict(row) for row in rows],
        }
        (args.out / "cost.json").write_text(json.dumps(about, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
