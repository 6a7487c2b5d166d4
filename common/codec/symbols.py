"""A coded view cut into symbols, of which any that are enough give it back: systematic, maximum-distance separable.

The code is zfec's: Reed-Solomon over GF(256). The first symbols are the view itself, cut evenly; zeros fill the last.
"""

from __future__ import annotations

from collections.abc import Mapping

import zfec

from common.codec.header import MOST_PACKETS


def cut(data: bytes, needed: int, count: int) -> list[bytes]:
    """`count` symbols of equal length, any `needed` of which give `data` (with zeros after it)."""
    size = -(-len(data) // needed)
    pieces = [data[i * size : (i + 1) * size].ljust(size, b"\0") for i in range(needed)]
    if needed == 1:
        return pieces * count
    return [bytes(symbol) for symbol in zfec.Encoder(needed, MOST_PACKETS).encode(pieces, range(count))]


def join(symbols: Mapping[int, bytes], needed: int) -> bytes:
    """The data from at least `needed` symbols of one length, by number."""
    numbers = sorted(symbols)[:needed]
    if needed == 1:
        return symbols[numbers[0]]
    return b"".join(
        bytes(piece)
        for piece in zfec.Decoder(needed, MOST_PACKETS).decode([symbols[n] for n in numbers], numbers)
    )
