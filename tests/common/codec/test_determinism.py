"""The same bytes decode to the same elements on every backend and thread count, and to the committed hashes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from common.codec.decoder import ResilientDecoder
from common.codec.parse import parse_unit
from common.codec.registry import create_encoder
from common.codec.weights import load_model
from common.runtime.base import BACKENDS
from tests.common.codec import golden, integer_coder
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, budget, receive, unit_pictures

MODEL = load_model("resilient")


def test_golden_bitstream_decodes_to_the_committed_hashes() -> None:
    stored = json.loads(golden.FILE.read_text())
    assert stored["model_id"] == MODEL.model_id
    for row in stored["units"]:
        payloads = [bytes.fromhex(p) for p in row["payloads"]]
        assert golden.element_hash(MODEL, row["unit"], payloads) == row["sha256"]


def test_a_fresh_process_decodes_the_same() -> None:
    """Another process, other thread settings: same hashes."""
    code = (
        "import json; from tests.common.codec import golden; from common.codec.weights import load_model\n"
        "for r in json.loads(golden.FILE.read_text())['units']:\n"
        "    print(golden.element_hash(load_model('resilient'), r['unit'], [bytes.fromhex(p) for p in r['payloads']]))"
    )
    env = {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert out.stdout.split() == [row["sha256"] for row in json.loads(golden.FILE.read_text())["units"]]


@pytest.mark.parametrize("scale", [0, 3, 7])
def test_plain_integers_decode_the_same(scale: int) -> None:
    """Nothing but integers decides how bits are parsed: a decoder that knows no other numbers reads the same."""
    rng = np.random.default_rng(scale)
    elements = np.rint(rng.laplace(0, 0.3 + scale, (MODEL.latent, 9))).astype(np.int32)
    elements[5, 3], elements[90, 1] = 400, -17  # escapes
    data = MODEL.tables.encode(elements, scale)
    assert integer_coder.decode(data, 9, MODEL.tables.counts[scale].tolist()) == elements.tolist()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_what_any_backend_encodes_every_backend_decodes(backend: str, threads: int) -> None:
    """Elements written by an encoder on one backend are read back bit for bit, whatever runs the decoder's
    networks, and the pictures of all backends agree to a few levels."""
    encoder = create_encoder("resilient", WIDTH, HEIGHT, FPS, threads, backend)
    written: list[np.ndarray] = []
    quantise = encoder._quantise  # type: ignore[attr-defined]

    def noted(latent: np.ndarray, quality: int) -> np.ndarray:
        written.append(quantise(latent, quality))
        return written[-1]

    encoder._quantise = noted  # type: ignore[attr-defined]
    mine = ResilientDecoder(MODEL, backend, threads)
    reference = ResilientDecoder(MODEL, "onnxruntime", 1)
    for unit in range(3):
        written.clear()
        received = receive(encoder.encode(unit_pictures(unit), unit, budget()), unit)
        parsed = parse_unit(MODEL, received)
        assert parsed is not None
        assert any(np.array_equal(parsed.elements, elements) for elements in written)
        partial = Received(unit, (None, *received.segments[1:]))
        pairs = zip(mine.decode(partial).pictures, reference.decode(partial).pictures, strict=True)
        assert max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs) <= 4
