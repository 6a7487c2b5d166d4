"""What the symbols of a unit give: its quality, the coded pictures and nothing else.

byte 0          quality, 0..31
4 lengths       unsigned LEB128, at most 3 bytes each; 0: the picture before is shown again
coded pictures  one H.265 access unit each, in order
zeros           to the end
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.codec.base import CodecError
from common.codec.header import FRAMES, QUALITIES

MOST_LENGTH_BYTES = 3


@dataclass(frozen=True, slots=True)
class Body:
    """Quality index and the FRAMES coded pictures, empty where one is repeated."""

    quality: int
    coded: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        return bytes((self.quality,)) + b"".join(map(_length, map(len, self.coded))) + b"".join(self.coded)

    @classmethod
    def parse(cls, data: bytes) -> Body:
        """Raises CodecError unless it is whole."""
        if not data or data[0] >= QUALITIES:
            raise CodecError("unit: no quality")
        lengths, position = [], 1
        for _ in range(FRAMES):
            length, position = _read_length(data, position)
            lengths.append(length)
        coded = []
        for length in lengths:
            coded.append(data[position : position + length])
            position += length
        if position > len(data) or any(data[position:]):
            raise CodecError(f"unit: {len(data)} bytes do not hold pictures of {lengths}")
        return cls(data[0], tuple(coded))


def cost(coded: Sequence[bytes]) -> int:
    """Bytes of a body with these pictures."""
    return 1 + sum(len(_length(len(picture))) + len(picture) for picture in coded)


def _length(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _read_length(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for count in range(MOST_LENGTH_BYTES):
        if position + count >= len(data):
            break
        byte = data[position + count]
        value |= (byte & 127) << 7 * count
        if byte < 128:
            return value, position + count + 1
    raise CodecError(f"unit: no length at byte {position}")
