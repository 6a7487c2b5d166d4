"""Count the entropy tables of a trained model: integer histograms per set, channel and context.

Sparse histograms lean on those of the neighbouring sets and of their context over all channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.codec.context import CONTEXTS
from common.codec.entropy import ESCAPE, LIMIT, SETS, SYMBOLS, TOTAL, Elements, Tables, element_contexts

PRIOR = 64.0  # weight of the histogram over all channels, in elements
NEIGHBOUR = 0.02  # weight of the sets beside it


class Counter:
    """Histograms of the elements of one latent."""

    def __init__(self, channels: int) -> None:
        self._counted = np.zeros((SETS, channels, CONTEXTS, SYMBOLS), np.float64)

    def add(self, elements: Elements, table_set: int) -> None:
        """Count the elements (channels, positions) of positions that are coded with one set."""
        channels = elements.shape[0]
        symbols = np.where(np.abs(elements) > LIMIT, ESCAPE, elements + LIMIT)
        index = (np.arange(channels)[:, None] * CONTEXTS + element_contexts(elements)) * SYMBOLS + symbols
        counted = np.bincount(index.reshape(-1), minlength=channels * CONTEXTS * SYMBOLS)
        self._counted[table_set] += counted.reshape(channels, CONTEXTS, SYMBOLS)

    def tables(self) -> Tables:
        """The tables of what was counted."""
        around = np.pad(self._counted, [(1, 1), (0, 0), (0, 0), (0, 0)])
        return Tables(_normalise(self._counted + NEIGHBOUR * (around[:-2] + around[2:])))


def _normalise(histogram: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Counts (SETS, channels, CONTEXTS, SYMBOLS) -> positive integers that sum to TOTAL."""
    pooled = histogram.sum(1, keepdims=True)
    pooled += 1e-3 + 0.5 * np.exp(-np.abs(np.arange(SYMBOLS) - LIMIT) / 3.0)
    mixed = histogram + PRIOR * pooled / pooled.sum(-1, keepdims=True)
    share = mixed / mixed.sum(-1, keepdims=True)
    counts = 1 + np.floor(share * (TOTAL - SYMBOLS)).astype(np.int64)
    peak = counts.argmax(-1)[..., None]
    rest = TOTAL - counts.sum(-1, keepdims=True)
    np.put_along_axis(counts, peak, np.take_along_axis(counts, peak, -1) + rest, -1)
    out: NDArray[np.uint16] = counts.astype(np.uint16)
    return out
