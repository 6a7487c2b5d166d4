"""The texture decoder: whatever arrived of a unit -> small pictures -> pictures of the full size, and trust."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.codec.base import (
    COARSEST_QP,
    IMAGINED,
    RECEIVED,
    RECOVERED,
    CodecError,
    DecodedUnit,
    ReferenceMissingError,
    Segments,
)
from common.codec.contour.coder import Decoder
from common.codec.header import QUALITIES
from common.codec.texture import group, tables
from common.codec.texture.chain import MOST_BACK
from common.codec.texture.header import HEADER_BYTES, TextureHeader
from common.codec.texture.past import STEPS, Past, qp_of_levels, smoothing
from common.codec.texture.scaling import enlarge
from common.codec.texture.syntax import Levels, most_visited, walk
from common.codec.texture.transform import BLOCKS, grid, to_pictures
from common.video import Picture


class Coded(NamedTuple):
    """A group, not decoded yet: its bytes, which pictures it holds, and how many units back it refers, if it does."""

    data: bytes
    every: int
    back: int | None


Unit = Levels | Coded
"""What a payload holds behind its header."""
TOLD_SCALE = 2  # up to which the quantiser tells how coarse enlarged pictures are
RECOVERED_SECONDS = 2.0  # that a held picture counts as recovered; then it is imagined


class TextureDecoder:
    """Decodes the units of one session in order; owns its state: the last picture, and those of groups that others may
    refer to. Called by one thread."""

    def __init__(self) -> None:
        self._header: TextureHeader | None = None
        self._past = Past.nothing(0, 0)
        self._unit: int | None = None  # decoded last
        self._held = 0.0  # seconds of pictures since then
        self._quality, self._qp = 0, COARSEST_QP
        self._strength = 0.0
        self._small: list[Picture] = []
        self._known: dict[int, Picture] = {}  # by unit, the last picture of a group

    @property
    def small(self) -> list[Picture]:
        """The small pictures of the unit decoded last, as many as its frames; DecodedUnit.trust holds for them too."""
        return self._small

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder.decode. Before anything arrived there is no geometry: CodecError. ReferenceMissingError
        where a unit refers to one that is not there.

        Without a unit as many pictures as StreamInfo.concealed says; the unit may come after them."""
        begun = time.perf_counter()
        parsed = parse_unit(received) if received else None
        if parsed is None and self._header is None:
            raise CodecError("unit: nothing has arrived yet, so its geometry is unknown")
        header, number, unit = parsed or (self._header, 0, None)
        assert header is not None
        coded = self._pictures(header, unit, received.unit) if received and isinstance(unit, Coded) else []
        self._begin(header)
        read = time.perf_counter()
        if unit is None:
            self._held += header.info.concealed / header.fps
            frames = [plane[None] for plane in self._past.last]
            self._small = to_pictures(frames, *header.coded_size, self._strength)
        else:
            assert received is not None
            follows = self._unit is not None and received.unit == self._unit + 1
            if self._unit is not None and received.unit > self._unit + 1:
                self._past.miss()
            self._unit, self._held = received.unit, 0.0
            self._quality = round((1 - number / (STEPS - 1)) * (QUALITIES - 1))
            if isinstance(unit, Levels):
                self._strength, self._qp = (
                    smoothing(number, header.frames),
                    qp_of_levels(number, header.frames),
                )
                self._small = to_pictures(self._past.follow(unit, number), *header.coded_size, self._strength)
            else:
                before = self._small[-1] if follows else None
                self._qp = group.qp_of_group(number)
                self._show(coded, unit.every, before)
        restored = time.perf_counter()
        pictures = [enlarge(picture, header.width, header.height) for picture in self._small]
        if unit is None:
            count = header.info.concealed
            self._small, pictures = self._small * count, pictures * count
        trust = self._trust(header)
        stages = {"parse": read - begun, "recover": restored - read, "decode": time.perf_counter() - restored}
        arrived = int((trust == RECEIVED).sum())
        # What pictures of a quarter lack no quantiser tells.
        told = self._quality, stages, self._qp if header.scale <= TOLD_SCALE else COARSEST_QP
        return DecodedUnit(pictures, trust, arrived, trust.size, header.fps, *told)

    def _pictures(self, header: TextureHeader, unit: Coded, number: int) -> list[Picture]:
        """Those that a group holds; raises CodecError."""
        known = None
        if unit.back is not None:
            known = self._known.get(number - unit.back)
            if known is None or self._header is None or header.coded_size != self._header.coded_size:
                raise ReferenceMissingError(
                    f"unit: refers to the one {unit.back} before it, which is not there"
                )
        return group.decoded(unit.data, *header.coded_size, header.frames, unit.every, known)

    def _show(self, coded: list[Picture], every: int, before: Picture | None) -> None:
        assert self._header is not None and self._unit is not None
        self._strength, self._small = 0.0, group.filled(coded, self._header.frames, every, before)
        self._past.show(self._small[-1])
        self._known[self._unit] = self._small[-1]
        self._known = {number: one for number, one in self._known.items() if number > self._unit - MOST_BACK}

    def _begin(self, header: TextureHeader) -> None:
        """A new size is a new start."""
        if self._header is None or self._header.coded_size != header.coded_size:
            self._past, self._unit, self._held = Past.nothing(*grid(*header.coded_size)), None, 0.0
            self._known = {}
        self._header = header

    def _trust(self, header: TextureHeader) -> NDArray[np.uint8]:
        """Of each 16x16 samples of the full size, from the macroblock they lie in."""
        held = IMAGINED if self._held > RECOVERED_SECONDS else RECOVERED
        doubtful = np.where(self._past.doubtful | (self._held > 0), held, RECEIVED)
        blocks = np.where(self._past.known, doubtful, IMAGINED).astype(np.uint8)
        side = BLOCKS[0] * header.scale / 16
        rows, columns = (
            np.minimum((np.arange(count) / side).astype(int), blocks.shape[axis] - 1)
            for axis, count in enumerate(header.positions)
        )
        return np.asarray(blocks[rows][:, columns], np.uint8)


def parse_unit(received: Segments) -> tuple[TextureHeader, int, Unit] | None:
    """Header, number of the step and what else there is of a unit; nothing where none of its packets came. Raises
    CodecError where one is damaged."""
    payloads = [payload for payload in received.segments if payload is not None]
    if not payloads:
        return None
    if any(payload != payloads[0] for payload in payloads):
        raise CodecError("unit: its packets disagree")
    return read(payloads[0])


def read(payload: bytes) -> tuple[TextureHeader, int, Unit]:
    """Header, number of the step, and what a payload holds. Raises CodecError."""
    header, number = TextureHeader.parse(payload), TextureHeader.step(payload)
    if TextureHeader.is_group(payload):
        body = payload[HEADER_BYTES:]
        back = group.refers(body) if TextureHeader.refers(payload) else None
        return header, number, Coded(body, TextureHeader.every(payload), back)
    unit = Levels.empty(header.frames, *grid(*header.coded_size))
    coder = Decoder(tables.contexts(), payload[HEADER_BYTES:])
    try:
        walk(coder, unit, True, most_visited(len(payload) - HEADER_BYTES))
        coder.finish()
    except CodecError as error:
        raise CodecError("unit: its bytes end before it does, or after it, or cannot mean so much") from error
    return header, number, unit
