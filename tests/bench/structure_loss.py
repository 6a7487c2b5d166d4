"""Contour maps over a link that loses packets: as a protected stream, in virtual time.

Each payload goes as one unit of proto.protected, behind a header of MAP_HEADER bytes; its windows hold a part of the
delay budget, and their parity is sent in the rest. A map unit is decoded when its first map is due, from whatever
arrived or was rebuilt by then. The budget counts from the capture of a map to when it is shown, the link included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.protect_rule import Protection, cost_of, protection
from proto.packet import Segment
from proto.protected import Protector
from proto.protection import Losses, Policy
from proto.recover import Recover
from proto.wire import WireError
from sender.contours.share import START_PARITY, START_S
from sender.contours.stream import REPEAT_LOSS
from tests.bench.erasures import Weather, seed_of, weather
from tests.bench.structure_rate import HIGHEST, LOWEST, highest_within
from tests.bench.structure_report import UNPROTECTED, mean
from tests.bench.structure_run import (
    LARGEST,
    MAP_HEADER,
    OVERHEAD,
    PLENTY,
    Coded,
    Encodings,
    Mode,
    Row,
    Run,
    units,
)
from tests.bench.structure_sets import MapSet
from tests.bench.structure_sets import Sequence as Frames

LINK_S = 0.05  # one way; reports come back as long after
STREAM = 5
SPARE = 1.5  # rate under loss over that without
BELIEVED = 0.3  # loss of a link that tells nothing (sender.protect)
KNOWS = ("believed", "told", "reports")
DELAYS = (0.5, 1.0, 2.0)
LOSSES = (0.3, 0.5, 0.0, 0.1, 0.2, 0.4, 0.6, 0.7, 0.8)
REPORTED = (0.1, 0.3, 0.5, 0.7)
TURNS = 2  # of the control of the rate: what the floor is found to cost changes the code, and that the floor
MOST_TOLD = 2  # seeds of a point with reports
ALWAYS = 1e-9  # as many parity symbols as the overhead allows


@dataclass(frozen=True, slots=True)
class Code:
    """How a stream is protected, and how old a map may be when it is shown."""

    overhead: float  # parity symbols to a source symbol
    window_s: float
    delay_s: float
    start: float = 0.0  # more of them at the start of a sequence, as a sender has it

    def policy(self, now: float) -> Policy:
        """For a Protector, so many seconds into the sequence."""
        more = self.start if now < START_S else 0.0
        return Policy(Losses(0.5), ALWAYS, self.overhead + more, self.window_s)


class Passage:
    """One sequence through the protected stream: what arrives of each map unit, and when."""

    def __init__(self, code: Code, unit_s: float, link: Weather) -> None:
        self._code, self._unit_s, self._link = code, unit_s, link
        self._protector = Protector(STREAM, LARGEST, code.policy(0.0))
        self._recover = Recover(2 * code.delay_s + 2.0)
        self._names: list[tuple[int, int]] = []  # map unit and index of the units of the stream
        self._open: list[int] = []  # map units whose window is not closed
        self.arrived: dict[tuple[int, int], float] = {}
        self.settled: dict[int, float] = {}  # when the receiver knows all that it will of a map unit
        self.payload_bytes = self.wire_bytes = 0

    def push(self, unit: int, payloads: Sequence[bytes]) -> None:
        """Sends a map unit at the end of its last map."""
        begins, now = unit * self._unit_s, (unit + 1) * self._unit_s
        self._open.append(unit)
        self._protector.policy = self._code.policy(begins)
        for index, payload in enumerate(payloads):
            head = bytes((0, unit & 255, index, 0))[:MAP_HEADER]
            self._names.append((unit, index))
            # Those before the last take no time, so that no window closes within a map unit.
            lasts = self._unit_s if index == len(payloads) - 1 else 0.0
            given = self._protector.push(head + payload, begins, lasts, now)
            self._send(given.source, now, 0.0)
            self._close(given.parity, now)

    def flush(self, now: float) -> None:
        """The end of the sequence."""
        self._close(self._protector.flush(), now)

    def _close(self, parity: list[Segment], now: float) -> None:
        left = max(0.0, self._code.delay_s - self._code.window_s - LINK_S)
        self._send(parity, now, left / max(len(parity), 1))
        if parity or self._protector.next_time() is None:
            self.settled |= dict.fromkeys(self._open, now + (left if parity else 0.0) + LINK_S)
            self._open = []

    def _send(self, segments: list[Segment], now: float, apart: float) -> None:
        for number, segment in enumerate(segments):
            sent = now + number * apart
            self.payload_bytes += len(segment.payload)
            self.wire_bytes += len(segment.payload) + OVERHEAD
            if not self._link.arrives(sent):
                continue
            try:
                found = self._recover.push(segment, sent + LINK_S)
            except WireError:
                continue  # late
            for one in found:
                self.arrived[self._names[one.unit]] = sent + LINK_S


def lossy(
    maps: MapSet, coded: Coded, code: Code, loss: float, seed: int, reports: bool = False, kind: str = "iid"
) -> Run:
    """A set over a link; with `reports` the encoder is told what was lost, as soon as that can be known."""
    run = Run(maps)
    mode, unit_s = coded.mode, coded.mode.period / maps.fps
    run.wire = 0
    for sequence, sent in zip(maps.sequences, coded.sequences, strict=True):
        link = weather("gilbert" if kind == "gilbert" else "iid", loss, seed_of(seed, loss, sequence.name))
        passage, truths = Passage(code, unit_s, link), list(units(sequence, mode.period))
        if reports:
            sent = _told(mode, maps, sequence, passage)
        else:
            for unit, payloads in enumerate(sent):
                passage.push(unit, payloads)
        passage.flush(len(truths) * unit_s)
        run.bytes, run.wire = run.bytes + passage.payload_bytes, run.wire + passage.wire_bytes
        decoder = ContourDecoder()
        for unit, (truth, payloads) in enumerate(zip(truths, sent, strict=True)):
            due = unit * unit_s + code.delay_s + 1e-6
            there = [
                payload if passage.arrived.get((unit, index), 1e9) <= due else None
                for index, payload in enumerate(payloads)
            ]
            run.shown(decoder, there if any(there) else None, truth)
    return run


def _told(mode: Mode, maps: MapSet, sequence: Frames, passage: Passage) -> list[list[bytes]]:
    """Encodes while reports come in: of a unit that is whole when it is, of any other once its window is over."""
    encoder, period = mode.encoder(maps, sequence), mode.period
    sent: list[list[bytes]] = []
    waiting: list[int] = []
    for unit, start in enumerate(range(0, len(sequence.maps), period)):
        now = (unit + 1) * period / maps.fps
        for other in list(waiting):
            there = [passage.arrived.get((other, index)) for index in range(len(sent[other]))]
            known = max((at for at in there if at is not None), default=0.0)
            if None in there:
                known = passage.settled.get(other, 1e9)
            if known + LINK_S <= now:
                encoder.report(other, [at is not None for at in there])
                waiting.remove(other)
        sent.append(encoder.encode(sequence.given(start, start + period), unit, PLENTY).payloads)
        waiting.append(unit)
        passage.push(unit, sent[-1])
    return sent


def cost(maps: MapSet, coded: Coded, code: Code) -> int:
    """Wire bytes of a set, parity included."""
    unit_s, total = coded.mode.period / maps.fps, 0
    for sent in coded.sequences:
        passage = Passage(code, unit_s, weather("iid", 1.0, 0))
        for unit, payloads in enumerate(sent):
            passage.push(unit, payloads)
        passage.flush(len(sent) * unit_s)
        total += passage.wire_bytes
    return total


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the curves of mean IoU against loss."""

    knows: str  # of KNOWS
    delay_s: float
    loss: float
    seeds: int  # runs, of which the point is the mean


