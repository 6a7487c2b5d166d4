"""The golden bitstream: payloads of the shipped model and the hash of the elements that they decode to.

`python -m tests.common.codec.golden` writes it anew; needed only when new weights are shipped, under a new model id."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from common.codec.parse import parse_unit
from common.codec.registry import create_encoder
from common.codec.weights import ModelFiles, load_model
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, budget, unit_pictures

FILE = Path(__file__).with_name("golden.json")


def element_hash(model: ModelFiles, unit: int, payloads: list[bytes]) -> str:
    """sha256 of the elements (int32, little endian) of a unit whose even segments arrived, and of all segments."""
    digest = hashlib.sha256()
    for keep in (1, 2):
        segments = tuple(p if i % keep == 0 else None for i, p in enumerate(payloads))
        parsed = parse_unit(model, Received(unit, segments))
        assert parsed is not None
        digest.update(parsed.elements.astype("<i4").tobytes())
        digest.update(np.packbits(parsed.mask).tobytes())
    return digest.hexdigest()


def main() -> None:
    """Write the file."""
    model, encoder = load_model("resilient"), create_encoder("resilient", WIDTH, HEIGHT, FPS)
    rows = []
    for unit, kbps in enumerate((15, 60, 250)):
        payloads = encoder.encode(unit_pictures(unit), unit, budget(kbps)).payloads
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
