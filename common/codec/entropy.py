"""Range coding of one packet's elements with integer tables: nothing computed in floating point decides a parse.

A packet carries all channels of some positions. Channels are coded group by group (common.codec.context); the table
of an element is `counts[scale][channel][context]`, integers that sum to 65 536, which the coder takes over exactly.
Values beyond +-15 escape to 13 raw bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import constriction
import numpy as np
from numpy.typing import NDArray

from common.codec.base import CodecError
from common.codec.context import CONTEXTS, contexts, group_sizes
from common.codec.header import SCALES

Elements = NDArray[np.int32]  # (channels, positions)

LIMIT = 15  # largest magnitude with a table entry of its own
SYMBOLS = 2 * LIMIT + 2  # the last symbol is the escape
ESCAPE = SYMBOLS - 1
TOTAL = 1 << 16  # sum of the counts of a table
MAX_ELEMENT = LIMIT + 4096  # 12 bits beyond the table

_categorical = constriction.stream.model.Categorical(perfect=False)
_raw = constriction.stream.model.Uniform(8192)


@dataclass(frozen=True)
class Tables:
    """Entropy tables of one model: counts (SCALES, channels, CONTEXTS, SYMBOLS), uint16, each row sums to 65 536."""

    counts: NDArray[np.uint16]

    def __post_init__(self) -> None:
        if self.counts.shape[0] != SCALES or self.counts.shape[2:] != (CONTEXTS, SYMBOLS):
            raise ValueError(f"counts: unexpected shape {self.counts.shape}")
        if not (self.counts.sum(-1, dtype=np.int64) == TOTAL).all() or not self.counts.all():
            raise ValueError(f"counts: each table must be positive and sum to {TOTAL}")

    @classmethod
    def load(cls, path: Path) -> Tables:
        """Read from an .npz file with the array `counts`."""
        with np.load(path) as stored:
            return cls(stored["counts"])

    @property
    def channels(self) -> int:
        """Channels of the latent."""
        return int(self.counts.shape[1])

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The counts as multiples of 2^-16, as the coder takes them.

        In double precision all that the coder computes from them is exact, so its 24-bit tables are the integers
        that README.md defines (a test decodes with integers alone); in single precision they would not be."""
        return self.counts.astype(np.float64) / TOTAL

    @cached_property
    def bits(self) -> NDArray[np.float32]:
        """Cost in bits of each symbol, escapes with their raw bits; for rate decisions at the sender only."""
        cost = -np.log2(self.probabilities)
        cost[..., ESCAPE] += 13
        return np.asarray(cost, dtype=np.float32)

    def cost(self, elements: Elements) -> NDArray[np.float32]:
        """Bits of each position under each scale: (channels, positions) -> (SCALES, positions)."""
        symbols = _symbols(elements)
        context = element_contexts(elements)
        channel = np.arange(self.channels)[:, None]
        flat = (channel * CONTEXTS + context) * SYMBOLS + symbols
        return np.stack([self.bits[scale].reshape(-1)[flat].sum(0) for scale in range(SCALES)])

    def encode(self, elements: Elements, scale: int) -> bytes:
        """Code (channels, positions) elements of one packet with the tables of `scale`."""
        coder = constriction.stream.queue.RangeEncoder()
        table = self.probabilities[scale].reshape(-1, SYMBOLS)
        symbols, context = _symbols(elements), element_contexts(elements)
        done = 0
        for size in group_sizes(self.channels):
            group = slice(done, done + size)
            index = np.arange(done, done + size)[:, None] * CONTEXTS + context[group]
            coder.encode(symbols[group].reshape(-1), _categorical, table[index.reshape(-1)])
            escaped = elements[group].reshape(-1)[symbols[group].reshape(-1) == ESCAPE]
            if escaped.size:
                magnitude = np.abs(escaped) - LIMIT - 1
                coder.encode((magnitude << 1 | (escaped < 0)).astype(np.int32), _raw)
            done += size
        words: NDArray[np.uint32] = coder.get_compressed()
        return words.astype(">u4").tobytes().rstrip(b"\0")

    def decode(self, data: bytes, positions: int, scale: int) -> Elements:
        """Inverse of `encode`: (channels, positions). Raises CodecError when the data is no output of `encode`."""
        padded = data + bytes(-len(data) % 4)
        coder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))
        table = self.probabilities[scale].reshape(-1, SYMBOLS)
        elements = np.empty((self.channels, positions), dtype=np.int32)
        magnitudes = np.zeros(positions, dtype=np.int64)
        done = 0
        try:
            for size in group_sizes(self.channels):
                context = contexts(magnitudes, done)
                index = np.arange(done, done + size)[:, None] * CONTEXTS + context
                symbols = coder.decode(_categorical, table[index.reshape(-1)])
                values = symbols - LIMIT
                escaped = symbols == ESCAPE
                if escaped.any():
                    raw = coder.decode(_raw, int(escaped.sum()))
                    values[escaped] = ((raw >> 1) + LIMIT + 1) * (1 - 2 * (raw & 1))
                elements[done : done + size] = values.reshape(size, positions)
                magnitudes += np.abs(elements[done : done + size]).sum(0)
                done += size
        except AssertionError as error:  # the coder's only complaint
            raise CodecError("elements: not decodable") from error
        return elements


def element_contexts(elements: Elements) -> NDArray[np.int64]:
    """Context of every element, (channels, positions), from the groups before its own."""
    out = np.empty(elements.shape, dtype=np.int64)
    magnitudes = np.zeros(elements.shape[1], dtype=np.int64)
    done = 0
    for size in group_sizes(elements.shape[0]):
        out[done : done + size] = contexts(magnitudes, done)
        magnitudes += np.abs(elements[done : done + size]).sum(0)
        done += size
    return out


def _symbols(elements: Elements) -> NDArray[np.int32]:
    return np.where(np.abs(elements) > LIMIT, ESCAPE, elements + LIMIT).astype(np.int32)
