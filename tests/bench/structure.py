"""Rate against mean IoU of the contour codec, and mean IoU against loss: python -m tests.bench.structure [DIR]

Sets: CamVid val, every second DAVIS sequence (both from ../shared/data, left out where that is not) and the tabletop
clips that come with the project. Rates are payload bits, as the paper counts (section V-B), and wire bits with all
headers. Mean IoU is over the pixels of a whole set, void left out. Times are of one thread's processor time.

Under loss the contours go as the daemons send them, through proto.protected and proto.recover, at one and a half times
the wire rate that mean IoU .85 costs unprotected: common.codec.contour.protect_rule says how it is spent, and the floor
is the highest that keeps the rate over the set, parity and what goes again included. Sequences are played to and fro
until they last 12 s, as many of a set as come to 700 maps: a start, with all its keys, costs more than what follows.
Of the loss is known:

    believed  one-way; the sender believes in 30 % of loss, whatever it is
    told      one-way; the operator has said how much is lost
    reports   as told, and lost keys go again a round trip of 100 ms after the loss is known

Writes structure.json, structure.md and a plot of each set into DIR (tests/bench/results/structure); what is there of
sets and methods that were not run stays.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2

from tests.bench import structure_figure6 as figure6
from tests.bench import structure_loss as loss
from tests.bench import structure_peers as peers
from tests.bench import structure_wire as wire
from tests.bench.structure_plots import draw
from tests.bench.structure_report import write
from tests.bench.structure_run import Encodings, Mode, Row
from tests.bench.structure_sets import DATA, MapSet, camvid, davis, folder, lasting, tabletop

RESULTS = Path(__file__).parent / "results" / "structure"
QUICK_FRAMES = 8
PARTS = ("figure6", "peers", "packets", "loss")
SAVE_EVERY_S = 30.0
LOSS_SECONDS, LOSS_MAPS = 12.0, 700  # of each sequence under loss; of all of a set

Step = Callable[[], Row]


def adaptive_row(maps: MapSet, floor: float, period: int = 4) -> Row:
    """Ours, every packet arriving."""
    return Encodings(maps).get(Mode(floor, period)).row


def steps(maps: MapSet, seeds: int, quick: bool = False, parts: Sequence[str] = PARTS) -> Iterator[Step]:
    """All of one set, a row a step: figure 6, the peers, packets, and loss."""
    made = Encodings(maps)
    floors = figure6.FLOORS[1:3] if quick else figure6.FLOORS
    yield from (partial(_floor, made, floor) for floor in floors)
    if "figure6" in parts:
        for sweep in list(figure6.sweeps(maps))[:: 11 if quick else 1]:
            yield partial(figure6.paper_row, maps, *sweep)
    if "peers" in parts:
        yield from (partial(figure6.lossless_row, maps, name) for name in ("png", "webp", "jxl"))
        for name, qualities in peers.QUALITIES.items():
            yield from (
                partial(figure6.video_row, maps, name, one) for one in qualities[-1 if quick else 0 :]
            )
    if "packets" in parts:
        periods, rates = (wire.PERIODS[1:2], wire.RATES[:1]) if quick else (wire.PERIODS, wire.RATES)
        yield from (partial(wire.packet_row, made, period) for period in periods)
        yield from (partial(wire.rate_row, made, rate, period) for rate in rates for period in periods)
    if "loss" in parts:
        long = Encodings(maps if quick else lasting(maps, LOSS_SECONDS, LOSS_MAPS))
        yield partial(loss.base_row, long)
        for trial in loss.trials(seeds, quick):
            yield partial(loss.loss_row, long, trial)


def _floor(made: Encodings, floor: float) -> Row:
    return made.get(Mode(floor)).row


def run(every: Sequence[Step], save: Callable[[list[Row]], object]) -> list[Row]:
    """Makes all rows, with a line for each; saves what there is now and then."""
    begun = saved = time.monotonic()
    found: list[Row] = []
    for number, step in enumerate(every, 1):
        row = step()
        found.append(row)
        spent = time.monotonic() - begun
        if begun + spent > saved + SAVE_EVERY_S:
            save(found)
            saved = begun + spent
        left = spent * (len(every) - number) / number
        shown = " ".join(f"{name}={value:g}" for name, value in row.parameters.items())
        print(
            f"[{number}/{len(every)}, {spent:.0f} s, about {left:.0f} s to go] {row.set} {row.method} {shown}: "
            f"{row.bpp:.6f} bpp, mIoU {row.miou:.3f}",
            flush=True,
        )
    return found


def chosen(options: argparse.Namespace) -> list[MapSet]:
    """The sets that were asked for and are there."""
    frames = QUICK_FRAMES if options.quick and not options.frames else options.frames
    sets = []
    for name in filter(None, options.sets.split(",")):
        if name == "tabletop":
            sets.append(tabletop(frames))
        elif name in ("camvid", "davis"):
            if not options.data.is_dir():
                print(f"{name}: left out, {options.data} is not there (--data)")
                continue
            sets.append((camvid if name == "camvid" else davis)(options.data, frames))
        else:
            raise SystemExit(f"--sets: must be of camvid, davis, tabletop (got {name})")
    sets += [folder(path, frames) for path in options.maps]
    if not sets:
        raise SystemExit("no set to run on; give --sets tabletop, or a folder with --maps")
    return [_few(maps) if options.quick else maps for maps in sets]


def _few(maps: MapSet) -> MapSet:
    return MapSet(maps.name, maps.sequences[:1], maps.classes, maps.void, maps.fps)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the bench."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.structure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", nargs="?", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--data", type=Path, default=DATA, help="folder that has camvid and davis-masks")
    parser.add_argument(
        "--maps", action="append", default=[], type=Path, help="a further set: a folder of index PNGs"
    )
    parser.add_argument("--sets", default="camvid,davis,tabletop", help="by comma; empty for none")
    parser.add_argument("--parts", default=",".join(PARTS), help="of the bench, by comma (default: all)")
    parser.add_argument("--frames", type=int, help="at most so many of each sequence")
    parser.add_argument(
        "--seeds", type=int, default=8, help="runs of each point of loss, reports fewer (default: 8)"
    )
    parser.add_argument("--quick", action="store_true", help="a few rows of a few maps: does it run?")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    begun = time.monotonic()
    parts = options.parts.split(",")
    if wrong := set(parts) - set(PARTS):
        raise SystemExit(f"--parts: must be of {', '.join(PARTS)} (got {', '.join(sorted(wrong))})")
    seeds = 1 if options.quick else options.seeds
    every = [step for maps in chosen(options) for step in steps(maps, seeds, options.quick, parts)]
    found = run(every, partial(write, out=options.out))
    for path in draw(write(found, options.out), options.out):
        print(path)
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
