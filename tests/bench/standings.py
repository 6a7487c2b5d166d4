"""The race of the speed benchmark: everyone in turn, a unit each, round after round; and its tables in Markdown."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from common.values import Size
from common.video import Picture
from tests.bench.macs import Macs
from tests.bench.racers import PEERS, Entry, Lap, Racer

WARM_UP = 2  # rounds: loading, compiling, the key frames of the peers
SETTLE_SECONDS = 0.01
STAGES = ("decode: parse", "decode: recover", "decode: decode")

Pair = tuple[float, float]  # of encoding and of decoding


@dataclass(frozen=True, slots=True)
class Standing:
    """One entry at one size; medians in ms a frame. `over_wall`, `over_cpu`: time over that of each peer by name,
    (encode, decode)."""

    size: str
    name: str
    backend: str
    threads: int
    encode_ms: float
    decode_ms: float
    encode_cpu_ms: float
    decode_cpu_ms: float
    stages_ms: dict[str, float]
    over_wall: dict[str, Pair]
    over_cpu: dict[str, Pair]
    kbps: float
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Target:
    """Most that encoding and decoding may each take on one thread, in ms a frame."""

    size: str
    fps: float
    ms: float

    def __str__(self) -> str:
        return f"{self.size} at {self.fps:g} frames/s: each at most {self.ms:.1f} ms a frame"


TARGETS = (Target("256x256", 30.0, 12.0), Target("640x480", 15.0, 1000 / 15))


def race(
    racers: dict[Entry, Racer],
    video: Sequence[Picture],
    rounds: int,
    told: Callable[[str], object] = lambda text: None,
) -> dict[Entry, list[Lap]]:
    """The laps of everyone. The order is drawn anew in each round, and each waits until the threads of the one before
    have gone to sleep: torch's go on turning for a while, which would be counted to whoever comes next."""
    laps: dict[Entry, list[Lap]] = {entry: [] for entry in racers}
    order, draw = list(racers), Random(1)
    for number in range(WARM_UP + rounds):
        told(f"round {number + 1} of {WARM_UP + rounds}")
        draw.shuffle(order)
        for entry in order:
            time.sleep(SETTLE_SECONDS)
            laps[entry].append(racers[entry].lap(number, video))
    return {entry: done[WARM_UP:] for entry, done in laps.items()}


def standings(
    size: Size, fps: float, laps: dict[Entry, list[Lap]], memory: dict[Entry, float]
) -> list[Standing]:
    """Medians of the laps, and how they compare with the peers among them. `memory`: MiB of each entry."""
    wall, cpu = ({e: _ms(own, clock) for e, own in laps.items()} for clock in ("wall", "processor"))
    peers = [entry for entry in laps if entry.name in PEERS]
    return [
        Standing(
            str(size),
            entry.name,
            entry.backend,
            entry.threads,
            *wall[entry],
            *cpu[entry],
            {stage: _median(1000 * lap.stages[stage] / lap.frames for lap in own) for stage in own[0].stages},
            {peer.name: _ratio(wall[entry], wall[peer]) for peer in peers},
            {peer.name: _ratio(cpu[entry], cpu[peer]) for peer in peers},
            sum(lap.wire_bytes for lap in own) * 8 * fps / sum(lap.frames for lap in own) / 1000,
            memory[entry],
        )
        for entry, own in laps.items()
    ]


def standings_table(found: Sequence[Standing]) -> str:
    """Of one size: times in ms a frame, wall and (processor); the same for times over those of the peers."""
    head = ["", "threads", "encode", "decode", "AV1", "draft", "network"]
    head += [f"{step} / {peer}" for peer in PEERS for step in ("encode", "decode")] + ["kbps", "MiB"]
    rows = []
    for s in found:
        stages = [f"{s.stages_ms[stage]:.1f}" if s.stages_ms else "" for stage in STAGES]
        encode, decode = _both(s.encode_ms, s.encode_cpu_ms), _both(s.decode_ms, s.decode_cpu_ms)
        ratios = [
            _both(s.over_wall[peer][k], s.over_cpu[peer][k]) if peer in s.over_wall else ""
            for peer in PEERS
            for k in (0, 1)
        ]
        who = [f"{s.name} {s.backend}".strip(), str(s.threads)]
        rows.append([*who, encode, decode, *stages, *ratios, f"{s.kbps:.0f}", f"{s.memory_mib:.0f}"])
    return markdown(head, rows)


def targets_table(found: Sequence[Standing]) -> str:
    """What is asked, beside each backend on one thread; empty where no size of a target has been measured."""
    rows = []
    for target in TARGETS:
        for s in found:
            if s.size != target.size or s.threads != 1 or not s.backend:
                continue
            rows.append(
                [
                    str(target),
                    f"{s.name} {s.backend}",
                    *(f"{_verdict(ms, target)}" for ms in (s.encode_ms, s.decode_ms)),
                    *(f"{_verdict(ms, target)}" for ms in (s.encode_cpu_ms, s.decode_cpu_ms)),
                ]
            )
    return markdown(["target", "", "encode", "decode", "encode, CPU", "decode, CPU"], rows) if rows else ""


def macs_table(found: Sequence[Macs]) -> str:
    """Thousands of multiply-accumulates a pixel of video: of one run of each graph, and of all runs of a unit."""
    names = sorted({name for macs in found for name in macs.graphs})
    rows = []
    for macs in found:
        cells = [f"{macs.graphs[n] / 1000:.2f}" if n in macs.graphs else "" for n in names]
        whole = [
            f"{total / 1000:.2f} ({', '.join(f'{count} {name}' for name, count in runs.items())})"
            for total, runs in ((macs.encode, macs.encode_runs), (macs.decode, macs.decode_runs))
        ]
        rows.append([macs.profile, str(macs.size), *cells, *whole])
    return markdown(["", "size", *names, "encode (runs)", "decode (runs)"], rows) if rows else ""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its columns aligned for those who read it as text."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *(len(line[k]) for line in lines)) for k in range(len(head))]
    lines.insert(1, ["-" * (width - 1) + ":" if k else "-" * width for k, width in enumerate(widths)])
    padded = (
        [cell.rjust(w) if k else cell.ljust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in padded)


def _verdict(ms: float, target: Target) -> str:
    return f"{ms:.1f} ms, {'met' if ms <= target.ms else 'missed'}, {ms * target.fps / 10:.0f} % of a core"


def _both(wall: float, cpu: float) -> str:
    return f"{wall:.1f} ({cpu:.1f})"


def _ms(laps: Sequence[Lap], clock: str) -> Pair:
    """ms a frame by `wall` or `processor`."""
    encode = _median(1000 * getattr(lap.encode, clock) / lap.frames for lap in laps)
    return encode, _median(1000 * getattr(lap.decode, clock) / lap.frames for lap in laps)


def _ratio(own: Pair, peer: Pair) -> Pair:
    return own[0] / peer[0], own[1] / peer[1]


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)
