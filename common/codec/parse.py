"""Payloads of a unit -> elements and loss mask. No network and no floating point: the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.codec.base import CodecError, Segments
from common.codec.entropy import Elements
from common.codec.header import HEADER_BYTES, CodecHeader
from common.codec.weights import ModelFiles
from proto.interleaver import segment_positions


@dataclass(frozen=True, slots=True)
class ParsedUnit:
    """What a unit's payloads say."""

    header: CodecHeader
    elements: Elements  # (channels, positions), 0 where missing
    mask: NDArray[np.bool_]  # (positions,), True where arrived


def parse_unit(model: ModelFiles, received: Segments) -> ParsedUnit | None:
    """Elements of whatever arrived; None when nothing did. Raises CodecError when a payload is malformed."""
    header = _common_header(model, received)
    if header is None:
        return None
    unit = lost_unit(model, header)
    positions_total, segments = unit.mask.size, received.segments
    for index, payload in enumerate(segments):
        if payload is None:
            continue
        positions = segment_positions(positions_total, len(segments), index, received.unit & 0xFFFF)
        scale = CodecHeader.parse(payload).scale
        unit.elements[:, positions] = model.tables.decode(payload[HEADER_BYTES:], len(positions), scale)
        unit.mask[positions] = True
    return unit


def lost_unit(model: ModelFiles, header: CodecHeader) -> ParsedUnit:
    """A unit of the geometry of `header` of which nothing arrived."""
    positions = (header.width // 16) * (header.height // 16)
    return ParsedUnit(header, np.zeros((model.latent, positions), np.int32), np.zeros(positions, np.bool_))


def _common_header(model: ModelFiles, received: Segments) -> CodecHeader | None:
    """The header that all segments of a unit share, but for the scale index."""
    headers = [CodecHeader.parse(s) for s in received.segments if s is not None]
    if not headers:
        return None
    first = headers[0]
    if any(replace(h, scale=0) != replace(first, scale=0) for h in headers):
        raise CodecError("unit: its segments disagree about geometry or quality")
    if first.model != model.model_id:
        raise CodecError(f"model: {first.model} is not known here (this receiver has {model.model_id})")
    if first.reference:
        raise CodecError(f"reference: {first.reference} is not held here")
    return first
