"""Small pictures at 1 to 8 kbit/s: python -m tests.bench.texture [DIR] --data ../shared/data

Clips at a quarter and at half of each side through our texture codec, `resilient` at a quarter, SVT-AV1 and x265
(texture_peers.py says what is granted to them), at equal wire rate, 28 bytes of IP and UDP and our own overhead a
packet counted. Packets are lost independently. Nobody reports. Writes texture.json, texture.md and strip.jpg to DIR."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from common.codec.header import FRAMES
from common.codec.texture.encoder import change, unit_frames, usual_scale
from common.codec.texture.scaling import enlarge, shrink
from common.tabletop.files import PICTURES, shipped
from common.training.haarpsi import haarpsi_colour
from common.video import Picture, Resizer, picture_size
from tests.bench.quality import SMALLEST_SIDE, ms_ssim, psnr_of_rgb, rgb
from tests.bench.texture_peers import COARSE, Coded, contestants, scale_of, smaller
from tests.bench.texture_report import report, strip

RATES = (1.0, 2.0, 4.0, 8.0)
LOSSES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
SECONDS = 12.8
EVERY, EVERY_LARGE = (
    13,
    26,
)  # pictures from a measured one to the next: small, of full size; not aligned to units
SEED = 7


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures to send; played to and fro where they are too few."""

    name: str
    pictures: list[Picture]
    fps: float


@dataclass(frozen=True, slots=True)
class Row:
    """Means over the pictures measured."""

    contestant: str
    setting: str
    clip: str
    kbps: float
    wire_kbps: float
    loss: float
    psnr: float
    haarpsi: float
    psnr_large: float
    ms_ssim_large: float
    haarpsi_large: float
    encode_ms: float
    """CPU time a picture; without meaning for peers, which search longer than they would live."""
    decode_ms: float
    usual: bool = False
    """Whether this is the size that our sender would choose for the clip at the rate."""


def clip(path: Path, size: tuple[int, int], fps: float, name: str = "") -> Clip:
    """A video at a size, at most SECONDS of it."""
    pictures: list[Picture] = []
    with av.open(str(path)) as container:
        resizer = Resizer(*size)
        step = max(1.0, float(container.streams.video[0].average_rate or 25) / fps)
        for index, frame in enumerate(container.decode(video=0)):
            if index >= len(pictures) * step:
                pictures.append(resizer.convert(frame))
    wanted = int(SECONDS * fps)
    there = [*pictures, *pictures[-2:0:-1]]
    return Clip(name or path.stem, [there[i % len(there)] for i in range(wanted)], fps)


def evaluation(data: Path) -> list[Clip]:
    """Squares of 256, tabletop scenes of 512, a street."""
    squares = [clip(path, (256, 256), 15.0) for path in sorted(data.glob("eval/*_square.mp4"))]
    tables = [
        clip(video.folder / PICTURES, (512, 512), 10.0, f"tabletop {video.folder.name}")
        for video in shipped()[:3]
    ]
    street = clip(data / "eval" / "camvid-val_wide.mp4", (480, 352), 15.0)
    return [*squares[3:4], *tables[:1], street, *squares[:3], *squares[4:], *tables[1:]]


def training(data: Path) -> list[Clip]:
    """A few training clips, to choose by."""
    paths = sorted(data.glob("train/*.mp4"))
    random.Random(5).shuffle(paths)
    return [clip(path, ((256, 256), (512, 384))[i % 2], 15.0) for i, path in enumerate(paths[:8])]


