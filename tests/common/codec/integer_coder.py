"""A decoder of one packet's payload in plain integers, written from common/codec/README.md alone; slow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

MASK64 = (1 << 64) - 1
PRECISION = 24
LEFT_OUT = (655, 6554, 16384, 26214, 36045, 45875, 55705, 62259)
NEAR = (128, 64, 24, 8, 4, 2, 1, 1)
RAW = [2048 * v for v in range(8193)]

Counts = list[list[list[list[int]]]]  # [set][channel][context][symbol]
Elements = list[list[int]]  # [channel][position]


class Refused(Exception):
    """No encoder writes these bytes."""


class RangeDecoder:
    """32-bit words, 64-bit state; the interval of a symbol is given in 2^24ths."""

    def __init__(self, data: bytes) -> None:
        self._words = [int.from_bytes(data[i : i + 4].ljust(4, b"\0"), "big") for i in range(0, len(data), 4)]
        self._lower, self._range = 0, MASK64
        self._point = self._next() << 32 | self._next()

    def _next(self) -> int:
        return self._words.pop(0) if self._words else 0

    def symbol(self, bounds: Sequence[int]) -> int:
        """The symbol whose interval bounds[i] .. bounds[i + 1] holds the point; bounds end with 2^24."""
        scale = self._range >> PRECISION
        quantile = ((self._point - self._lower) & MASK64) // scale
        if quantile >= 1 << PRECISION:
            raise Refused("the point lies outside")
        symbol = bisect_right(bounds, quantile) - 1
        self._lower = (self._lower + scale * bounds[symbol]) & MASK64
        self._range = scale * (bounds[symbol + 1] - bounds[symbol])
        if self._range < 1 << 32:
            self._lower, self._range = (self._lower << 32) & MASK64, self._range << 32
            self._point = (self._point << 32) & MASK64 | self._next()
        return symbol


def bounds(counts: Sequence[int]) -> list[int]:
    """Interval bounds of a table of counts that sum to 65 536."""
    n, before = len(counts), [0, *accumulate(counts)][:-1]
    return [s * (2**PRECISION - n) // 65536 + i for i, s in enumerate(before)] + [1 << PRECISION]


def level_counts(quality: int, stillness: int) -> list[int]:
    """Counts of the levels 0..8."""
    own = quality // 4 + 1
    weights = [NEAR[abs(level - own)] for level in range(1, 9)]
    room = 65536 - LEFT_OUT[stillness] - 8
    counts = [LEFT_OUT[stillness], *(1 + room * weight // sum(weights) for weight in weights)]
    counts[own] += 65536 - sum(counts)
    return counts


def decode_elements(coder: RangeDecoder, sets: list[int], counts: Counts) -> Elements:
    """Elements of as many positions as there are `sets`, each decoded with its own set of tables."""
    channels = len(counts[0])
    unit = channels // 12
    elements: Elements = []
    magnitudes = [0] * len(sets)
    for size in (unit, unit, 2 * unit, 4 * unit, channels - 8 * unit):
        done = len(elements)
        contexts = [min(16 * s // done, 64).bit_length() if done else 0 for s in magnitudes]
        escaped = []
        for channel in range(done, done + size):
            tables = (counts[s][channel][c] for s, c in zip(sets, contexts, strict=True))
            symbols = [coder.symbol(bounds(table)) for table in tables]
            escaped += [(channel, p) for p, symbol in enumerate(symbols) if symbol == 31]
            elements.append([symbol - 15 for symbol in symbols])
        for channel, position in escaped:
            raw = coder.symbol(RAW)
            elements[channel][position] = (16 + (raw >> 1)) * (-1 if raw & 1 else 1)
        for channel in range(done, done + size):
            magnitudes = [m + abs(v) for m, v in zip(magnitudes, elements[channel], strict=True)]
    return elements


@dataclass(frozen=True)
class Packet:
    """What a payload says."""

    model: int
    reference: int
    width: int
    height: int
    quarter_fps: int
    quality: int
    stillness: int
    base: Elements
    levels: list[int]
    elements: Elements  # 0 where left out


def grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of positions."""
    return 2 * -(-height // 32), 2 * -(-width // 32)


def decode(payload: bytes, positions: int, base_counts: Counts, counts: Counts) -> Packet:
    """A whole payload whose packet carries so many positions. Refused when no encoder writes it."""
    first, width, height, quarter_fps, last = payload[:5]
    quality, stillness = last >> 3, last & 7
    rows, columns = grid(16 * width, 16 * height)
    coder = RangeDecoder(payload[5:])
    base = decode_elements(coder, [quality // 4] * (rows * columns // 4), base_counts)
    table = bounds(level_counts(quality, stillness))
    levels = [coder.symbol(table) for _ in range(positions)]
    sent = [p for p, level in enumerate(levels) if level]
    elements = [[0] * positions for _ in range(len(counts[0]))]
    for row, found in zip(
        elements, decode_elements(coder, [levels[p] - 1 for p in sent], counts), strict=True
    ):
        for p, value in zip(sent, found, strict=True):
            row[p] = value
    return Packet(
        *(first >> 4, first & 15, 16 * width, 16 * height, quarter_fps, quality, stillness),
        *(base, levels, elements),
    )
