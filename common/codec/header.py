"""The codec header at the start of every payload: geometry, quality and entropy tables, 5 bytes.

    byte 0   model id (4 bits) | reference (4 bits; 0: the unit stands alone)
    byte 1   width / 16
    byte 2   height / 16
    byte 3   frames a second, in quarters
    byte 4   quality index (5 bits) | scale index (3 bits)

The scale index names the set of integer tables that this packet's elements are coded with; it is chosen by the
encoder and sent, never derived. References other than 0 are for links with feedback: a unit coded against state that
the other end is known to hold. A decoder that does not hold the reference refuses the payload.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.base import CodecError

HEADER_BYTES = 5
QUALITIES = 32
SCALES = 8
MAX_PIXELS = 1920 * 1088  # bounds what one authentic packet can make a receiver allocate and compute


@dataclass(frozen=True, slots=True)
class CodecHeader:
    """Parsed codec header; raises CodecError when a field is out of range."""

    model: int
    width: int
    height: int
    fps: float
    quality: int
    scale: int
    reference: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("model", self.model, 0, 15),
            ("reference", self.reference, 0, 15),
            ("width", self.width, 16, 16 * 255),
            ("height", self.height, 16, 16 * 255),
            ("quality", self.quality, 0, QUALITIES - 1),
            ("scale", self.scale, 0, SCALES - 1),
        ):
            if not low <= value <= high:
                raise CodecError(f"{name}: must be {low}..{high} (got {value})")
        if self.width % 16 or self.height % 16:
            raise CodecError(f"size: must be a multiple of 16 (got {self.width}x{self.height})")
        if self.width * self.height > MAX_PIXELS:
            raise CodecError(f"size: at most {MAX_PIXELS} pixels (got {self.width}x{self.height})")
        if not 0.25 <= self.fps <= 63.75:
            raise CodecError(f"fps: must be 0.25..63.75 (got {self.fps})")

    def __bytes__(self) -> bytes:
        return bytes(
            (
                self.model << 4 | self.reference,
                self.width // 16,
                self.height // 16,
                round(self.fps * 4),
                self.quality << 3 | self.scale,
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> CodecHeader:
        """Header of a payload; raises CodecError."""
        if len(payload) < HEADER_BYTES:
            raise CodecError(f"payload: {len(payload)} bytes are too short for the codec header")
        first, width, height, fps, last = payload[:HEADER_BYTES]
        return cls(first >> 4, 16 * width, 16 * height, fps / 4, last >> 3, last & 7, first & 15)
