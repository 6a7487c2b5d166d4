"""How fast the codec is beside x265 (medium) and SVT-AV1 (preset 8), and what every other step costs here.

Every profile on every backend and the peers take turns in one process, a unit each, so that the noise of the machine
meets all alike. Times are medians, a frame: on the wall clock, which is evidence on an idle machine alone, and in
parentheses of the processor, all threads together. On a busy machine compare the latter: the wall clock is unfair there
to who hands work from thread to thread, as x265 does even on one thread. The codec sends at the rate at which the peers
code, headers counted, and gets half of its packets; the peers get all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
from av.error import FFmpegError

from common.codec.registry import NEURAL
from common.runtime.base import BACKENDS
from common.values import Size, parse_size
from common.video import Picture, Resizer
from proto.crypto import Opener, Sealer
from proto.session import ReceiverEndpoint, SenderSession
from proto.streams import VIDEO
from sender.capture.synthetic import SyntheticScene
from tests.bench.contestant import unit_frames
from tests.bench.macs import Macs, MacsError, profile_macs
from tests.bench.quality import SMALLEST_SIDE, ms_ssim, psnr
from tests.bench.racers import Entry, Racer, entries, installed_backends, kbps_of, memory_mib
from tests.bench.standings import (
    WARM_UP,
    Standing,
    macs_table,
    markdown,
    race,
    standings,
    standings_table,
    targets_table,
)

Started = TypeVar("Started")

PSK = bytes(range(32))
PACKETS = 2000
SIZES = (Size(256, 256), Size(512, 288), Size(640, 480))
RUNTIMES = ("torch", "cudagraphs", "tensorrt", "onnxruntime")  # of the generative decoder
ROUNDS, QUICK_ROUNDS = 10, 5
WHAT = ("codec", "transport", "tools", "generative")


@dataclass(frozen=True, slots=True)
class Timing:
    """Median and 95th percentile of one step in ms, and what one step is."""

    name: str
    per: str
    p50: float
    p95: float


@dataclass
class Result:
    """All of a run. `notes`: what is missing, and why; `failed`: whether it should have been there."""

    source: str
    fps: float
    rounds: int
    standings: list[Standing] = field(default_factory=list)
    macs: list[Macs] = field(default_factory=list)
    steps: list[Timing] = field(default_factory=list)
    generative: list[dict[str, object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    def fail(self, note: str) -> None:
        """Notes something that should have worked."""
        self.notes.append(note)
        self.failed = True


def timed(name: str, per: str, step: Callable[[int], object], count: int) -> Timing:
    """Runs step(0), step(1), ...; the first fifth warms up."""
    seconds = []
    for number in range(count):
        begun = time.perf_counter()
        step(number)
        seconds.append(time.perf_counter() - begun)
    ordered = sorted(seconds[count // 5 :])
    return Timing(name, per, 1e3 * statistics.median(ordered), 1e3 * ordered[int(0.95 * (len(ordered) - 1))])


def codec(result: Result, size: Size, who: Sequence[Entry], clip: Path | None) -> list[Standing]:
    """The race at one size. Who cannot start is noted and left out."""
    pictures = video(clip, size, result.fps, (WARM_UP + result.rounds) * unit_frames())
    racers: dict[Entry, Racer] = {}
    memory: dict[Entry, float | None] = {}  # of all on one thread; None: cannot run
    for entry in who:
        alone = replace(entry, threads=1)
        if alone not in memory:
            _tell(f"{size}: memory of {alone}")
            memory[alone] = _attempt(result, f"{size}: {alone}", partial(memory_mib, alone, size, result.fps))
        if memory[alone] is None:
            continue
        racer = _attempt(result, f"{size}: {entry}", partial(entry.racer, size, result.fps))
        if racer:
            racers[entry] = racer
    laps = race(racers, pictures, result.rounds, lambda text: _tell(f"{size}: {text}"))
    for racer in racers.values():
        racer.close()
    return standings(size, result.fps, laps, {e: memory[replace(e, threads=1)] or 0.0 for e in racers})


def _attempt(result: Result, who: str, start: Callable[[], Started]) -> Started | None:
    """None, and a note, where a backend refuses its graph, weights are damaged, or a codec does not take the size."""
    try:
        return start()
    except (RuntimeError, ValueError) as error:
        result.fail(f"{who} cannot run: {' '.join(str(error).split())[:200]}")
        return None


def video(clip: Path | None, size: Size, fps: float, frames: int) -> list[Picture]:
    """Pictures of a clip (fewer where it is shorter), cut to the size, or of the synthetic scene. Raises ValueError."""
    if clip is None:
        scene = SyntheticScene(size.width, size.height, fps)
        return [scene.picture(index) for index in range(frames)]
    resizer = Resizer(size.width, size.height)
    try:
        with av.open(clip) as container:
            stream = container.streams.video[0]
            out = [resizer.convert(f) for f in islice(container.decode(stream), frames)]
    except (FFmpegError, IndexError) as error:
        raise ValueError(f"{clip} cannot be read as a video ({error})") from error
    if not out:
        raise ValueError(f"{clip} has no pictures")
    return out


def transport() -> list[Timing]:
    """Sealing, opening, and the whole way of a packet through both sessions."""
    sealer, opener, body = Sealer(PSK), Opener(PSK), bytes(1000)
    sealed = [b""] * PACKETS

    def seal(number: int) -> None:
        sealed[number] = sealer.seal(VIDEO.id, body)

    session, endpoint = SenderSession(PSK), ReceiverEndpoint(PSK)

    def through(number: int) -> None:
        [datagram] = session.packets(VIDEO.id, number, number * 0.1, [body])
        endpoint.receive(datagram, number * 0.1)

    return [
        timed("seal", "packet", seal, PACKETS),
        timed("open", "packet", lambda number: opener.open(sealed[number]), PACKETS),
        timed("seal, open, reassemble", "packet", through, PACKETS),
    ]


def tools(size: Size, fps: float) -> list[Timing]:
    """The project's own source and measures."""
    scene = SyntheticScene(size.width, size.height, fps)
    first, second = scene.picture(0), scene.picture(7)
    timings = [
        timed(f"synthetic source, {size}", "picture", scene.picture, 50),
        timed(f"PSNR, {size}", "picture", lambda _: psnr(first, second), 25),
    ]
    if min(size.width, size.height) >= SMALLEST_SIDE:
        timings.append(timed(f"MS-SSIM, {size}", "picture", lambda _: ms_ssim(first, second), 25))
    return timings


