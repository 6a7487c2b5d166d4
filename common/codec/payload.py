"""One packet's payload: the header, then the base, the levels of the packet's positions, and their elements."""

from __future__ import annotations

from dataclasses import dataclass

import constriction
import numpy as np
from numpy.typing import NDArray

from common.codec.base import CodecError
from common.codec.entropy import TOTAL, Elements, Sets
from common.codec.header import HEADER_BYTES, CodecHeader
from common.codec.levels import LEFT_OUT, Levels, level_counts
from common.codec.weights import ModelFiles


@dataclass(frozen=True, slots=True)
class PacketContent:
    """What a packet says: the unit's base (base channels, positions / 4), and of the packet's positions the levels
    (positions,) and the elements (channels, positions), zero where left out."""

    base: Elements
    levels: Levels
    elements: Elements


def pack(model: ModelFiles, header: CodecHeader, content: PacketContent) -> bytes:
    """The payload."""
    coder = constriction.stream.queue.RangeEncoder()
    model.base_tables.encode(coder, content.base, _base_sets(header))
    coder.encode(content.levels, _level_model(header))
    sent = content.levels != LEFT_OUT
    if sent.any():
        model.tables.encode(coder, content.elements[:, sent], content.levels[sent] - 1)
    words: NDArray[np.uint32] = coder.get_compressed()
    return bytes(header) + words.astype(">u4").tobytes().rstrip(b"\0")


def unpack(model: ModelFiles, payload: bytes, positions: int) -> PacketContent:
    """Inverse of `pack` for a packet of so many positions. Raises CodecError when the payload is no output of it."""
    header, data = CodecHeader.parse(payload), payload[HEADER_BYTES:]
    padded = data + bytes(-len(data) % 4)
    coder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))
    elements = np.zeros((model.latent, positions), np.int32)
    try:
        base = model.base_tables.decode(coder, _base_sets(header))
        levels: Levels = coder.decode(_level_model(header), positions)
        sent = levels != LEFT_OUT
        if sent.any():
            elements[:, sent] = model.tables.decode(coder, levels[sent] - 1)
    except AssertionError as error:  # the coder's only complaint
        raise CodecError("elements: not decodable") from error
    return PacketContent(base, levels, elements)


def _base_sets(header: CodecHeader) -> Sets:
    return np.full(header.positions // 4, header.quality // 4, np.int32)


def _level_model(header: CodecHeader) -> constriction.stream.model.Categorical:
    counts = np.array(level_counts(header.quality, header.stillness), np.float64)
    return constriction.stream.model.Categorical(counts / TOTAL, perfect=False)
