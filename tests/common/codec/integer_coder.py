"""A decoder of one segment's elements in plain integers, written from common/codec/README.md alone; slow."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

MASK64 = (1 << 64) - 1
PRECISION = 24


class RangeDecoder:
    """32-bit words, 64-bit state; the interval of a symbol is given in 2^24ths."""

    def __init__(self, data: bytes) -> None:
        self._words = [int.from_bytes(data[i : i + 4].ljust(4, b"\0"), "big") for i in range(0, len(data), 4)]
        self._lower, self._range = 0, MASK64
        self._point = self._next() << 32 | self._next()

    def _next(self) -> int:
        return self._words.pop(0) if self._words else 0

    def symbol(self, bounds: list[int]) -> int:
        """The symbol whose interval bounds[i] .. bounds[i + 1] holds the point; bounds end with 2^24."""
        scale = self._range >> PRECISION
        quantile = ((self._point - self._lower) & MASK64) // scale
        symbol = bisect_right(bounds, quantile) - 1
        self._lower = (self._lower + scale * bounds[symbol]) & MASK64
        self._range = scale * (bounds[symbol + 1] - bounds[symbol])
        if self._range < 1 << 32:
            self._lower, self._range = (self._lower << 32) & MASK64, self._range << 32
            self._point = (self._point << 32) & MASK64 | self._next()
        return symbol


def bounds(counts: list[int]) -> list[int]:
    """Interval bounds of a table of 32 counts that sum to 65 536."""
    before = [0, *accumulate(counts)][:-1]
    return [s * (2**PRECISION - 32) // 65536 + i for i, s in enumerate(before)] + [1 << PRECISION]


def decode(data: bytes, positions: int, counts: list[list[list[int]]]) -> list[list[int]]:
    """Elements [channel][position]; `counts` [channel][context][symbol] of the segment's scale."""
    coder, channels = RangeDecoder(data), len(counts)
    unit = channels // 12
    elements: list[list[int]] = []
    magnitudes = [0] * positions
    for size in (unit, unit, 2 * unit, 4 * unit, channels - 8 * unit):
        done = len(elements)
        contexts = [min(16 * s // done, 64).bit_length() if done else 0 for s in magnitudes]
        escaped = []
        for channel in range(done, done + size):
            symbols = [coder.symbol(bounds(counts[channel][context])) for context in contexts]
            escaped += [(channel, p) for p, symbol in enumerate(symbols) if symbol == 31]
            elements.append([symbol - 15 for symbol in symbols])
        for channel, position in escaped:
            raw = coder.symbol([2048 * v for v in range(8193)])
            elements[channel][position] = (16 + (raw >> 1)) * (-1 if raw & 1 else 1)
        for channel in range(done, done + size):
            magnitudes = [m + abs(v) for m, v in zip(magnitudes, elements[channel], strict=True)]
    return elements
