"""Rate against mean IoU of the contour codec, and mean IoU against loss: python -m tests.bench.structure [DIR]

Writes structure.json, a table (structure.md) and plots into DIR (tests/bench/results/structure). Rates are payload
bits, as the paper counts (section V-B), and wire bits, with 57 bytes for each packet; mean IoU is over the pixels of a
whole set, void left out. Times are of the processor, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from common.codec.base import Budget
from common.codec.contour import paper
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.contour.worth import counts, mean_iou
from tests.bench import structure_peers as peers
from tests.bench.structure_sets import DATA, Labels, MapSet, camvid, davis, folder

OVERHEAD, LARGEST = 57, 1171  # bytes of a packet beyond its payload, and of the largest payload
PLENTY = Budget(1e9, OVERHEAD, LARGEST)
TOLERANCES = (4, 6, 10, 16, 24)
SYMBOLS = (32, 64, 128, 256)
PERIODS = (1, 2, 4, 8)
FLOORS = (0.75, 0.8, 0.85, 0.9)
LOSSES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
LOSS_PERIODS = (4, 2)  # maps in a packet's unit: fewer cost more headers, and less when one is lost
SPARE = 1.5  # rate under loss over that without
BURST = 4  # units of rate that an unusual one may spend
RESULTS = Path(__file__).parent / "results" / "structure"


@dataclass(slots=True)
class Row:
    """One setting on one set."""

    set: str
    method: str
    parameters: dict[str, float]
    bpp: float  # payload bits a pixel
    wire_bpp: float | None  # with headers
    kbps: float  # payload, at the set's frame rate
    miou: float
    encode_ms: float | None = None  # a frame
    decode_ms: float | None = None
    largest_ms: float | None = None  # of one unit's encoding


class Run:
    """Counts of one setting over a set."""

    def __init__(self, maps: MapSet) -> None:
        self._set = maps
        self._counts = np.zeros((maps.classes, maps.classes), np.int64)
        self.bytes = self.packets = 0
        self.encode, self.decode, self.worst = 0.0, 0.0, 0.0

    def timed(self, work: Callable[[], list[bytes]]) -> list[bytes]:
        """Payloads of a unit, with their size and time counted."""
        begun = time.process_time()
        payloads = work()
        spent = time.process_time() - begun
        self.encode, self.worst = self.encode + spent, max(self.worst, spent)
        self.bytes += sum(map(len, payloads))
        self.packets += len(payloads)
        return payloads

    def shown(
        self, decoder: ContourDecoder, payloads: list[bytes | None] | None, truth: list[Labels]
    ) -> None:
        """Decodes a unit and compares it; nothing known yet counts as class 0 everywhere."""
        begun = time.process_time()
        decoded = decoder.decode(payloads)
        self.decode += time.process_time() - begun
        blank = np.zeros_like(truth[0])
        found = decoded.maps if decoded else []
        self.compare(truth, [*found, *[found[-1] if found else blank] * len(truth)][: len(truth)])

    def compare(self, truth: list[Labels], shown: list[Labels]) -> None:
        """Adds frames to the mean IoU."""
        classes = self._set.classes
        for true, labels in zip(truth, shown, strict=True):
            known = np.where(true == self._set.void, classes, true) if self._set.void is not None else true
            self._counts += counts(known.astype(np.uint8), np.minimum(labels, classes - 1), classes)

    @property
    def miou(self) -> float:
        """So far."""
        return mean_iou(self._counts)

    def row(self, method: str, **parameters: float) -> Row:
        """The result."""
        frames, pixels = self._set.frames, self._set.pixels
        wire = 8 * (self.bytes + OVERHEAD * self.packets) / pixels if self.packets else None
        rate = 8e-3 * self.bytes / frames * self._set.fps
        encode, decode = (1000 * spent / frames if spent else None for spent in (self.encode, self.decode))
        bpp = 8 * self.bytes / pixels
        found = Row(self._set.name, method, parameters, bpp, wire, rate, self.miou, encode, decode)
        found.largest_ms = 1000 * self.worst or None
        return found


def units(maps: MapSet, period: int) -> Iterator[tuple[bool, list[Labels]]]:
    """Units of all sequences, each with whether it begins one."""
    for sequence in maps.sequences:
        for start in range(0, len(sequence.maps), period):
            yield start == 0, sequence.maps[start : start + period]


def paper_row(maps: MapSet, symbols: int, period: int, tolerance: float) -> Row:
    """The paper's method."""
    run, classes = Run(maps), maps.classes + (maps.void is not None and maps.void == maps.classes)
    settings = paper.PaperSettings(symbols, period, tolerance, classes, maps.void)
    for _, truth in units(maps, period):
        payloads = run.timed(lambda truth=truth: paper.encode(truth, settings, LARGEST))  # type: ignore[misc]
        run.shown(ContourDecoder(), list(payloads), truth)
    return run.row("paper", Q=symbols, P=period, xi=tolerance)


def adaptive_row(maps: MapSet, floor: float, period: int = 4, **settings: bool | int) -> Row:
    """Ours, every packet arriving."""
    run = Run(maps)
    wanted = ContourSettings(maps.classes, maps.void, floor, period, **settings)  # type: ignore[arg-type]
    for number, (first, truth) in enumerate(units(maps, period)):
        if first:
            height, width = truth[0].shape
            encoder, decoder = ContourEncoder(wanted, width, height), ContourDecoder()
        payloads = run.timed(lambda e=encoder, t=truth, n=number: e.encode(t, n, PLENTY).payloads)  # type: ignore[misc]
        run.shown(decoder, list(payloads), truth)
    return run.row("adaptive", floor=floor, P=period)


