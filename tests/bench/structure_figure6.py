"""Figure 6 of the paper: rate against mean IoU of its method, of ours, and of what label maps cost elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from common.codec.contour import paper
from common.codec.contour.decoder import ContourDecoder
from tests.bench import structure_peers as peers
from tests.bench.structure_run import LARGEST, Row, Run, units
from tests.bench.structure_sets import MapSet

TOLERANCES = (4, 6, 10, 16, 24)
SYMBOLS = (32, 64, 128, 256)
PERIODS = (1, 2, 4, 8)  # 1: polygons without P-frames
FLOORS = (0.75, 0.8, 0.85, 0.9)
LOOKED_AT = 5


def paper_row(maps: MapSet, symbols: int, period: int, tolerance: float) -> Row:
    """The paper's method."""
    run, classes = Run(maps), maps.classes + (maps.void is not None and maps.void == maps.classes)
    settings = paper.PaperSettings(symbols, period, tolerance, classes, maps.void)
    for sequence in maps.sequences:
        for truth in units(sequence, period):
            payloads = run.timed(lambda truth=truth: paper.encode(truth, settings, LARGEST))  # type: ignore[misc]
            run.shown(ContourDecoder(), list(payloads), truth)
    return run.row("paper" if period > 1 else "polygons", Q=symbols, P=period, xi=tolerance)


def sweeps(maps: MapSet) -> Iterator[tuple[int, int, float]]:
    """(Q, P, xi): Q at P = 4, and P at Q = 256, over all tolerances."""
    for tolerance in TOLERANCES:
        yield from ((symbols, 4, tolerance) for symbols in SYMBOLS)
        yield from ((256, period, tolerance) for period in PERIODS if period != 4)


def lossless_row(maps: MapSet, name: str) -> Row:
    """PNG, WebP or JPEG XL, each map on its own; of every LOOKED_AT-th map."""
    run = Run(maps)
    for sequence in maps.sequences:
        chosen = sequence.maps[::LOOKED_AT]
        run.bytes += peers.lossless(name, chosen) * len(sequence.maps) // len(chosen)
        run.compare(chosen, chosen)
    return run.row(f"{name} lossless")


def video_row(maps: MapSet, name: str, quality: int) -> Row:
    """A video of the colour map, decoded to the nearest classes."""
    run = Run(maps)
    for sequence in maps.sequences:
        size, shown = peers.lossy(name, sequence.maps, maps.classes, maps.fps, quality)
        run.bytes += size
        run.compare(sequence.maps, shown)
    return run.row(name, crf=quality)
