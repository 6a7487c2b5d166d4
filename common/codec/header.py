"""The codec header at the start of every payload: what the stream is, and what this packet holds of the unit.

    byte 0   model id (4 bits) | shrink (2 bits, number in SHRINKS) | 0 (2 bits)
    byte 1   width / 16
    byte 2   height / 16
    byte 3   frames a second, in quarters
    byte 4   quality (5 bits) | mirrored left to right, upside down, backwards (1 bit each)
    byte 5   needed - 1 (4 bits) | index (4 bits)

Where one packet is needed it is a view of its own; where more are, it is symbol number `index` of a finer view, which
any `needed` of them give.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.codec.base import CodecError

HEADER_BYTES = 6
QUALITIES = 32
FRAMES = 4  # of one access unit
MOST_PACKETS = 16  # of one access unit
SHRINKS = (1, 2, 4)  # sides of the picture over those of the coded ones
MAX_PIXELS = 1280 * 736  # bounds what one authentic packet can make a receiver allocate


@dataclass(frozen=True, slots=True)
class Mirror:
    """How a view sees the pictures: the coder errs elsewhere, so that two views tell more than one."""

    sideways: bool = False
    upside_down: bool = False
    backwards: bool = False

    def __int__(self) -> int:
        return self.sideways << 2 | self.upside_down << 1 | self.backwards

    @classmethod
    def of(cls, number: int) -> Mirror:
        """Inverse of int()."""
        return cls(bool(number & 4), bool(number & 2), bool(number & 1))


@dataclass(frozen=True, slots=True)
class CodecHeader:
    """Parsed codec header; raises CodecError when a field is out of range."""

    model: int
    width: int
    height: int
    fps: float
    shrink: int = 1
    quality: int = 0
    mirror: Mirror = Mirror()
    needed: int = 1
    index: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("model", self.model, 0, 15),
            ("width", self.width, 16, 16 * 255),
            ("height", self.height, 16, 16 * 255),
            ("quality", self.quality, 0, QUALITIES - 1),
            ("needed", self.needed, 1, MOST_PACKETS),
            ("index", self.index, 0, MOST_PACKETS - 1),
        ):
            if not low <= value <= high:
                raise CodecError(f"{name}: must be {low}..{high} (got {value})")
        if self.shrink not in SHRINKS:
            raise CodecError(f"shrink: must be one of {SHRINKS} (got {self.shrink})")
        if self.width * self.height > MAX_PIXELS:
            raise CodecError(f"size: at most {MAX_PIXELS} pixels (got {self.width}x{self.height})")
        if self.width % 16 or self.height % 16:
            raise CodecError(f"size: must be a multiple of 16 (got {self.width}x{self.height})")
        if not 0.25 <= self.fps <= 63.75:
            raise CodecError(f"fps: must be 0.25..63.75 (got {self.fps})")

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns of 16x16 luma samples, of which trust is told."""
        return self.height // 16, self.width // 16

    def same_stream(self, other: CodecHeader) -> bool:
        """Whether both can belong to one unit."""
        mine, others = ((one.model, one.width, one.height, one.fps) for one in (self, other))
        return mine == others

    def same_view(self, other: CodecHeader) -> bool:
        """Whether both can be symbols of one view."""
        return self == replace(other, index=self.index)

    def __bytes__(self) -> bytes:
        return bytes(
            (
                self.model << 4 | SHRINKS.index(self.shrink) << 2,
                self.width // 16,
                self.height // 16,
                round(self.fps * 4),
                self.quality << 3 | int(self.mirror),
                (self.needed - 1) << 4 | self.index,
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> CodecHeader:
        """Header of a payload; raises CodecError."""
        if len(payload) < HEADER_BYTES:
            raise CodecError(f"payload: {len(payload)} bytes are too short for the codec header")
        first, width, height, fps, view, place = payload[:HEADER_BYTES]
        if first & 3 or (first >> 2 & 3) >= len(SHRINKS):
            raise CodecError(f"shrink: reserved bits are set (got {first & 15:04b})")
        return cls(
            first >> 4,
            16 * width,
            16 * height,
            fps / 4,
            SHRINKS[first >> 2 & 3],
            view >> 3,
            Mirror.of(view & 7),
            (place >> 4) + 1,
            place & 15,
        )