def trials(seeds: int, quick: bool) -> Iterator[Trial]:
    """All points; with reports, where the encoder runs each time, at some losses and of few seeds."""
    delays, losses = (DELAYS[1:2], LOSSES[:1]) if quick else (DELAYS, LOSSES)
    for knows in KNOWS:
        told = knows == "reports"
        for delay in delays:
            for loss in REPORTED if told and not quick else losses:
                yield Trial(knows, delay, loss, min(seeds, MOST_TOLD) if told else seeds)


def base_row(made: Encodings) -> Row:
    """What the others are compared with: floor .85, nothing protected, nothing lost."""
    return replace(made.get(Mode()).row, method=UNPROTECTED)


def loss_row(made: Encodings, trial: Trial) -> Row:
    """SPARE times the wire rate that floor .85 costs unprotected, spent as the rule says."""
    base, maps = base_row(made), made.maps
    rate, payload = 125 * SPARE * (base.wire_kbps or 0.0), 125 * base.kbps
    believed = BELIEVED if trial.knows == "believed" else trial.loss
    for _ in range(TURNS):
        wanted = protection(believed, rate, trial.delay_s - LINK_S, maps.fps, payload, HIGHEST)
        coded, code = within(made, wanted, trial.delay_s, rate, believed)
        payload = cost_of(125 * coded.row.kbps, coded.mode.floor)
    if trial.knows == "reports":
        runs, floor = _reported(coded, code, trial, rate, maps)
    else:
        floor = coded.mode.floor
        runs = [lossy(maps, coded, code, trial.loss, seed) for seed in range(trial.seeds)]
    rows = [
        run.row(
            f"loss, {trial.knows}",
            delay=trial.delay_s,
            loss=trial.loss,
            floor=floor,
            P=wanted.period,
            parity=round(code.overhead, 2),
            seeds=trial.seeds,
        )
        for run in runs
    ]
    return mean(rows)


