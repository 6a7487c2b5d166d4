"""A unit cut into symbols, of which any that are enough give it back: the code of common.codec.symbols, up to 255."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import zfec

FIELD = 256  # a symbol depends on its number, not on how many there are


def cut(data: bytes, needed: int, count: int) -> list[bytes]:
    """`count` symbols of equal length, any `needed` of which give `data` (with zeros after it)."""
    size = -(-len(data) // needed)
    pieces = [data[i * size : (i + 1) * size].ljust(size, b"\0") for i in range(needed)]
    if needed == 1:
        return pieces * count
    return [bytes(symbol) for symbol in _encoder(needed).encode(pieces, range(count))]


def join(symbols: Mapping[int, bytes], needed: int) -> bytes:
    """The data from at least `needed` symbols of one length, by number."""
    numbers = sorted(symbols)[:needed]
    if needed == 1:
        return symbols[numbers[0]]
    pieces = _decoder(needed).decode([symbols[n] for n in numbers], numbers)
    return b"".join(bytes(piece) for piece in pieces)


@lru_cache(maxsize=FIELD)
def _encoder(needed: int) -> zfec.Encoder:
    return zfec.Encoder(needed, FIELD)


@lru_cache(maxsize=FIELD)
def _decoder(needed: int) -> zfec.Decoder:
    return zfec.Decoder(needed, FIELD)
