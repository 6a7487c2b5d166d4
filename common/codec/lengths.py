"""Lengths in front of what they measure: unsigned LEB128, at most 3 bytes."""

from __future__ import annotations

from common.codec.base import CodecError

MOST_BYTES = 3


def length(value: int) -> bytes:
    """A length, below 2^21."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def read_length(data: bytes, position: int) -> tuple[int, int]:
    """(the length at `position`, where what follows it begins). Raises CodecError."""
    value = 0
    for count in range(MOST_BYTES):
        if position + count >= len(data):
            break
        byte = data[position + count]
        value |= (byte & 127) << 7 * count
        if byte < 128:
            return value, position + count + 1
    raise CodecError(f"unit: no length at byte {position}")
