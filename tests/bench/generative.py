"""Table II of the paper with what can be had: python -m tests.bench.generative [DIR]

The generative decoder beside HEVC (x265), SVT-AV1 and the enlarged texture at equal wire rate, all headers of media
packets counted, nothing lost. Each clip is coded as a whole stream (--seconds, played to and fro), and its last frames
(--frames) are measured, the same for everybody and at the same size. Sets, at a short side of --size:

    camvid    CamVid val, a street at 15 frames/s; maps from the street segmenter (never the labels)
    tabletop  the rendered clips of the project at 10 frames/s; exact maps with instances
    clips     public clips at 15 frames/s; maps from the matte network

Contours and textures go through the daemons' own stage, share and codecs. HEVC and SVT-AV1 code the clip at once with
no limit on delay, at several sizes and frame rates: the best setting by HaarPSI and the best by PSNR are shown; and
`live`, with the delay that ours has from capture to display (tests/bench/generative_peers.py). `lambda_C = 0` and
`lambda_R = 0` leave out what they name: at `half` of the rate the rest is as it is sent with both, at `full` it has all
the rate. `autoencoder alone` codes the source: what the weights' latents can hold at most; `source` has the warping
error that the flow's own faults make.

Rows are saved as they are found: rows of DIR that are not made again stay. --training runs on clips that the weights
were trained on: choose settings by those, never by the others.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import torch

from common.models.diffusion.config import ConfigError
from common.models.diffusion.loading import LoadingError
from tests.bench.generative_decoder import Decoder, Decoding, load_decoder, named
from tests.bench.generative_report import Strips, load, merged, write
from tests.bench.generative_run import Bench, Found, Row, Step, Ways
from tests.bench.generative_sets import SETS, Clip, Wanted, evaluation, training

RESULTS = Path(__file__).parent / "results" / "generative"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
WEIGHTS = Path("common/models/weights/generative")
RATES = (1.0, 2.0, 7.0, 14.0)
CACHE = Path(tempfile.gettempdir()) / "semcast-bench-generative"
QUICK = Wanted(side=192, frames=2, seconds=1.5, clips=1)
DRAW_EVERY_S = 60.0


def decodings(steps: Sequence[int], options: argparse.Namespace) -> dict[str, Decoding]:
    """Ours by name; --variants change one setting at a time from the first number of steps."""
    if options.strength is not None:
        check_strength("--strength", options.strength)
    own = (options.lambda_c, options.lambda_r, options.lambda_t)
    ways = {f"ours, {named(count)}": Decoding(count, options.strength, True, True, *own) for count in steps}
    for text in options.variants:
        name, _, value = text.partition("=")
        if name not in ("strength", "lambda_c", "lambda_r", "lambda_t"):
            raise SystemExit(f"--variants: must be strength=X or lambda_c=X, _r, _t (got {text})")
        try:
            number = float(value)
        except ValueError:
            raise SystemExit(f"--variants: {value!r} is no number (in {text})") from None
        if name == "strength":
            check_strength("--variants", number)
        ways[f"ours, {text}"] = Decoding(steps[0], **{name: number})  # type: ignore[arg-type]
    return ways


def check_strength(option: str, value: float) -> None:
    """Raise SystemExit for a strength that there cannot be."""
    if not 0 < value <= 1:
        raise SystemExit(f"{option}: strength must be above 0 and at most 1 (got {value:g})")


def run(clips: Sequence[tuple[str, Callable[[], Iterator[Step]]]], take: Callable[[Found], None]) -> None:
    """All steps of all clips, a line each, with the expected end."""
    begun = time.monotonic()
    for number, (name, make) in enumerate(clips, 1):
        every = list(make())
        for place, step in enumerate(every, 1):
            for found in step():
                row = found.row
                take(found)
                print(
                    f"  {row.contestant} {row.setting}: {row.wire_kbps:.2f} kbit/s, PSNR {row.psnr:.2f}, "
                    f"HaarPSI {row.haarpsi:.3f}, mIoU {_or_none(row.miou)}, warping {row.warp:.2f}",
                    flush=True,
                )
            spent = time.monotonic() - begun
            done = (number - 1 + place / len(every)) / len(clips)
            print(
                f"[{name}, {done:.0%}, {spent:.0f} s, about {spent / done - spent:.0f} s to go]", flush=True
            )


def _or_none(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def chosen(options: argparse.Namespace) -> list[Clip]:
    """The clips that were asked for and are there."""
    wanted = QUICK if options.quick else Wanted(options.size, options.frames, options.seconds, options.clips)
    clips: list[Clip] = []
    for name in options.sets.split(","):
        if name not in SETS:
            raise SystemExit(f"--sets: must be of {', '.join(SETS)} (got {name})")
        if options.training:
            found = list(training(name, options.data, wanted, options.tables))
        else:
            found = list(evaluation(name, options.data, wanted))
        if not found:
            print(f"{name}: left out, nothing of it in {options.data} (--data)")
        clips += found
    if not clips:
        raise SystemExit("no clip to run on; --sets tabletop needs no --data")
    return clips


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.bench.generative",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("out", nargs="?", type=Path, default=RESULTS, metavar="DIR", help="folder for the results")
    add("--data", type=Path, default=DATA, help="folder that has camvid and eval")
    add(
        "--weights",
        type=Path,
        default=WEIGHTS,
        metavar="DIR",
        help="of the decoder; `toy`: it has learned nothing",
    )
    add("--device", default="cpu", help="of the decoder: cpu (default), cuda")
    add("--threads", type=int, default=2, help="of torch (default: 2)")
    add("--sets", default=",".join(SETS), help="by comma")
    add("--clips", type=int, default=2, help="of a set, at most (default: 2; camvid has one)")
    add("--size", type=int, default=256, help="short side in pixels (default: 256)")
    add("--rates", type=float, nargs="+", default=RATES, metavar="KBPS", help="default: 1 2 7 14")
    add("--frames", type=int, default=16, help="measured, of a clip (default: 16)")
    add("--seconds", type=float, default=10.0, help="coded, of a clip (default: 10)")
    add(
        "--steps",
        type=int,
        nargs="+",
        default=[1, 0],
        help="1 2 4, 0: the Refiner alone (default: 1 0)",
    )
    add("--strength", type=float, help="how far towards noise frames start (default: as the weights say)")
    for name in ("c", "r", "t"):
        add(f"--lambda-{name}", type=float, help="default: as the weights say")
    add(
        "--variants",
        nargs="+",
        default=[],
        metavar="NAME=X",
        help="ours again, with one setting changed each",
    )
    add("--no-ablations", action="store_true", help="without lambda_C = 0 and lambda_R = 0")
    add(
        "--training",
        action="store_true",
        help="training clips, to choose settings by; needs a DIR of its own",
    )
    add(
        "--tables",
        type=Path,
        default=Path("tabletop"),
        help="folder of rendered training videos, for --training",
    )
    add("--cache", type=Path, default=CACHE, help=f"where coded peers are kept (default: {CACHE})")
    add("--quick", action="store_true", help="a few frames with toy weights: does it run?")
    return made


def decoder_of(options: argparse.Namespace) -> Decoder:
    """Raises SystemExit where there is none."""
    toy = options.quick or str(options.weights) == "toy"
    try:
        return load_decoder(None if toy else options.weights, options.device)
    except (LoadingError, ConfigError, ValueError, RuntimeError, OSError) as error:
        raise SystemExit(f"--weights {options.weights}: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the bench."""
    options = parser().parse_args(arguments)
    if options.training and options.out == RESULTS:
        raise SystemExit("--training: give a DIR of its own, its rows are no results")
    cv2.setNumThreads(1)
    torch.set_num_threads(options.threads)
    rates = options.rates[-1:] if options.quick else options.rates
    ways = Ways(
        rates, decodings(options.steps, options), not options.no_ablations, options.cache, decoder_of(options)
    )
    toy = options.quick or str(options.weights) == "toy"
    weights = "toy weights, which have learned nothing" if toy else f"weights {options.weights.name}"
    settings = f"Last run: {weights}, {options.device} ({platform.machine()}), --seconds {options.seconds:g}."
    rows: list[Row] = load(options.out / "generative.json")
    strips, drawn = Strips(options.out, list(ways.decodings)), time.monotonic()

    def take(found: Found) -> None:
        nonlocal rows, drawn
        rows = merged(rows, [found.row])
        strips.add(found)
        write(rows, options.out, settings)
        if time.monotonic() > drawn + DRAW_EVERY_S:
            strips.draw()
            drawn = time.monotonic()

    benches = [(f"{clip.set} {clip.name}", Bench(clip, ways).steps) for clip in chosen(options)]
    run(benches, take)
    for path in (*strips.draw(), options.out / "generative.md"):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