def rows(one: Clip, kbps: float, who: tuple[str, str], losses: Sequence[float]) -> Iterator[Row]:
    """One contestant on one clip at one rate, through every loss."""
    frames = (unit_frames(one.fps, kbps) + FRAMES // 2) // FRAMES * FRAMES  # `resilient` has units of so many
    units = [one.pictures[i : i + frames] for i in range(0, len(one.pictures) - frames + 1, frames)]
    wire = kbps * 125 * frames / one.fps
    usual = usual_scale(*picture_size(one.pictures[0]), one.fps, frames, kbps, change(units[0], one.fps))
    begun = time.process_time()
    coded = contestants()[who](units, one.fps, wire)
    encode = (time.process_time() - begun) * 1000 / (len(units) * frames)
    sent = [picture for unit in units for picture in unit]
    spent = sum(map(sum, coded.sizes)) / (125 * len(sent) / one.fps)
    for loss in losses:
        masks = masks_of(coded, loss, one.name)
        begun = time.process_time()
        shown = coded.shown(masks)
        decode = (time.process_time() - begun) * 1000 / len(sent)
        quality = measure(sent, shown)
        times = round(encode, 2), round(decode, 2)
        yield Row(*who, one.name, kbps, round(spent, 3), loss, *quality, *times, scale_of(who[1]) == usual)


def masks_of(coded: Coded, loss: float, clip: str) -> list[list[bool]]:
    """Which packets arrive. The first unit always does, so that everybody begins with a picture."""
    draw = random.Random(f"{SEED} {loss} {clip}")
    masks = [[draw.random() >= loss for _ in unit] for unit in coded.sizes]
    return [[True] * len(masks[0]), *masks[1:]]


def measure(sent: Sequence[Picture], shown: Sequence[Picture]) -> tuple[float, float, float, float, float]:
    """(PSNR, HaarPSI) at a quarter of each side, (PSNR, MS-SSIM, HaarPSI) at the full size."""
    small, large = [], []
    width, height = picture_size(sent[0])
    quarter = smaller((width, height), COARSE)
    for index in range(EVERY // 2, len(sent), EVERY):
        small.append(_close(shrink(sent[index], *quarter), shrink(shown[index], *quarter)))
        if index % EVERY_LARGE == EVERY // 2:
            up = enlarge(shown[index], width, height)
            similar = ms_ssim(sent[index], up) if min(width, height) >= SMALLEST_SIDE else 0.0
            one = _close(sent[index], up)
            large.append((one[0], similar, one[1]))
    psnr, haarpsi, *of_large = (round(float(value), 4) for value in (*np.mean(small, 0), *np.mean(large, 0)))
    return psnr, haarpsi, of_large[0], of_large[1], of_large[2]


def _close(sent: Picture, shown: Picture) -> tuple[float, float]:
    first, second = rgb(sent), rgb(shown)
    with torch.inference_mode():
        return psnr_of_rgb(first, second), float(
            haarpsi_colour(torch.from_numpy(first), torch.from_numpy(second))
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.texture", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("texture-bench"), metavar="DIR")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with eval/ and train/"
    )
    parser.add_argument("--training", action="store_true", help="training clips, to choose settings by")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, metavar="KBPS")
    parser.add_argument("--losses", type=float, nargs="+", default=LOSSES, metavar="SHARE")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help="texture, resilient, svtav1, x265")
    parser.add_argument("--clips", type=int, metavar="N", help="the first N clips")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument("--report", action="store_true", help="the table again, from texture.json")
    args = parser.parse_args(argv)
    if args.report:
        return _report(args.out, json.loads((args.out / "texture.json").read_text()), [])
    torch.set_num_threads(1)
    made = (training if args.training else evaluation)(args.data)[: args.clips]
    if not made:
        print(f"texture: no clips in {args.data}", file=sys.stderr)
        return 1
    who = [key for key in contestants() if not args.contestants or key[0] in args.contestants]
    if not who:
        print("texture: --contestants: there are texture, resilient, svtav1, x265", file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        parts = [pool.submit(_all, one, kbps, who, args.losses) for one in made for kbps in args.rates]
        for part in as_completed(parts):
            found += part.result()
            print(f"{found[-1].clip}, {found[-1].kbps:g} kbit/s", flush=True)
            _save(args.out, found)
    return _report(args.out, [asdict(row) for row in found], made)


def _report(out: Path, found: Sequence[dict[str, Any]], made: Sequence[Clip]) -> int:
    (out / "texture.md").write_text(report(found))
    print((out / "texture.md").read_text())
    if made:
        strip(made, out / "strip.jpg")
    return 0


def _all(one: Clip, kbps: float, who: Sequence[tuple[str, str]], losses: Sequence[float]) -> list[Row]:
    return [row for key in who for row in rows(one, kbps, key, losses)]


def _save(out: Path, found: Sequence[Row]) -> None:
    ordered = sorted(found, key=lambda row: (row.clip, row.kbps, row.contestant, row.setting, row.loss))
    lines = ",\n".join(json.dumps(asdict(row)) for row in ordered)
    (out / "texture.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    sys.exit(main())
