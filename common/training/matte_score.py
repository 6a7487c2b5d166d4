"""How well a matte network finds what moves: python -m common.training.matte_score --data DATA [--graph FILE]

Intersection over union on composites of mask sequences and clips that were not trained on, of each kind, and on the
tabletop clips that come with the project. Seeded; the graph runs as the sender runs it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.codec.weights import MODELS
from common.runtime.base import load
from common.tabletop.files import CLIPS
from common.training.matte_data import Maker, Sample, clips_of, mask_sequences, tabletop_sample
from common.training.matte_export import GRAPH

Scores = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""(1, 3, H, W) and (1, 2, H, W), 0 to 1 -> (1, 1, H / 4, W / 4)."""

CROP = (256, 352)
SHIPPED = MODELS / "matte" / GRAPH


def scores_of(graph: Path = SHIPPED) -> Scores:
    """The network of a graph."""
    network = load(graph)
    return lambda picture, earlier: network.run({"picture": picture, "earlier": earlier})["scores"]


def overlap(scores: Scores, samples: list[Sample]) -> float:
    """Intersection over union of what moves, over all known sites of all samples."""
    both = either = 0
    for one in samples:
        picture = (one.picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
        found = scores(picture, (one.earlier[None] / 255).astype(np.float32))[0, 0] > 0
        known, wanted = one.moving >= 0, one.moving >= 0.5
        both += int((found & wanted & known).sum())
        either += int(((found | wanted) & known).sum())
    return both / max(1, either)


def composites(data: Path, cache: Path, count: int, seed: int = 11) -> list[Sample]:
    """Of masks and clips that were not trained on."""
    rng = np.random.default_rng(seed)
    clips = clips_of(data / "train", cache, held_out=True)
    maker = Maker(clips, mask_sequences(data / "davis-masks", 1), None, CROP)
    return [maker.sample(rng) for _ in range(count)]


def tabletops(step: int = 4) -> list[Sample]:
    """Every so many-th frame of the clips that come with the project, whole."""
    return [tabletop_sample(folder, at) for folder in sorted(CLIPS.glob("*/")) for at in range(3, 50, step)]


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train and davis-masks")
    parser.add_argument("--cache", type=Path, required=True, help="where decoded clips are kept")
    parser.add_argument("--graph", type=Path, default=SHIPPED, help="default: the shipped one")
    parser.add_argument("--count", type=int, default=200, help="composites (default 200)")
    args = parser.parse_args()
    scores = scores_of(args.graph)
    print(f"composites {overlap(scores, composites(args.data, args.cache, args.count)):.3f}")
    print(f"tabletop   {overlap(scores, tabletops()):.3f}")


if __name__ == "__main__":
    main()
