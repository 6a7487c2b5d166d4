"""The same bytes decode to the same elements on every backend and thread count, and to the committed hashes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.entropy import Elements
from common.codec.header import CodecHeader
from common.codec.parse import ParsedUnit, parse_unit
from common.codec.payload import PacketContent, pack, unpack
from common.codec.weights import load_model
from common.runtime.base import BACKENDS
from proto.interleaver import segment_size
from tests.common.codec import golden, integer_coder
from tests.common.codec.conversation import Conversation
from tests.common.codec.scene import (
    FPS,
    HEIGHT,
    WIDTH,
    Received,
    budget,
    receive,
    still_pictures,
    unit_pictures,
)

MODEL = load_model("resilient")
COUNTS = MODEL.tables.counts.tolist()
BASE_COUNTS = MODEL.base_tables.counts.tolist()
SMALL = CodecHeader(MODEL.model_id, 48, 32, 15.0, 17, 2)


def in_integers(payload: bytes, positions: int) -> integer_coder.Packet:
    return integer_coder.decode(payload, positions, BASE_COUNTS, COUNTS)


def assert_same(plain: integer_coder.Packet, said: PacketContent) -> None:
    assert plain.base == said.base.tolist()
    assert plain.levels == said.levels.tolist()
    assert plain.elements == said.elements.tolist()


def test_golden_bitstream_decodes_to_the_committed_hashes() -> None:
    stored = json.loads(golden.FILE.read_text())
    assert stored["model_id"] == MODEL.model_id
    for row in stored["units"]:
        payloads = [bytes.fromhex(p) for p in row["payloads"]]
        assert golden.element_hash(MODEL, row["unit"], payloads) == row["sha256"]


def test_golden_bitstream_in_plain_integers() -> None:
    """The units refer back, leave positions out, and are read the same by a decoder that knows only the spec."""
    stored = json.loads(golden.FILE.read_text())
    references, left_out = set(), 0
    for row in stored["units"]:
        payloads = [bytes.fromhex(p) for p in row["payloads"]]
        positions = CodecHeader.parse(payloads[0]).positions
        for index, payload in list(enumerate(payloads))[:2]:
            count = segment_size(positions, len(payloads), index)
            plain = in_integers(payload, count)
            assert_same(plain, unpack(MODEL, payload, count))
            assert (plain.model, plain.width, plain.height) == (MODEL.model_id, WIDTH, HEIGHT)
            assert plain.quarter_fps == 4 * FPS
            references.add(plain.reference)
            left_out += plain.levels.count(0)
    assert {0, 1} <= references
    assert left_out > 0


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


@pytest.mark.parametrize("quality", [0, 13, 31])
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_plain_integers_decode_the_same(quality: int, spread: float) -> None:
    """Nothing but integers decides how bits are parsed: a decoder that knows no other numbers reads the same."""
    rng = np.random.default_rng(quality)
    header = CodecHeader(MODEL.model_id, 80, 48, 15.0, quality, quality % 8, reference=quality % 7)
    base = np.rint(rng.laplace(0, spread, (MODEL.base, header.positions // 4))).astype(np.int32)
    levels = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3], np.int32)
    elements = np.rint(rng.laplace(0, spread, (MODEL.latent, len(levels)))).astype(np.int32) * (levels != 0)
    elements[5, 3], elements[190, 1], base[20, 2] = 400, -17, -4000  # escapes
    payload = pack(MODEL, header, PacketContent(base, levels, elements))
    plain = in_integers(payload, len(levels))
    assert_same(plain, PacketContent(base, levels, elements))
    assert (plain.quality, plain.stillness, plain.reference) == (quality, quality % 8, quality % 7)


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=4, max_size=120), st.integers(1, 5))
def test_garbage_is_the_same_garbage_in_plain_integers(data: bytes, positions: int) -> None:
    """Bytes that no encoder wrote are refused by both decoders or read the same by both."""
    payload = bytes(SMALL) + data
    try:
        said = unpack(MODEL, payload, positions)
    except CodecError:
        with pytest.raises(integer_coder.Refused):
            in_integers(payload, positions)
        return
    assert_same(in_integers(payload, positions), said)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_what_any_backend_encodes_every_backend_decodes(backend: str, threads: int) -> None:
    """Elements written by an encoder on one backend are read back bit for bit, whatever runs the decoder's
    networks, and the pictures of all backends agree to a few levels."""
    encoder = ResilientEncoder(MODEL, WIDTH, HEIGHT, FPS, backend, threads)
    written: list[ParsedUnit] = []
    payloads = encoder._payloads

    def noted(unit: ParsedUnit, base: Elements, number: int, count: int) -> list[bytes]:
        written.append(unit)
        return payloads(unit, base, number, count)

    encoder._payloads = noted  # type: ignore[method-assign]
    mine = ResilientDecoder(MODEL, backend, threads)
    reference = ResilientDecoder(MODEL, "onnxruntime", 1)
    for unit in range(3):
        received = receive(encoder.encode(unit_pictures(unit), unit, budget()), unit)
        parsed = parse_unit(MODEL, received)
        assert parsed is not None
        for part in ("base", "levels", "elements"):
            assert np.array_equal(getattr(parsed, part), getattr(written[-1], part))
        partial = Received(unit, (None, *received.segments[1:]))
        pairs = zip(mine.decode(partial).pictures, reference.decode(partial).pictures, strict=True)
        assert max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs) <= 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_backend_follows_references(backend: str) -> None:
    """The sender knows the receiver's state from a backend of its own; pictures agree all the same."""
    talk, other = Conversation(late=1, loss=0.1), ResilientDecoder(MODEL, backend)
    for unit in range(24):
        said = talk.say(unit_pictures(unit) if unit < 12 else still_pictures())
        if not any(said.arrived):
            other.decode(None)
            continue
        theirs = other.decode(receive(said.encoded, unit, list(said.arrived)))
        assert said.decoded is not None
        pairs = zip(said.decoded.pictures, theirs.pictures, strict=True)
        assert max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs) <= 4
    assert said.header.reference == 2
