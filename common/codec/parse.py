"""Payloads of a unit -> elements and levels. No network and no floating point: the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.codec.base import CodecError, Segments
from common.codec.entropy import Elements
from common.codec.header import CodecHeader
from common.codec.levels import LEFT_OUT, Levels
from common.codec.payload import unpack
from common.codec.weights import ModelFiles
from proto.interleaver import segment_positions

LOST = -1  # in place of the level of a position whose packet did not arrive


@dataclass(frozen=True, slots=True)
class ParsedUnit:
    """What a unit's payloads say."""

    header: CodecHeader
    base: Elements | None  # (base channels, positions / 4), None when nothing arrived
    elements: Elements  # (channels, positions), 0 where missing or left out
    levels: Levels  # (positions,), LOST where missing

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Positions whose elements arrived."""
        sent: NDArray[np.bool_] = self.levels > LEFT_OUT
        return sent

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Positions of which it arrived that the state shall stand."""
        left_out: NDArray[np.bool_] = self.levels == LEFT_OUT
        return left_out


def parse_unit(model: ModelFiles, received: Segments) -> ParsedUnit | None:
    """Elements of whatever arrived; None when nothing did. Raises CodecError when a payload is malformed."""
    header = _common_header(model, received)
    if header is None:
        return None
    unit, base = lost_unit(model, header), None
    count = len(received.segments)
    for index, payload in enumerate(received.segments):
        if payload is None:
            continue
        positions = segment_positions(header.positions, count, index, received.unit & 0xFFFF)
        content = unpack(model, payload, len(positions))
        if base is not None and not np.array_equal(base, content.base):
            raise CodecError("unit: its segments disagree about the base")
        base = content.base
        unit.levels[positions] = content.levels
        unit.elements[:, positions] = content.elements
    return replace(unit, base=base)


def lost_unit(model: ModelFiles, header: CodecHeader) -> ParsedUnit:
    """A unit of the geometry of `header` of which nothing arrived."""
    elements = np.zeros((model.latent, header.positions), np.int32)
    return ParsedUnit(header, None, elements, np.full(header.positions, LOST, np.int32))


def _common_header(model: ModelFiles, received: Segments) -> CodecHeader | None:
    """The header that all segments of a unit share, but for the stillness."""
    headers = [CodecHeader.parse(s) for s in received.segments if s is not None]
    if not headers:
        return None
    first = headers[0]
    if any(replace(h, stillness=0) != replace(first, stillness=0) for h in headers):
        raise CodecError("unit: its segments disagree about geometry or quality")
    if first.model != model.model_id:
        raise CodecError(f"model: {first.model} is not known here (this receiver has {model.model_id})")
    return first
