"""Count the entropy tables of a trained model: integer histograms per scale set, channel and context.

The scale sets are found by Lloyd's algorithm over packets: each packet goes to the set that codes it cheapest, each set
is recounted from its packets. Sparse histograms lean on those of their context over all channels.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from common.codec.context import CONTEXTS
from common.codec.entropy import ESCAPE, LIMIT, SYMBOLS, TOTAL, Elements, Tables, element_contexts
from common.codec.header import SCALES

log = logging.getLogger(__name__)

PRIOR = 64.0  # weight of the histogram over all channels, in elements


def fit(packets: list[Elements], order: NDArray[np.float64], rounds: int = 6) -> Tables:
    """Tables from packets of elements (channels, positions); `order` (one number a packet, its quality) seeds the
    clusters."""
    histograms = np.stack([_histogram(p) for p in packets])  # (N, channels, CONTEXTS, SYMBOLS)
    ranks = order.argsort().argsort() * SCALES // len(packets)
    for number in range(rounds):
        tables = Tables(np.stack([_normalise(histograms[ranks == s].sum(0)) for s in range(SCALES)]))
        cost = np.stack([np.einsum("ncxk,cxk->n", histograms, tables.bits[s]) for s in range(SCALES)])
        ranks = cost.argmin(0)
        for empty in set(range(SCALES)) - set(ranks.tolist()):
            ranks[cost.min(0).argsort()[-max(1, len(packets) // SCALES) :]] = empty
        log.info("tables: round %d, %.0f bits a packet", number + 1, cost.min(0).mean())
    return tables


def _histogram(elements: Elements) -> NDArray[np.float32]:
    channels = elements.shape[0]
    symbols = np.where(np.abs(elements) > LIMIT, ESCAPE, elements + LIMIT)
    index = (np.arange(channels)[:, None] * CONTEXTS + element_contexts(elements)) * SYMBOLS + symbols
    counted = np.bincount(index.reshape(-1), minlength=channels * CONTEXTS * SYMBOLS)
    return counted.reshape(channels, CONTEXTS, SYMBOLS).astype(np.float32)


def _normalise(histogram: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Counts (channels, CONTEXTS, SYMBOLS) -> positive integers that sum to TOTAL."""
    pooled = histogram.sum(0, dtype=np.float64)
    pooled += 1e-3 + 0.5 * np.exp(-np.abs(np.arange(SYMBOLS) - LIMIT) / 3.0)
    mixed = histogram + PRIOR * pooled / pooled.sum(-1, keepdims=True)
    share = mixed / mixed.sum(-1, keepdims=True)
    counts = 1 + np.floor(share * (TOTAL - SYMBOLS)).astype(np.int64)
    peak = counts.argmax(-1)[..., None]
    rest = TOTAL - counts.sum(-1, keepdims=True)
    np.put_along_axis(counts, peak, np.take_along_axis(counts, peak, -1) + rest, -1)
    out: NDArray[np.uint16] = counts.astype(np.uint16)
    return out
