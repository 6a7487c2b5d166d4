"""The golden bitstream: payloads of the encoder and the hash of what they decode to.

`python -m tests.common.codec.golden` writes it anew; needed only when the bitstream changes, under a new model id."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from common.codec import plan
from common.codec.base import Budget
from common.codec.encoder import ResilientEncoder
from common.codec.parse import parse_unit
from common.codec.weights import load_model
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, sized_pictures, unit_pictures

FILE = Path(__file__).with_name("golden.json")
FLAT = [1.0] * len(plan.LOSSES)
# Wire bytes of a unit, the loss that the encoder believes in (weights of plan.LOSSES), size.
UNITS = (
    (400, FLAT, (WIDTH, HEIGHT)),
    (1000, FLAT, (WIDTH, HEIGHT)),
    (2500, np.eye(len(FLAT))[0].tolist(), (WIDTH, HEIGHT)),
    (3000, np.eye(len(FLAT))[1].tolist(), (WIDTH, HEIGHT)),
    (3000, np.eye(len(FLAT))[3].tolist(), (WIDTH, HEIGHT)),
    (3000, np.eye(len(FLAT))[7].tolist(), (WIDTH, HEIGHT)),
    (8000, FLAT, (WIDTH, HEIGHT)),
    (420, FLAT, (352, 288)),
    (420, FLAT, (352, 288)),
    (900, FLAT, (48, 80)),
)


def views_hash(unit: int, payloads: list[bytes]) -> str:
    """sha256 of the samples of all views that a unit's packets show as AV1 gives them, first of all packets, then of
    every second one alone."""
    digest = hashlib.sha256()
    for keep in (1, 2):
        segments = tuple(p if i % keep == 0 else None for i, p in enumerate(payloads))
        parsed = parse_unit(Received(unit, segments))
        assert parsed is not None
        digest.update(bytes([len(parsed[1])]))
        for view in parsed[1]:
            for picture in view.coded:
                digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()


def main() -> None:
    """Write the file."""
    model = load_model("resilient")
    encoders: dict[tuple[int, int], ResilientEncoder] = {}
    rows: list[dict[str, object]] = []
    for unit, (wire, weights, size) in enumerate(UNITS):
        encoder = encoders.setdefault(size, ResilientEncoder(model.model_id, *size, FPS))
        encoder.believe(np.array(weights))
        pictures = unit_pictures(unit) if size == (WIDTH, HEIGHT) else sized_pictures(*size)
        payloads = encoder.encode(pictures, unit, Budget(wire, packet_overhead=57, max_payload=1171)).payloads
        rows.append(
            {"unit": unit, "payloads": [p.hex() for p in payloads], "sha256": views_hash(unit, payloads)}
        )
    FILE.write_text(json.dumps({"model_id": model.model_id, "units": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
