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
from common.codec.lengths import length, read_length


@dataclass(frozen=True, slots=True)
class Body:
    """Quality index and the FRAMES coded pictures, empty where one is repeated."""

    quality: int
    coded: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        return bytes((self.quality,)) + b"".join(map(length, map(len, self.coded))) + b"".join(self.coded)

    @classmethod
    def parse(cls, data: bytes) -> Body:
        """Raises CodecError unless it is whole."""
        if not data or data[0] >= QUALITIES:
            raise CodecError("unit: no quality")
        lengths, position = [], 1
        for _ in range(FRAMES):
            size, position = read_length(data, position)
            lengths.append(size)
        coded = []
        for size in lengths:
            coded.append(data[position : position + size])
            position += size
        if position > len(data) or any(data[position:]):
            raise CodecError(f"unit: {len(data)} bytes do not hold pictures of {lengths}")
        return cls(data[0], tuple(coded))


def cost(coded: Sequence[bytes]) -> int:
    """Bytes of a body with these pictures."""
    return 1 + sum(len(length(len(picture))) + len(picture) for picture in coded)
