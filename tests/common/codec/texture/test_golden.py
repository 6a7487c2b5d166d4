"""The same bytes give the same levels on every machine, and samples that differ by rounding at most; those of groups,
the last two units, of which one refers to the other, are the same: golden.json.

`python -m tests.common.codec.texture.test_golden` writes the file anew, when the format is meant to change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from common.codec.base import Budget
from common.codec.texture.decoder import Coded, TextureDecoder, read
from common.codec.texture.encoder import TextureEncoder
from common.codec.texture.header import TextureHeader
from tests.common.codec.scene import Received, picture

GOLDEN = Path(__file__).with_name("golden.json")
SIDE, FRAMES, SCALE, UNITS = 128, 4, 4, 3
LARGE = 256  # side of the pictures of groups


def digest(payload: bytes, decoder: TextureDecoder) -> str:
    """Of what was read: levels, or the samples of a group."""
    levels = read(payload)[2]
    if isinstance(levels, Coded):
        return hashlib.sha256(decoder.small[-1].tobytes()).hexdigest()
    return hashlib.sha256(json.dumps([levels.modes, levels.values, levels.sent]).encode()).hexdigest()


def test_golden() -> None:
    decoder = TextureDecoder()
    for number, unit in enumerate(json.loads(GOLDEN.read_text())):
        payload = bytes.fromhex(unit["payload"])
        decoder.decode(Received(number, (payload,)))
        assert digest(payload, decoder) == unit["levels"]
        last = decoder.small[-1].ravel()[::37].astype(int)
        assert np.abs(last - np.array(unit["samples"])).max() <= 1


def main() -> None:
    coder, decoder = TextureEncoder(SIDE, SIDE, 15.0, FRAMES, SCALE), TextureDecoder()
    out = []
    for number in range(UNITS):
        pictures = [picture(FRAMES * number + i, SIDE, SIDE) for i in range(FRAMES)]
        payload = coder.encode(pictures, number, Budget(220.0, 57, 400)).payloads[0]
        decoder.decode(Received(number, (payload,)))
        samples = decoder.small[-1].ravel()[::37].tolist()
        out.append({"payload": payload.hex(), "levels": digest(payload, decoder), "samples": samples})
    coder, decoder = TextureEncoder(LARGE, LARGE, 15.0, FRAMES, SCALE), TextureDecoder()
    for number in range(2):
        pictures = [
            np.roll(picture(0, LARGE, LARGE), -8 * (FRAMES * number + i), axis=1) for i in range(FRAMES)
        ]
        payload = coder.encode(pictures, number, Budget(500.0, 57, 1143)).payloads[0]
        coder.report(number, [True])
        assert TextureHeader.is_group(payload) and TextureHeader.refers(payload) == (number > 0)
        decoder.decode(Received(UNITS + number, (payload,)))
        samples = decoder.small[-1].ravel()[::37].tolist()
        out.append({"payload": payload.hex(), "levels": digest(payload, decoder), "samples": samples})
    GOLDEN.write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