def within(
    made: Encodings, wanted: Protection, delay_s: float, rate: float, believed: float
) -> tuple[Coded, Code]:
    """The highest floor whose packets keep the rate, parity included; of that there is less where no floor does,
    a symbol of a window after the other.
    `believed`: share of packets that the sender believes to be lost; it does then what a sender does."""
    seconds = made.maps.frames / made.maps.fps
    code = Code(wanted.overhead, wanted.window_s, delay_s, START_PARITY if believed > 0 else 0.0)

    def coded(floor: float) -> Coded:
        return made.get(Mode(floor, wanted.period, repeat=believed >= REPEAT_LOSS))

    fewer = 1 / max(1, int(wanted.window_s * made.maps.fps / wanted.period + 1e-6))
    while True:

        def spent(floor: float, code: Code = code) -> float:
            return cost(made.maps, coded(floor), code) / seconds

        floor = highest_within(spent, rate, wanted.floor)
        if floor is not None or code.overhead + code.start == 0:
            return coded(LOWEST if floor is None else floor), code
        less = max(0.0, code.overhead - fewer)
        code = replace(code, overhead=less, start=code.start if code.overhead else 0.0)


def _reported(coded: Coded, code: Code, trial: Trial, rate: float, maps: MapSet) -> tuple[list[Run], float]:
    """Runs with reports and their floor: what goes again counts, so that the floor is looked for anew."""
    seconds = maps.frames / maps.fps
    runs: dict[float, list[Run]] = {}

    def spent(floor: float) -> float:
        # Of what is coded only the mode is used: it is encoded anew.
        given = replace(coded, mode=replace(coded.mode, floor=floor))
        runs[floor] = [lossy(maps, given, code, trial.loss, seed, True) for seed in range(trial.seeds)]
        return sum(run.wire or 0 for run in runs[floor]) / trial.seeds / seconds

    found = highest_within(spent, rate, coded.mode.floor)
    floor = LOWEST if found is None else found
    return runs[floor], floor