def measure(args: argparse.Namespace, result: Result) -> None:
    """Everything asked for, each table printed as soon as it is there."""
    if "codec" in args.what:
        who = [e for e in entries(args.threads) if not e.backend or e.backend in args.backends]
        for size in args.size:
            found = codec(result, size, who, args.clip)
            result.standings += found
            if found:
                _show(
                    f"{size} at {kbps_of(size):.0f} kbps, ms a frame, wall (processor)",
                    standings_table(found),
                )
        if "torch" in args.backends and _cuda():
            result.notes.append("torch ran on the GPU: its processor times are not all of its work")
        _show("Targets, on one thread", targets_table(result.standings))
        try:
            result.macs += [profile_macs(profile, size) for profile in NEURAL for size in args.size]
        except MacsError as error:
            result.notes.append(f"no multiply-accumulates: {error}")
        _show("Thousands of multiply-accumulates a pixel", macs_table(result.macs))
    if "transport" in args.what:
        result.steps += transport()
    if "tools" in args.what:
        result.steps += tools(args.size[0], args.fps)
    if "generative" in args.what:
        generative(args, result)
    rows = [[s.name, s.per, f"{s.p50:.3f}", f"{s.p95:.3f}"] for s in result.steps]
    _show("Other steps, ms", markdown(["step", "a", "p50", "p95"], rows) if rows else "")


