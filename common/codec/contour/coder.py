"""Adaptive binary arithmetic coder: README.md section 3. Integers only: every machine parses the same bytes alike.

Encoder and decoder have the same methods, which take the value to send and return the one that was sent; a syntax
written once over them (syntax.py) therefore cannot differ between the two. Payloads are some tens of bytes: contexts
begin at trained probabilities (tables.py) and adapt fast, and the end costs no more bits than it must, because what
follows the last byte reads as zeros.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Protocol

from common.codec.base import CodecError

ONE = 1 << 16  # certainty, of a probability
_TOP = 1 << 32
_LEAST = 1 << 24
_HELD = 32  # bytes that the encoder holds as a small number before it adds them to the rest
_SLOWEST = 6  # a context moves by 2**-SLOWEST of its error, faster while it is young
_IMPLIED = 8  # zero bytes that may be left out at the end; bounds what a decoder reads beyond it
_FLOOR = 64  # no bit is ever coded as more certain than 1 - FLOOR / ONE
_MOST = ONE - _FLOOR
_OLD = 4 * (_SLOWEST - 2)  # age from which a context moves no slower
_RATES = tuple(2 + age // 4 for age in range(_OLD + 1))  # the last is _SLOWEST


class Coder(Protocol):
    """What the syntax needs of either end."""

    def bit(self, context: int, value: int) -> int:
        """One bit in an adaptive context."""
        ...

    def raw(self, width: int, value: int) -> int:
        """`width` bits of an even distribution."""
        ...


class Contexts:
    """Adaptive probabilities of a zero, and how many bits each has seen."""

    __slots__ = ("ages", "zeros")

    def __init__(self, zeros: Sequence[int], ages: Sequence[int]) -> None:
        self.zeros = list(zeros)
        self.ages = [min(age, _OLD) for age in ages]

    def update(self, context: int, bit: int) -> None:
        """Moves a context towards the bit that it has seen."""
        age = self.ages[context]
        zero = self.zeros[context]
        if age < _OLD:
            self.ages[context] = age + 1
        if bit:
            zero -= zero >> _RATES[age]
            self.zeros[context] = zero if zero > _FLOOR else _FLOOR
        else:
            zero += (ONE - zero) >> _RATES[age]
            self.zeros[context] = zero if zero < _MOST else _MOST


class Encoder:
    """Collects bits; `finish` gives the bytes."""

    def __init__(self, contexts: Contexts) -> None:
        self.bits = 0  # adaptive ones, so far
        self._contexts = contexts
        self._low, self._range, self._held = 0, _TOP - 1, 0
        self._head, self._head_bytes = 0, 0  # what comes before `_low`, a carry of which may still reach it

    def bit(self, context: int, value: int) -> int:
        """Writes one adaptive bit."""
        self.bits += 1
        split = (self._range >> 16) * self._contexts.zeros[context]
        if value:
            self._low += split
            self._range -= split
        else:
            self._range = split
        self._contexts.update(context, value)
        if self._range < _LEAST:
            self._grow()
        return value

    def raw(self, width: int, value: int) -> int:
        """Writes `width` bits of `value`, highest first."""
        for place in reversed(range(width)):
            half = self._range >> 1
            if value >> place & 1:
                self._low += half
                self._range -= half
            else:
                self._range = half
            if self._range < _LEAST:
                self._grow()
        return value

    def _grow(self) -> None:
        while self._range < _LEAST:
            self._low, self._range, self._held = self._low << 8, self._range << 8, self._held + 1
        if self._held >= _HELD:
            self._head = (self._head << 8 * self._held) + (self._low >> 32)
            self._low &= _TOP - 1
            self._head_bytes, self._held = self._head_bytes + self._held, 0

    def finish(self, least: int = 0) -> bytes:
        """The shortest bytes, `least` at least, that decode to what was written, zeros behind them."""
        low = (self._head << 8 * self._held + 32) + self._low
        size = self._head_bytes + self._held + 4
        high = low + self._range - 1
        for kept in range(32, -1, -8):
            value = high >> kept << kept
            if value >= low:
                break
        out = value.to_bytes(size, "big").rstrip(b"\0")
        return out.ljust(max(size - _IMPLIED, least), b"\0")


class Decoder:
    """Reads bits back; any bytes decode to something, which the syntax checks."""

    def __init__(self, contexts: Contexts, data: bytes, most: int | None = None) -> None:
        """`most`: adaptive bits that may be read; None: no limit."""
        self._contexts = contexts
        self._left = sys.maxsize if most is None else most
        self._data = data
        self._range = _TOP - 1
        self._code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self._next = 4

    def bit(self, context: int, value: int = 0) -> int:
        """Reads one adaptive bit; `value` is not looked at."""
        self._left -= 1
        if self._left < 0:
            raise CodecError(f"contours: more bits than {len(self._data)} bytes can mean")
        split = (self._range >> 16) * self._contexts.zeros[context]
        bit = int(self._code >= split)
        if bit:
            self._code -= split
            self._range -= split
        else:
            self._range = split
        self._contexts.update(context, bit)
        while self._range < _LEAST:
            self._refill()
        return bit

    def raw(self, width: int, value: int = 0) -> int:
        """Reads `width` bits, highest first."""
        out = 0
        for _ in range(width):
            half = self._range >> 1
            bit = int(self._code >= half)
            if bit:
                self._code -= half
                self._range -= half
            else:
                self._range = half
            out = out << 1 | bit
            while self._range < _LEAST:
                self._refill()
        return out

    def _refill(self) -> None:
        follows = self._data[self._next] if self._next < len(self._data) else 0
        self._code, self._range = self._code << 8 | follows, self._range << 8
        self._next += 1
        if self._next > len(self._data) + _IMPLIED:
            raise CodecError(f"contours: {len(self._data)} bytes end within an instance")

    def finish(self) -> None:
        """Raises CodecError when bytes but zeros are left that nothing was read from."""
        if any(self._data[self._next :]):
            raise CodecError(f"contours: {len(self._data) - self._next} bytes follow the last instance")


class Tally:
    """Writes nothing; counts how often each context met a zero and a one, for tables.py."""

    def __init__(self, contexts: int) -> None:
        self.seen = [[0, 0] for _ in range(contexts)]

    def bit(self, context: int, value: int) -> int:
        """Counts one bit."""
        self.seen[context][value] += 1
        return value

    def raw(self, width: int, value: int) -> int:
        """Not counted."""
        return value


def number(coder: Coder, base: int, size: int, value: int) -> int:
    """A number of 0 or more as its bit length in unary (contexts `base`.. of `size`), then the bits below its highest:
    the first in a context of its length (the `size` contexts that follow), the others evenly distributed."""
    length = value.bit_length()
    got = 0
    while got < 16 and coder.bit(base + min(got, size - 1), int(length > got)):
        got += 1
    if got < 2:
        return got
    out = 2 | coder.bit(base + size + min(got, size - 1), value >> (got - 2) & 1)
    rest = got - 2
    return out << rest | coder.raw(rest, value & (1 << rest) - 1) if rest else out


def signed(coder: Coder, base: int, size: int, value: int) -> int:
    """Any number: magnitude as `number`, then its sign in the context behind them (2 * size + 1 contexts in all)."""
    magnitude = number(coder, base, size, abs(value))
    if magnitude and coder.bit(base + 2 * size, int(value < 0)):
        return -magnitude
    return magnitude


def symbol(coder: Coder, base: int, width: int, value: int) -> int:
    """One of 2**width symbols, highest bit first, a context for each prefix (2**width contexts)."""
    node = 1
    for place in reversed(range(width)):
        node = node << 1 | coder.bit(base + node, value >> place & 1)
    return node - (1 << width)


def total(sizes: Iterable[int]) -> list[int]:
    """Where each of several groups of contexts begins; the last number is how many there are."""
    out = [0]
    for size in sizes:
        out.append(out[-1] + size)
    return out
