"""The same bytes give the same samples on every machine: payloads and what they decode to, kept in golden.json.

`python -m tests.common.codec.classic.test_golden` writes the file anew, when the format is meant to change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from common.codec.classic.decoder import ClassicDecoder
from common.codec.classic.encoder import ClassicEncoder
from common.video import Picture
from tests.common.codec.scene import Received, picture
from tests.common.codec.scene import budget as scene_budget

GOLDEN = Path(__file__).parent / "golden.json"
SIDE, UNITS = 64, 2


def digest(pictures: list[Picture]) -> str:
    return hashlib.sha256(np.stack(pictures).tobytes()).hexdigest()


def test_golden() -> None:
    decoder = ClassicDecoder()
    for number, unit in enumerate(json.loads(GOLDEN.read_text())):
        payloads = tuple(None if part is None else bytes.fromhex(part) for part in unit["payloads"])
        decoded = decoder.decode(Received(number, payloads))
        assert digest(decoded.pictures) == unit["sha256"]
        assert decoded.trust.max() == 0


def main() -> None:
    coder, decoder = ClassicEncoder(SIDE, SIDE, 15.0), ClassicDecoder()
    coder.observe(([True] * 9 + [False]) * 30)
    out: list[dict[str, Any]] = []
    for number in range(UNITS):
        pictures = [picture(4 * number + i, SIDE, SIDE) for i in range(4)]
        payloads: list[bytes | None] = list(coder.encode(pictures, number, scene_budget(60)).payloads)
        payloads[0] = None  # so that the erasure code has to make up for it
        decoded = decoder.decode(Received(number, tuple(payloads)))
        parts = [None if part is None else part.hex() for part in payloads]
        out.append({"payloads": parts, "sha256": digest(decoded.pictures)})
    GOLDEN.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
