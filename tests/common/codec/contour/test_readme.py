"""common/codec/contour/README.md is the spec: its example and its table of contexts are compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

from common.codec.contour import payload, raster, scene, syntax
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.payload import Payload
from common.codec.contour.syntax import CONTEXTS, ELLIPSE, End, Geometry, Key, Move, Records

SPEC = (Path(syntax.__file__).parent / "README.md").read_text(encoding="utf-8")
SQUARE = Key(0, 0, 1, 1, ((10, 8), (30, 8), (30, 28), (10, 28)), motion=(4, 0))
ROUND = Key(2, 0, 2, 0, ((100, 40), (20, 12)), form=ELLIPSE, slant=2)
BEGINS = Payload(4, Records(Geometry(160, 96, 2, 0), ((SQUARE, ROUND),)))
MOVES = Payload(
    4, Records(None, ((Move(0, 0, (6, -2), 3, bend=(1, 0), shifts=((2, 1, 0),), turn=-4), End(2, 0)),))
)


def test_the_examples() -> None:
    blocks = re.findall(r"```hex\n(.*?)```", SPEC, re.DOTALL)
    told = [
        bytes.fromhex("".join(line.partition("#")[0] for line in block.splitlines()).replace(" ", ""))
        for block in blocks
    ]
    assert told == [bytes(BEGINS), bytes(MOVES)]
    assert [Payload.parse(data) for data in told] == [BEGINS, MOVES]
    decoder = ContourDecoder()
    first, second = (decoder.decode([data]) for data in told)
    assert first is not None and second is not None
    assert first.maps[-1][36, 40] == 1 and first.maps[-1][40, 100] == 2 and first.maps[0][0, 0] == 0
    assert second.maps[0][40, 100] == 2 and second.maps[-1][40, 100] == 0  # ends: still in the first half
    assert first.maps[-1][30, 62] == 0 and second.maps[-1][30, 65] == 1


def test_the_contexts() -> None:
    rows = [line for line in SPEC.splitlines() if re.match(r"\| \w+( \w+)? \| \d+ \|", line)]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    told = [(row[2 * column], row[2 * column + 1]) for column in range(3) for row in cells if row[2 * column]]
    assert [(name, int(size)) for name, size in told] == list(syntax._GROUPS.items())
    assert sum(int(size) for _, size in told) == CONTEXTS


def test_the_limits() -> None:
    for text in (
        f"beyond {syntax.MAX_SIDE}; more than 1920 x {syntax.MAX_PIXELS // 1920} pixels",
        f"more than {syntax.MAX_TRACKS}; more than {syntax.MAX_TRACKS - 1}",
        f"lesser of {syntax.MAX_SIDE} and {syntax.FAR} / grid",
        f"beyond {syntax.MAX_MOTION}; {syntax.MAX_ZOOM}; {syntax.TURNS // 2}, either way",
        f"more than {syntax.MAX_VERTICES}; beyond {syntax.MAX_VERTICES - 1}",
        f"more than 2^{payload.FREE_BITS.bit_length() - 1} + {payload.BITS_A_BYTE} for each byte",
        f"2^{raster.FREE_WORK.bit_length() - 1} + floor(width height / {raster.PIXELS_A_WORK})",
        f"at {scene.FORGOTTEN} it is forgotten",
    ):
        assert text in SPEC, text
