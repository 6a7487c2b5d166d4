"""What the network learns from: clips as the encoder's views show them, made once: python -m common.training.views

Each sequence is a crop of a training clip, coded by the real encoder at a random rate for a random belief about the
loss, and decoded again. Training draws which views arrive. Seeded; a folder that is not full yet is filled up.
"""

from __future__ import annotations

import argparse
import logging
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from common.codec import plan
from common.codec.base import Budget
from common.codec.encoder import ResilientEncoder
from common.codec.header import FRAMES
from common.codec.parse import parse_unit
from common.codec.pictures import Planes, join
from common.codec.view import put
from common.training.data import Crop, SequenceSampler, load_clips

log = logging.getLogger("views")

CODED, KEPT = 256, 128  # sides of what is coded, and of the part of it that is learnt from
OVERHEAD, MAX_PAYLOAD = 57, 1171  # bytes, as on the wire
KBPS = 12.0, 400.0  # lowest and highest rate of a sequence, at CODED
FPS = 30.0  # leaves the encoder little time; the pictures are those of a lower rate
CAPS = {"droid": 0.1, "openvla": 0.4}  # robot scenes look alike; they would be a third of the mix

Arrays = dict[str, NDArray[np.generic]]


def views_of(crop: Crop, rng: np.random.Generator) -> Arrays:
    """A sequence as arrays: true_luma (N, K, K) and true_chroma (N, 2, K/2, K/2), and of each view luma (V, T, K, K),
    chroma (V, T, 2, K/2, K/2), unit, quality and shrink (V,)."""
    true = Planes(
        *(np.clip(np.rint(x * 127.5 + 127.5), 0, 255).astype(np.uint8) for x in (crop.luma, crop.chroma))
    )
    pictures = join(true)
    side = crop.luma.shape[-1]
    kbps = np.exp(rng.uniform(*np.log(KBPS))) * side * side / CODED**2
    budget = Budget(kbps * 125 * FRAMES / 15.0, OVERHEAD, MAX_PAYLOAD)
    encoder = ResilientEncoder(0, side, side, FPS)
    flat = np.ones(len(plan.LOSSES))
    encoder.believe(rng.dirichlet(0.4 * flat) if rng.random() < 0.3 else flat)
    top, left = rng.integers(0, (side - KEPT) // 8 + 1, 2) * 8
    rows: dict[str, list[NDArray[np.generic]]] = {}
    for unit in range(len(pictures) // FRAMES):
        coded = encoder.encode(pictures[unit * FRAMES : (unit + 1) * FRAMES], unit, budget)
        parsed = parse_unit(SimpleNamespace(unit=unit, segments=tuple(coded.payloads)))
        assert parsed is not None
        for view in parsed[1]:
            luma, chroma = _part(put(view.coded, view.header), top, left)
            facts = {"unit": unit, "quality": view.header.quality, "shrink": view.header.shrink}
            for name, value in {"luma": luma, "chroma": chroma, **facts}.items():
                rows.setdefault(name, []).append(np.asarray(value))
    source = dict(zip(("true_luma", "true_chroma"), _part(true, top, left), strict=True))
    return {name: np.stack(values) for name, values in rows.items()} | source


def _part(planes: Planes, top: int, left: int) -> Planes:
    half = KEPT // 2
    return Planes(
        planes.luma[..., top : top + KEPT, left : left + KEPT],
        planes.chroma[..., top // 2 : top // 2 + half, left // 2 : left // 2 + half],
    )


def make(number: int, data: Path, cache: Path, out: Path, units: int, seed: int) -> int:
    """Make and save sequence `number`; returns it."""
    path = out / f"{number:05}.npz"
    if not path.exists():
        rng = np.random.default_rng((seed, number))
        arrays = views_of(_sampler(data, cache, seed).draw(rng, units * FRAMES), rng)
        unfinished = path.with_suffix(".partial.npz")
        np.savez(unfinished, **arrays)  # type: ignore[arg-type]
        unfinished.rename(path)
    return number


@lru_cache(maxsize=1)
def _sampler(data: Path, cache: Path, seed: int) -> SequenceSampler:
    return SequenceSampler(load_clips(data, cache), CODED, 15.0, CAPS, seed)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of training clips (.mp4)")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded clips")
    parser.add_argument("--out", type=Path, required=True, help="folder for the sequences")
    parser.add_argument("--sequences", type=int, default=1500, help="how many to make (default 1500)")
    parser.add_argument("--units", type=int, default=5, help="access units of a sequence (default 5)")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    load_clips(args.data, args.cache)
    job = partial(make, data=args.data, cache=args.cache, out=args.out, units=args.units, seed=args.seed)
    begun = time.monotonic()
    with ProcessPoolExecutor(args.jobs) as pool:
        for done in pool.map(job, range(args.sequences)):
            if done % 50 == 49:
                left = (time.monotonic() - begun) / (done + 1) * (args.sequences - done - 1)
                log.info("%d of %d sequences, %.1f minutes left", done + 1, args.sequences, left / 60)


if __name__ == "__main__":
    main()