def generative(args: argparse.Namespace, result: Result) -> None:
    """The generative decoder, where its extra is installed."""
    try:
        from tests.bench import generative_speed as decoder
    except ImportError as error:
        result.notes.append(f"no generative decoder: {error}; install the extra [generative]")
        return
    rows = []
    for row in decoder.rows(
        args.quick, result.notes.append, _tell, args.presets, args.sides, args.steps, args.runtimes
    ):
        rows.append(decoder.cells(row))
        result.generative.append(decoder.plain(row))
    _show(
        "Generative decoder, random weights, all adapters on", markdown(decoder.HEADER, rows) if rows else ""
    )


def parser() -> argparse.ArgumentParser:
    """Of all options."""
    out = argparse.ArgumentParser(
        prog="python -m tests.bench.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = out.add_argument
    usual = [name for name in WHAT if name != "generative"]  # which takes minutes on a CPU
    add("--what", nargs="+", choices=WHAT, default=usual, help=f"(default: {' '.join(usual)})")
    text = f"(default: {' '.join(map(str, SIZES))})"
    add("--size", type=parse_size, nargs="+", metavar="WIDTHxHEIGHT", help=text)
    add("--threads", type=_count, nargs="+", default=[1, 2], metavar="N", help="of the codec (default: 1 2)")
    here = installed_backends()
    add(
        "--backends",
        nargs="+",
        choices=BACKENDS,
        default=here,
        help=f"(default: installed: {' '.join(here)})",
    )
    add("--clip", type=Path, metavar="FILE", help="pictures to code (default: the synthetic scene)")
    add("--fps", type=float, default=15.0, help="frames per second that the bit rate is for (default: 15)")
    add("--rounds", type=_count, metavar="N", help=f"turns of each that are measured (default: {ROUNDS})")
    add("--quick", action="store_true", help=f"one size and {QUICK_ROUNDS} rounds, unless told otherwise")
    add(
        "--presets",
        nargs="+",
        choices=("compact", "sd15"),
        help="of the generative decoder (default: that fit)",
    )
    add("--sides", type=_count, nargs="+", metavar="N", help="of its square pictures (default: 256 512)")
    add(
        "--steps",
        type=_count,
        nargs="+",
        default=[1, 2, 4],
        metavar="N",
        help="of its denoising (default: 1 2 4)",
    )
    add("--runtimes", nargs="+", choices=RUNTIMES, help="that run it (default: all for this machine)")
    add("--out", type=Path, metavar="FILE.json", help="all figures, for machines")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """0, 1 where an installed backend or a peer cannot run, 2 for a wrong option."""
    options = parser()
    args = options.parse_args(argv)
    args.size = args.size or list(SIZES[:1] if args.quick else SIZES)
    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    if not args.fps > 0:
        options.error(f"--fps: must be above 0 (got {args.fps:g})")
    try:
        for size in args.size:
            video(args.clip, size, args.fps, 1)
    except ValueError as error:
        options.error(str(error))
    result = Result(args.clip.name if args.clip else "synthetic", args.fps, rounds)
    measure(args, result)
    for note in result.notes:
        print(f"Note: {note}")
    if args.out:
        args.out.write_text(json.dumps(_plain(result), indent=1) + "\n")
    return int(result.failed)


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _plain(result: Result) -> dict[str, object]:
    """For JSON; with the sums that Macs has as properties."""
    macs = [{**asdict(m), "size": str(m.size), "encode": m.encode, "decode": m.decode} for m in result.macs]
    return {**asdict(result), "macs": macs}


def _show(title: str, table: str) -> None:
    if table:
        print(f"### {title}\n\n{table}\n", flush=True)


def _tell(text: str) -> None:
    """Progress, for those who watch."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}\r", end="", file=sys.stderr, flush=True)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
