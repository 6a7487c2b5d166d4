"""Trains the tables of the contour coder: python -m tests.bench.structure_tables [--data DIR] [--tabletop DIR]

The first on CamVid train, whose frames are a second apart, made to move by a synthetic camera, and on the DAVIS masks
that the bench does not use; the second on tabletop videos, where a folder of them is given. Nothing of CamVid val is
looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from common.codec.contour import paper, tables
from common.codec.contour.coder import Tally
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.contour.payload import Payload, fresh
from common.tabletop.classes import CLASSES
from common.tabletop.files import videos
from tests.bench.structure_run import PLENTY
from tests.bench.structure_sets import CAMVID_CLASSES, DATA, Labels, MapSet, davis, read, sequences_of

DRIVES, FRAMES, MOST_VIDEOS = 12, 24, 24
OLD = 10  # age at which a context begins that was seen often
SEEN_OFTEN = 20
LEAST, ONE = 600, 65536


def drive(still: Labels, rng: np.random.Generator) -> list[Labels]:
    """A still label map as a camera would see it that drives on, turns and shakes."""
    height, width = still.shape
    x, y = rng.uniform(0.3, 0.7) * width, rng.uniform(0.4, 0.6) * height
    zoom, turn = rng.uniform(0.001, 0.01), (rng.normal(0, 1.2), rng.normal(0, 0.3))
    shake, out = np.zeros(2), []
    for frame in range(FRAMES):
        at = frame - FRAMES / 2
        shake = 0.6 * shake + rng.normal(0, (0.15, 0.25))
        scale = 1 + zoom * at
        moves = [x - scale * x + turn[0] * at + shake[0], y - scale * y + turn[1] * at + shake[1]]
        matrix = np.array(((scale, 0, moves[0]), (0, scale, moves[1])), np.float32)
        warped = cv2.warpAffine(
            still, matrix, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        out.append(np.asarray(warped, np.uint8))
    return out


def train(sets: list[MapSet]) -> Tally:
    """Counts of every context over what both modes send."""
    tally = fresh()
    for maps in sets:
        for sequence in maps.sequences:
            for period in (2, 4) if maps.name != "tabletop" else (4, 16):
                height, width = sequence.maps[0].shape
                encoder = ContourEncoder(
                    ContourSettings(maps.classes, maps.void, period=period, refresh=16), width, height
                )
                settings = paper.PaperSettings(period=period, classes=maps.classes + 1, void=maps.void)
                for start in range(0, len(sequence.maps), period):
                    part = sequence.maps[start : start + period]
                    payloads = encoder.encode(part, start, PLENTY).payloads
                    for payload in (*payloads, *paper.encode(part, settings)):
                        Payload.parse(payload).tally(tally)
    return tally


def written(tallies: list[Tally]) -> str:
    """The JSON that tables.py reads."""
    return "[" + ",\n".join(map(_written, tallies)) + "]\n"


def _written(tally: Tally) -> str:
    zeros, ages = [], []
    for zero, one in tally.seen:
        share = (zero + 0.4) / (zero + one + 0.8)
        zeros.append(min(max(round(ONE * share), LEAST), ONE - LEAST))
        ages.append(OLD if zero + one >= SEEN_OFTEN else 0)
    rows = [
        ",\n".join(", ".join(map(str, part[i : i + 16])) for i in range(0, len(part), 16))
        for part in (zeros, ages)
    ]
    return '{\n"zeros": [' + rows[0] + '],\n"ages": [' + rows[1] + "]\n}"


def main() -> None:
    """Writes common/codec/contour/tables.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder that has camvid and davis-masks")
    parser.add_argument("--tabletop", type=Path, help="folder that python -m common.training.tabletop wrote")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    stills = read(options.data / "camvid" / "trainannot", None)
    chosen = [stills[index] for index in rng.choice(len(stills), DRIVES, replace=False)]
    drives = sequences_of({str(number): drive(still, rng) for number, still in enumerate(chosen)})
    scenes = train(
        [MapSet("drives", drives, CAMVID_CLASSES, CAMVID_CLASSES, 15.0), davis(options.data, 48, 0)]
    )
    objects = scenes
    if options.tabletop:
        shown = {one.folder.name: list(one.classes()) for one in videos(options.tabletop)[:MOST_VIDEOS]}
        objects = train([MapSet("tabletop", sequences_of(shown), len(CLASSES), None, 10.0)])
    Path(tables.__file__).with_suffix(".json").write_text(written([scenes, objects]))


if __name__ == "__main__":
    main()
