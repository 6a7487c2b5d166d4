"""Rows of the structure bench, and sets of maps as the contour codec sends them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from common.codec.base import Budget
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.contour.worth import counts, mean_iou
from proto.protected import PIECE_COST, SOURCE_HEADER_BYTES
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES
from tests.bench.structure_sets import Labels, MapSet, Sequence

MAP_HEADER = 4  # bytes before each payload: which map unit it is of, and which part of that
OVERHEAD = IP_UDP_BYTES + OVERHEAD_BYTES  # of a packet beyond its payload
PART_COST = OVERHEAD + SOURCE_HEADER_BYTES + MAP_HEADER  # of a packet beyond its contours
LARGEST = MAX_DATAGRAM - OVERHEAD_BYTES  # payload of a packet
ROOM = LARGEST - MAP_HEADER - PIECE_COST  # of which contours may take so much, so that parity fits as well
PLENTY = Budget(1e9, PART_COST, ROOM)


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
    wire_kbps: float | None = None


class Run:
    """Counts of one setting over a set."""

    def __init__(self, maps: MapSet) -> None:
        self._set = maps
        self._counts = np.zeros((maps.classes, maps.classes), np.int64)
        self.bytes = self.packets = 0
        self.wire: int | None = None  # bytes, where they were counted and not worked out
        self.encode, self.decode, self.worst = 0.0, 0.0, 0.0

    def timed(self, work: Callable[[], list[bytes]]) -> list[bytes]:
        """Payloads of a unit, with their size and time counted."""
        begun = time.thread_time()
        payloads = work()
        spent = time.thread_time() - begun
        self.encode, self.worst = self.encode + spent, max(self.worst, spent)
        self.bytes += sum(map(len, payloads))
        self.packets += len(payloads)
        return payloads

    def shown(
        self, decoder: ContourDecoder, payloads: list[bytes | None] | None, truth: list[Labels]
    ) -> None:
        """Decodes a unit and compares it; nothing known yet counts as class 0 everywhere."""
        begun = time.thread_time()
        decoded = decoder.decode(payloads)
        self.decode += time.thread_time() - begun
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
        wire = self.bytes + PART_COST * self.packets if self.wire is None and self.packets else self.wire
        encode, decode = (1000 * spent / frames if spent else None for spent in (self.encode, self.decode))
        return Row(
            self._set.name,
            method,
            parameters,
            8 * self.bytes / pixels,
            None if wire is None else 8 * wire / pixels,
            8e-3 * self.bytes / frames * self._set.fps,
            self.miou,
            encode,
            decode,
            1000 * self.worst or None,
            None if wire is None else 8e-3 * wire / frames * self._set.fps,
        )


def units(sequence: Sequence, period: int) -> Iterator[list[Labels]]:
    """Its maps by unit."""
    for start in range(0, len(sequence.maps), period):
        yield sequence.maps[start : start + period]


@dataclass(frozen=True, slots=True)
class Mode:
    """What the encoder is asked for."""

    floor: float = 0.85
    period: int = 4
    refresh: int = 8
    repeat: bool = False

    def encoder(self, maps: MapSet, sequence: Sequence) -> ContourEncoder:
        """One for a sequence."""
        height, width = sequence.maps[0].shape
        settings = ContourSettings(
            maps.classes, maps.void, self.floor, self.period, self.refresh, self.repeat, maps.fps
        )
        return ContourEncoder(settings, width, height)


@dataclass(slots=True)
class Coded:
    """A set, encoded."""

    mode: Mode
    sequences: list[list[list[bytes]]]  # payloads of the units of each
    row: Row  # where everything arrives


class Encodings:
    """Encodings of one set, each made once."""

    def __init__(self, maps: MapSet) -> None:
        self.maps = maps
        self._made: dict[Mode, Coded] = {}

    def get(self, mode: Mode) -> Coded:
        """The set in this mode."""
        if mode not in self._made:
            self._made[mode] = self._encode(mode)
        return self._made[mode]

    def _encode(self, mode: Mode) -> Coded:
        run = Run(self.maps)
        coded: list[list[list[bytes]]] = []
        for sequence in self.maps.sequences:
            encoder, decoder = mode.encoder(self.maps, sequence), ContourDecoder()
            coded.append([])
            for number, truth in enumerate(units(sequence, mode.period)):
                given = sequence.given(number * mode.period, (number + 1) * mode.period)
                payloads = run.timed(
                    lambda e=encoder, g=given, n=number: e.encode(g, n, PLENTY).payloads  # type: ignore[misc]
                )
                coded[-1].append(payloads)
                run.shown(decoder, list(payloads), truth)
        run.wire = run.bytes + PART_COST * run.packets
        return Coded(mode, coded, run.row("adaptive", floor=mode.floor, P=mode.period))
