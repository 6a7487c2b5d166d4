"""Range coding of elements with integer tables: nothing computed in floating point decides a parse.

Elements are coded channel group by channel group (common.codec.context), in a group channel by channel; the table of
an element is `counts[set][channel][context]`, integers that sum to 65 536, which the coder takes over exactly. Values
beyond +-15 escape to 13 raw bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import constriction
import numpy as np
from numpy.typing import NDArray

from common.codec.context import CONTEXTS, contexts, group_sizes

Elements = NDArray[np.int32]  # (channels, positions)
Sets = NDArray[np.int32]  # (positions,): which set of tables each position is coded with

SETS = 8
LIMIT = 15  # largest magnitude with a table entry of its own
SYMBOLS = 2 * LIMIT + 2  # the last symbol is the escape
ESCAPE = SYMBOLS - 1
TOTAL = 1 << 16  # sum of the counts of a table
MAX_ELEMENT = LIMIT + 4096  # 12 bits beyond the table

_categorical = constriction.stream.model.Categorical(perfect=False)
_raw = constriction.stream.model.Uniform(8192)


@dataclass(frozen=True)
class Tables:
    """Entropy tables of one latent: counts (SETS, channels, CONTEXTS, SYMBOLS), uint16, each row sums to 65 536."""

    counts: NDArray[np.uint16]

    def __post_init__(self) -> None:
        if self.counts.shape[0] != SETS or self.counts.shape[2:] != (CONTEXTS, SYMBOLS):
            raise ValueError(f"counts: unexpected shape {self.counts.shape}")
        if not (self.counts.sum(-1, dtype=np.int64) == TOTAL).all() or not self.counts.all():
            raise ValueError(f"counts: each table must be positive and sum to {TOTAL}")

    @property
    def channels(self) -> int:
        """Channels of the latent."""
        return int(self.counts.shape[1])

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The counts as multiples of 2^-16, one row a table, as the coder takes them.

        In double precision all that the coder computes from them is exact, so its 24-bit tables are the integers
        that README.md defines (a test decodes with integers alone); in single precision they would not be."""
        return self.counts.reshape(-1, SYMBOLS).astype(np.float64) / TOTAL

    @cached_property
    def bits(self) -> NDArray[np.float32]:
        """Cost in bits of each symbol, escapes with their raw bits; for rate decisions at the sender only."""
        cost = 16.0 - np.log2(self.counts.astype(np.float64))
        cost[..., ESCAPE] += 13
        return np.asarray(cost, dtype=np.float32)

    def cost(self, elements: Elements, table_set: int) -> NDArray[np.float32]:
        """Bits of each position coded with one set: (channels, positions) -> (positions,)."""
        index = (np.arange(self.channels)[:, None] * CONTEXTS + element_contexts(elements)) * SYMBOLS
        costs: NDArray[np.float32] = self.bits[table_set].reshape(-1).take(index + _symbols(elements)).sum(0)
        return costs

    def encode(self, coder: constriction.stream.queue.RangeEncoder, elements: Elements, sets: Sets) -> None:
        """Append the elements of some positions, each coded with its own set."""
        symbols, context = _symbols(elements), element_contexts(elements)
        done = 0
        for size in group_sizes(self.channels):
            group = slice(done, done + size)
            index = self._index(sets, done, size, context[group])
            coder.encode(symbols[group].reshape(-1), _categorical, self.probabilities[index])
            escaped = elements[group].reshape(-1)[symbols[group].reshape(-1) == ESCAPE]
            if escaped.size:
                magnitude = np.abs(escaped) - LIMIT - 1
                coder.encode((magnitude << 1 | (escaped < 0)).astype(np.int32), _raw)
            done += size

    def decode(self, coder: constriction.stream.queue.RangeDecoder, sets: Sets) -> Elements:
        """Inverse of `encode`: (channels, positions). AssertionError of the coder when there is nothing to decode."""
        elements = np.zeros((self.channels, len(sets)), dtype=np.int32)
        magnitudes = np.zeros(len(sets), dtype=np.int64)
        done = 0
        for size in group_sizes(self.channels):
            index = self._index(sets, done, size, contexts(magnitudes, done))
            symbols = coder.decode(_categorical, self.probabilities[index])
            values = symbols - LIMIT
            escaped = symbols == ESCAPE
            if escaped.any():
                raw = coder.decode(_raw, int(escaped.sum()))
                values[escaped] = ((raw >> 1) + LIMIT + 1) * (1 - 2 * (raw & 1))
            elements[done : done + size] = values.reshape(size, len(sets))
            magnitudes += np.abs(elements[done : done + size]).sum(0)
            done += size
        return elements

    def _index(self, sets: Sets, done: int, size: int, context: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of `probabilities` for one channel group, flat."""
        channel = sets.astype(np.int64) * self.channels + np.arange(done, done + size)[:, None]
        return (channel * CONTEXTS + context).reshape(-1)


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
