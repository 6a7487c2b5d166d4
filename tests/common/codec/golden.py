"""The golden bitstream: payloads of the shipped model and the hash of what they decode to.

`python -m tests.common.codec.golden` writes it anew; needed only when new weights are shipped, under a new model id."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from common.codec.encoder import ResilientEncoder
from common.codec.parse import parse_unit
from common.codec.weights import ModelFiles, load_model
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, budget, still_pictures, unit_pictures

FILE = Path(__file__).with_name("golden.json")
# Wire rate, whether the scene moves, and whether all units before are reported to have arrived.
UNITS = (
    (15, True, False),
    (60, True, False),
    (250, True, True),
    (60, False, True),
    (60, False, True),
    (60, False, True),
)


def element_hash(model: ModelFiles, unit: int, payloads: list[bytes]) -> str:
    """sha256 of base, levels and elements (int32, little endian) of a unit, first with all of its segments, then with
    the even ones alone."""
    digest = hashlib.sha256()
    for keep in (1, 2):
        segments = tuple(p if i % keep == 0 else None for i, p in enumerate(payloads))
        parsed = parse_unit(model, Received(unit, segments))
        assert parsed is not None
        assert parsed.base is not None
        for part in (parsed.base, parsed.levels, parsed.elements):
            digest.update(np.ascontiguousarray(part, "<i4").tobytes())
    return digest.hexdigest()


def main() -> None:
    """Write the file."""
    model = load_model("resilient")
    encoder = ResilientEncoder(model, WIDTH, HEIGHT, FPS)
    rows: list[dict[str, object]] = []
    counts: list[int] = []
    for unit, (kbps, moves, reported) in enumerate(UNITS):
        if reported:
            for before, count in enumerate(counts):  # a second report of a unit is ignored
                encoder.report(before, [True] * count)
        pictures = unit_pictures(unit) if moves else still_pictures()
        payloads = encoder.encode(pictures, unit, budget(kbps)).payloads
        counts.append(len(payloads))
        rows.append(
            {
                "unit": unit,
                "payloads": [p.hex() for p in payloads],
                "sha256": element_hash(model, unit, payloads),
            }
        )
    FILE.write_text(json.dumps({"model_id": model.model_id, "units": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
