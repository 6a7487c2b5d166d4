"""A seeded mutator: inputs of a corpus with bits, numbers, blocks and ends changed, or two of them spliced."""

from __future__ import annotations

import random
from collections.abc import Sequence

NUMBERS = (0, 1, 2, 0x3F, 0x7F, 0x80, 0xFE, 0xFF)
MOST_CHANGES = 6


class Mutator:
    """An endless row of inputs, the same for the same seed."""

    def __init__(self, corpus: Sequence[bytes], seed: int, most_bytes: int) -> None:
        self._random = random.Random(seed)
        self._corpus = list(corpus) or [b""]
        self._most_bytes = most_bytes

    def next(self) -> bytes:
        """The next input, at most `most_bytes` long."""
        rng = self._random
        data = bytearray(rng.choice(self._corpus))
        for _ in range(rng.randint(1, MOST_CHANGES)):
            rng.choice((self._flip, self._put, self._insert, self._remove, self._repeat, self._splice))(data)
        return bytes(data[: self._most_bytes])

    def _place(self, data: bytearray) -> int:
        return self._random.randint(0, len(data))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._place(data) - 1] ^= 1 << self._random.randrange(8)

    def _put(self, data: bytearray) -> None:
        place = self._place(data)
        width = self._random.choice((1, 1, 2, 4))
        value = self._random.choice(NUMBERS) if self._random.random() < 0.5 else self._random.randrange(256)
        data[place : place + width] = bytes((value,)) * width

    def _insert(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = self._random.randbytes(self._random.randint(1, 12))

    def _remove(self, data: bytearray) -> None:
        place = self._place(data)
        del data[place : place + self._random.choice((1, 2, 6, len(data)))]

    def _repeat(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = data[place : place + self._random.randint(1, 40)]

    def _splice(self, data: bytearray) -> None:
        other, place = self._random.choice(self._corpus), self._place(data)
        data[place:] = other[self._random.randint(0, len(other)) :]