def loss_row(maps: MapSet, loss: float, wire_bytes: float, floor: float, seed: int, period: int = 4) -> Row:
    """Ours at a wire rate (bytes a unit), packets lost independently, nothing coming back; keys go twice."""
    run, rng = Run(maps), np.random.default_rng(seed)
    wanted = ContourSettings(maps.classes, maps.void, floor, period, repeat=True)
    for number, (first, truth) in enumerate(units(maps, period)):
        if first:
            height, width = truth[0].shape
            encoder, decoder, saved = (
                ContourEncoder(wanted, width, height),
                ContourDecoder(),
                BURST * wire_bytes,
            )
        budget = Budget(saved, OVERHEAD, LARGEST)
        payloads = run.timed(lambda e=encoder, t=truth, n=number, b=budget: e.encode(t, n, b).payloads)  # type: ignore[misc]
        saved = min(saved - sum(len(one) + OVERHEAD for one in payloads) + wire_bytes, BURST * wire_bytes)
        arrived = [one if rng.random() >= loss else None for one in payloads]
        run.shown(decoder, arrived if any(arrived) else None, truth)
    return run.row("adaptive under loss", loss=loss, floor=floor, P=period, seed=seed)


def peer_rows(maps: MapSet) -> Iterator[Row]:
    """Lossless pictures, and videos of the colour map."""
    for name in ("png", "webp", "jxl"):
        run = Run(maps)
        for sequence in maps.sequences:
            size = peers.lossless(name, sequence.maps)
            if size is None:
                break
            run.bytes += size
            run.compare(sequence.maps, sequence.maps)
        else:
            yield run.row(f"{name} lossless")
    for name, qualities in peers.QUALITIES.items():
        for quality in qualities:
            run = Run(maps)
            for sequence in maps.sequences:
                size, shown = peers.lossy(name, sequence.maps, maps.classes, maps.fps, quality)
                run.bytes += size
                run.compare(sequence.maps, shown)
            yield run.row(name, crf=quality)


def rows(maps: MapSet, seeds: int) -> Iterator[Row]:
    """All of one set: figure 6, the peers, and loss."""
    for tolerance in TOLERANCES:
        yield from (paper_row(maps, symbols, 4, tolerance) for symbols in SYMBOLS)
        yield from (paper_row(maps, 256, period, tolerance) for period in PERIODS if period != 4)
    kept = [adaptive_row(maps, floor) for floor in FLOORS]
    yield from kept
    yield from peer_rows(maps)
    yield from loss_rows(maps, kept[FLOORS.index(0.85)], seeds)


def loss_rows(maps: MapSet, base: Row, seeds: int) -> Iterator[Row]:
    """Ours under loss at more than the wire rate of a row of ours."""
    for period in LOSS_PERIODS:
        unit = SPARE * (base.wire_bpp or 0) * maps.pixels / maps.frames / 8 * period
        yield from (
            loss_row(maps, loss, unit, 0.85, seed, period) for loss in LOSSES for seed in range(seeds)
        )


def table(found: list[Row]) -> str:
    """Markdown of all rows but the seeds of one loss, which are joined."""
    lines = ["| set | method | | bpp | wire bpp | kbit/s | mIoU | encode ms | decode ms |", "|" + "---|" * 9]
    merged: dict[tuple[str, str, str], list[Row]] = {}
    for row in found:
        shown = " ".join(f"{name}={value:g}" for name, value in row.parameters.items() if name != "seed")
        merged.setdefault((row.set, row.method, shown), []).append(row)
    for (name, method, shown), group in merged.items():
        mean = [
            None if any(v is None for v in values) else float(np.mean([v for v in values if v is not None]))
            for values in (
                [getattr(row, field) for row in group]
                for field in ("bpp", "wire_bpp", "kbps", "miou", "encode_ms", "decode_ms")
            )
        ]
        forms = ("{:.5f}", "{:.5f}", "{:.2f}", "{:.3f}", "{:.1f}", "{:.1f}")
        cells = ["" if value is None else form.format(value) for form, value in zip(forms, mean, strict=True)]
        lines.append("| " + " | ".join((name, method, shown, *cells)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs the bench on every set that is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", nargs="?", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--data", type=Path, default=DATA, help="folder that has camvid and davis-masks")
    parser.add_argument(
        "--maps", action="append", default=[], type=Path, help="a further set: a folder of index PNGs"
    )
    parser.add_argument("--sets", default="camvid,davis", help="of the data folder, by comma; empty for none")
    parser.add_argument("--frames", type=int, help="at most so many of each sequence")
    parser.add_argument("--seeds", type=int, default=3, help="of each loss")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    makers = {"camvid": camvid, "davis": davis}
    sets = [makers[name](options.data, options.frames) for name in options.sets.split(",") if name]
    sets += [folder(path, options.frames) for path in options.maps]
    found = []
    for maps in sets:
        for row in rows(maps, options.seeds):
            found.append(row)
            print(
                row.set, row.method, row.parameters, f"{row.bpp:.5f} bpp", f"mIoU {row.miou:.3f}", flush=True
            )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "structure.json").write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")
    (options.out / "structure.md").write_text(table(found))
    from tests.bench.structure_plots import draw

    for path in draw(found, options.out):
        print(path)


if __name__ == "__main__":
    main()
