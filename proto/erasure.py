"""The erasure code: any `needed` symbols give the first `needed` ones back, and those are the data themselves.

Systematic Reed-Solomon over GF(2^8) as zfec computes it (Rizzo, "Effective erasure codes for reliable computer
communication protocols", 1997): maximum-distance separable, so exactly `needed` symbols suffice, always. RaptorQ
(RFC 6330) was measured beside it by tests/bench/protection.py, k = 1 .. 60 symbols of 1136 bytes. From exactly k
symbols it fails in 0.4 to 0.7 % of the windows of 8 symbols and more, which is above the residual loss that a stream
may ask for, so that it needs one more packet; its strength, more than 255 symbols, is of no use here. To code k parity
symbols it takes longer up to k = 8 and less above: 0.16 against 1.3 ms at k = 60, which is 1 % of a window's time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import zfec

MAX_SYMBOLS = 256  # the size of the field


def encode(source: Sequence[bytes], numbers: Sequence[int]) -> list[bytes]:
    """The symbols of these `numbers`, given the first ones, all of one length. Symbol i < len(source) is source[i].

    A symbol depends on its number and on the source alone, not on which others are asked for.
    """
    if len(source) == 1:
        return [bytes(source[0])] * len(numbers)
    return [bytes(symbol) for symbol in _encoder(len(source)).encode(source, numbers)]


def decode(symbols: Mapping[int, bytes], needed: int) -> list[bytes]:
    """The first `needed` symbols from at least that many of one length, by number."""
    numbers = sorted(symbols)[:needed]
    if len(numbers) < needed:
        raise ValueError(f"symbols: {needed} are needed (got {len(numbers)})")
    if needed == 1:
        return [symbols[numbers[0]]]
    pieces = _decoder(needed).decode([symbols[number] for number in numbers], numbers)
    return [bytes(piece) for piece in pieces]


@lru_cache(maxsize=MAX_SYMBOLS)
def _encoder(needed: int) -> zfec.Encoder:
    return zfec.Encoder(needed, MAX_SYMBOLS)


@lru_cache(maxsize=MAX_SYMBOLS)
def _decoder(needed: int) -> zfec.Decoder:
    return zfec.Decoder(needed, MAX_SYMBOLS)
