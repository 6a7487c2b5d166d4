"""The codec header at the start of every payload: geometry, quality and entropy tables, 5 bytes.

    byte 0   model id (4 bits) | reference (4 bits; 0: the unit stands alone)
    byte 1   width / 16
    byte 2   height / 16
    byte 3   frames a second, in quarters
    byte 4   quality index (5 bits) | stillness index (3 bits)

The reference is how many units back the state lies that the unit was coded against, one that the receiver is known to
hold; a decoder that does not hold it refuses the payload. The quality is that of the base and what the decoder network
is told; each position has a level of its own. The stillness names the distribution that this packet's levels are coded
with (common.codec.levels).
"""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.base import CodecError

HEADER_BYTES = 5
QUALITIES = 32
STILLNESSES = 8
MAX_REFERENCE = 7  # units back: what a decoder holds
# The base of a larger picture would fill its packets. Bounds what one authentic packet can make a receiver allocate.
MAX_PIXELS = 1280 * 736


@dataclass(frozen=True, slots=True)
class CodecHeader:
    """Parsed codec header; raises CodecError when a field is out of range."""

    model: int
    width: int
    height: int
    fps: float
    quality: int
    stillness: int
    reference: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("model", self.model, 0, 15),
            ("reference", self.reference, 0, MAX_REFERENCE),
            ("width", self.width, 16, 16 * 255),
            ("height", self.height, 16, 16 * 255),
            ("quality", self.quality, 0, QUALITIES - 1),
            ("stillness", self.stillness, 0, STILLNESSES - 1),
        ):
            if not low <= value <= high:
                raise CodecError(f"{name}: must be {low}..{high} (got {value})")
        if self.width % 16 or self.height % 16:
            raise CodecError(f"size: must be a multiple of 16 (got {self.width}x{self.height})")
        if self.width * self.height > MAX_PIXELS:
            raise CodecError(f"size: at most {MAX_PIXELS} pixels (got {self.width}x{self.height})")
        if not 0.25 <= self.fps <= 63.75:
            raise CodecError(f"fps: must be 0.25..63.75 (got {self.fps})")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of positions: both even, so that 2x2 of them share a position of the base."""
        return (self.height + 31) // 32 * 2, (self.width + 31) // 32 * 2

    @property
    def positions(self) -> int:
        """How many positions a unit has."""
        rows, columns = self.grid
        return rows * columns

    def __bytes__(self) -> bytes:
        return bytes(
            (
                self.model << 4 | self.reference,
                self.width // 16,
                self.height // 16,
                round(self.fps * 4),
                self.quality << 3 | self.stillness,
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> CodecHeader:
        """Header of a payload; raises CodecError."""
        if len(payload) < HEADER_BYTES:
            raise CodecError(f"payload: {len(payload)} bytes are too short for the codec header")
        first, width, height, fps, last = payload[:HEADER_BYTES]
        return cls(first >> 4, 16 * width, 16 * height, fps / 4, last >> 3, last & 7, first & 15)
