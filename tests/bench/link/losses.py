"""Which packets are lost, and which symbols of a packet are damaged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.bench.link.draws import Direction, Purpose, uniform

SMALLEST = 1e-15  # what is less likely does not happen
_NEXT_DRAW = 1 << 40  # packet numbers stay below it


@dataclass(slots=True)
class LossProcess:
    """Independent losses, or a Gilbert-Elliott chain that loses every packet in its bad state (the simple Gilbert
    model, https://doi.org/10.1002/j.1538-7305.1960.tb03959.x)."""

    seed: int
    direction: Direction
    _bad: bool | None = None

    def loses(self, number: int, loss: float, burst: float | None) -> bool:
        """Whether packet `number` is lost. To be asked once for every packet, in order."""
        if burst is None or loss in (0.0, 1.0):
            self._bad = None
            return loss > 0.0 and uniform(self.seed, number, Purpose.LOSS, self.direction) < loss
        draw = uniform(self.seed, number, Purpose.LOSS, self.direction)
        if self._bad is None:  # the chain begins in its stationary distribution
            self._bad = draw < loss
        elif self._bad:
            self._bad = draw >= 1.0 / burst
        else:
            self._bad = draw < loss / (burst * (1.0 - loss))
        return self._bad


def symbols_of(size: int, symbol_bits: int) -> int:
    """Symbols that carry `size` bytes."""
    return -(-8 * size // symbol_bits)


def damaged_symbols(
    seed: int, number: int, direction: Direction, symbols: int, symbol_errors: float
) -> list[int]:
    """The symbols of a packet that arrive wrong, each with probability `symbol_errors`, independently.

    Drawn as gaps, which are geometric: one number decides for a packet that nothing hits, and one more for each hit.
    """
    if symbol_errors < SMALLEST:
        return []
    if symbol_errors >= 1.0:
        return list(range(symbols))
    scale = 1.0 / math.log1p(-symbol_errors)
    hit: list[int] = []
    at = -1
    while True:
        draw = uniform(seed, number + len(hit) * _NEXT_DRAW, Purpose.SYMBOL, direction)
        gap = math.log1p(-draw) * scale
        if gap >= symbols - at - 1:
            return hit
        at += 1 + int(gap)
        hit.append(at)


def with_wrong_symbols(
    data: bytes, hit: list[int], header: int, symbol_bits: int, seed: int, number: int, direction: Direction
) -> bytes | None:
    """`data` with one bit flipped in each wrong symbol; None where bits of the `header` bytes before it are hit.

    Symbols are counted from the first bit of the header; the last one may be shorter.
    """
    changed, bits = bytearray(data), 8 * (header + len(data))
    for place in hit:
        draw = uniform(seed, number + place * _NEXT_DRAW, Purpose.BIT, direction)
        first = place * symbol_bits
        bit = first + int(draw * min(symbol_bits, bits - first)) - 8 * header
        if bit < 0:
            return None
        changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
