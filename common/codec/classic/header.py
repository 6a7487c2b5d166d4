"""The header at the start of every `classic` payload: what the stream is, and which piece of which unit this is.

byte 0   0 (4 bits: the model id of no network) | shrink (2 bits, number in SHRINKS) | codec (2 bits: 0, H.265)
byte 1   width / 16
byte 2   height / 16
byte 3   frames a second, in quarters
byte 4   chain: number of the key unit that this one hangs on, modulo 256
byte 5   link: units since that key unit; 0 is the key unit itself
byte 6   needed - 1: symbols that give the unit, 1..128
byte 7   index of this symbol, 0..254
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.codec.base import CodecError
from common.codec.header import SHRINKS, CodecHeader

MODEL = 0
HEADER_BYTES = 8
MAX_NEEDED, MAX_SYMBOLS = 128, 255
LAST_LINK = 255
H265 = 0


@dataclass(frozen=True, slots=True)
class ClassicHeader:
    """Parsed header; raises CodecError when a field is out of range."""

    width: int
    height: int
    fps: float
    shrink: int = 1
    chain: int = 0
    link: int = 0
    needed: int = 1
    index: int = 0

    def __post_init__(self) -> None:
        _ = self.view  # its checks are ours
        for name, value, low, high in (
            ("chain", self.chain, 0, 255),
            ("link", self.link, 0, LAST_LINK),
            ("needed", self.needed, 1, MAX_NEEDED),
            ("index", self.index, 0, MAX_SYMBOLS - 1),
        ):
            if not low <= value <= high:
                raise CodecError(f"{name}: must be {low}..{high} (got {value})")

    @property
    def view(self) -> CodecHeader:
        """What common.codec.view needs to scale pictures."""
        return CodecHeader(MODEL, self.width, self.height, self.fps, self.shrink)

    @property
    def key(self) -> bool:
        """Whether the unit needs no other."""
        return self.link == 0

    def same_unit(self, other: ClassicHeader) -> bool:
        """Whether both can be symbols of one unit."""
        return self == replace(other, index=self.index)

    def __bytes__(self) -> bytes:
        return bytes(
            (
                MODEL << 4 | SHRINKS.index(self.shrink) << 2 | H265,
                self.width // 16,
                self.height // 16,
                round(self.fps * 4),
                self.chain,
                self.link,
                self.needed - 1,
                self.index,
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> ClassicHeader:
        """Header of a payload; raises CodecError."""
        if len(payload) < HEADER_BYTES:
            raise CodecError(f"payload: {len(payload)} bytes are too short for the header")
        first, width, height, fps, chain, link, needed, index = payload[:HEADER_BYTES]
        if first >> 4 != MODEL:
            raise CodecError(f"model: {first >> 4} is not the classic profile")
        if first & 3 != H265:
            raise CodecError(f"codec: {first & 3} is not known here")
        if (first >> 2 & 3) >= len(SHRINKS):
            raise CodecError(f"shrink: must be one of {SHRINKS} (got number {first >> 2 & 3})")
        shrink = SHRINKS[first >> 2 & 3]
        return cls(16 * width, 16 * height, fps / 4, shrink, chain, link, needed + 1, index)
