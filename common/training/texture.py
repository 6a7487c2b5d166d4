"""Counts the starting probabilities of the texture codec's contexts on training clips.

    python -m common.training.texture --data CLIPS [--clips 60]

writes common/codec/texture/tables.json: a few rounds, each with the choices that the tables before lead to."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av

from common.codec.base import Budget
from common.codec.contour.coder import ONE, Tally
from common.codec.texture import choose, decoder, tables
from common.codec.texture.encoder import TextureEncoder
from common.codec.texture.syntax import AROUND, BANDS, CONTEXTS, LARGE, Levels, walk
from common.video import Picture, Resizer

ROUNDS = 3
UNITS = 3
BYTES = (120, 220, 500, 1000)  # wire bytes of a unit
SIZES = ((256, 256), (512, 384))
FRAMES = (8, 16)
SCALE = 4  # which low rates want; contexts learn by themselves where there are more bytes
LEAST = 64 / ONE


def start() -> dict[str, list[int]]:
    """Before anything is counted: coefficients are 0, the higher and the lonelier the likelier."""
    zeros = [ONE // 2] * CONTEXTS
    for context in range(LARGE):
        band, around = context // AROUND % BANDS, context % AROUND
        zeros[context] = int(ONE * (1 - 0.4 / (1 + 3 * band) * (around + 1) / AROUND))
    return {"zeros": zeros, "ages": [0] * CONTEXTS}


def count(clips: Sequence[Path]) -> dict[str, list[int]]:
    """Tables from what is written of some clips with the tables of now."""
    tally = Tally(CONTEXTS)
    for number, clip in enumerate(clips):
        width, height = SIZES[number % len(SIZES)]
        pictures = list(_pictures(clip, width, height, UNITS * max(FRAMES)))
        for place, wire in enumerate(BYTES):
            frames = FRAMES[(number // 2 + place) % len(FRAMES)]
            coder = TextureEncoder(width, height, 15.0, frames, SCALE)
            for unit in range(min(UNITS, len(pictures) // frames)):
                part = pictures[unit * frames : (unit + 1) * frames]
                payload = coder.encode(part, unit, Budget(wire, 57, 1143)).payloads[0]
                levels = decoder.read(payload)[2]
                if isinstance(levels, Levels):
                    walk(tally, levels, False)
    zeros, ages = [], []
    for no, yes in tally.seen:
        share = (no + 0.4) / (no + yes + 0.8)
        zeros.append(int(min(max(share, LEAST), 1 - LEAST) * ONE))
        ages.append(min(16, int((no + yes) ** 0.5)))
    return {"zeros": zeros, "ages": ages}


def _pictures(path: Path, width: int, height: int, most: int) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        resizer = Resizer(width, height)
        step = max(1.0, float(container.streams.video[0].average_rate or 25) / 15)
        taken = 0
        for index, frame in enumerate(container.decode(video=0)):
            if index >= taken * step:
                taken += 1
                yield resizer.convert(frame)
            if taken == most:
                return


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m common.training.texture", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of training clips")
    parser.add_argument("--clips", type=int, default=60, help="how many of them")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args(argv)
    clips = sorted(args.data.glob("*.mp4"))
    random.Random(1).shuffle(clips)
    if not clips:
        print(f"texture: no clips in {args.data}", file=sys.stderr)
        return 1
    if not tables.PATH.exists():
        _write(start())
    for number in range(args.rounds):
        _write(count(clips[: args.clips]))
        print(f"round {number + 1} of {args.rounds}", flush=True)
    return 0


def _write(made: dict[str, list[int]]) -> None:
    tables.PATH.write_text(json.dumps(made, separators=(",", ":")).replace("],", "],\n") + "\n")
    tables.load.cache_clear()
    choose.bits.cache_clear()


if __name__ == "__main__":
    sys.exit(main())
