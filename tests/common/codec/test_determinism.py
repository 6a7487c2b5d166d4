"""The same bytes give the same views everywhere, those of the committed hashes; backends show them alike."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.header import CodecHeader
from common.codec.weights import load_model
from common.runtime.base import BACKENDS
from tests.common.codec import golden
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, budget, receive, unit_pictures

MODEL = load_model("resilient")
STORED = json.loads(golden.FILE.read_text())
UNITS = [(row["unit"], [bytes.fromhex(p) for p in row["payloads"]], row["sha256"]) for row in STORED["units"]]


def test_golden_bitstream_decodes_to_the_committed_hashes() -> None:
    assert STORED["model_id"] == MODEL.model_id
    for unit, payloads, digest in UNITS:
        assert golden.views_hash(unit, payloads) == digest


def test_golden_bitstream_has_all_kinds_of_units() -> None:
    """One packet, views, symbols with and without room for loss, all mirrors, shrunk pictures, other sizes."""
    headers = [[CodecHeader.parse(payload) for payload in payloads] for _, payloads, _ in UNITS]
    kinds = {(min(2, unit[0].needed), unit[0].needed < len(unit)) for unit in headers}
    assert kinds == {(1, False), (1, True), (2, False), (2, True)}
    assert any(len({header.needed for header in unit}) == 2 for unit in headers)  # views and a finer one
    assert {header.shrink for unit in headers for header in unit} >= {1, 2}
    assert len({header.mirror for unit in headers for header in unit}) == 4
    assert len({(unit[0].width, unit[0].height) for unit in headers}) == 3


def test_a_fresh_process_decodes_the_same() -> None:
    """Another process, other thread settings: same hashes."""
    code = (
        "from tests.common.codec import golden; import json\n"
        "for r in json.loads(golden.FILE.read_text())['units']:\n"
        "    print(golden.views_hash(r['unit'], [bytes.fromhex(p) for p in r['payloads']]))"
    )
    env = {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert out.stdout.split() == [digest for _, _, digest in UNITS]


def test_two_encoders_send_the_same() -> None:
    """Without a clock to look at, the encoder is a function of its pictures, budgets and reports."""
    encoders = [ResilientEncoder(MODEL.model_id, WIDTH, HEIGHT, FPS) for _ in range(2)]
    for unit in range(4):
        one, other = (encoder.encode(unit_pictures(unit), unit, budget(250)).payloads for encoder in encoders)
        assert one == other
        for encoder in encoders:
            encoder.report(unit, [True] * len(one))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_backend_shows_the_same_pictures(backend: str, threads: int) -> None:
    """To a few levels, over whole units, single views, lost units and what follows them: a state that came apart would
    show."""
    encoder = ResilientEncoder(MODEL.model_id, WIDTH, HEIGHT, FPS)
    mine, reference = ResilientDecoder(MODEL, backend, threads), ResilientDecoder(MODEL, "onnxruntime", 1)
    for unit in range(8):
        encoded = encoder.encode(unit_pictures(unit), unit, budget(250))
        lost: Received | None = receive(encoded, unit, [False, *[True] * (len(encoded.payloads) - 1)])
        received = (receive(encoded, unit), lost, None, lost)[unit % 4]
        pairs = zip(mine.decode(received).pictures, reference.decode(received).pictures, strict=True)
        assert max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs) <= 4
