"""The header at the start of every `texture` payload: what the stream is, whole in each packet.

byte 0   15 (4 bits: the model id of no network) | 0 | group | scale (2 bits, number in SCALES)
byte 1   width / 16
byte 2   height / 16
byte 3   frames a second, in quarters
byte 4   frames of the unit - 1 (5 bits) | which pictures a group holds (3 bits, number in EVERY)
byte 5   refers | 0 | number of the quantiser step (6 bits); of a group how coarse it is, 0..63
"""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.base import CodecError, StreamInfo
from common.codec.header import CodecHeader

PROFILE = "structure"
MODEL = 15
HEADER_BYTES = 6
SCALES = (1, 2, 4, 8)  # sides of the picture over those of the small one
GROUP = 4  # bit of byte 0: the body is a group
REFERS = 128  # bit of byte 5: it refers to a unit before
EVERY = (1, 2, 4, 8, 16, 32)  # a group holds all pictures, or the last of so many
MOST_FRAMES = 32  # of one access unit
MOST_SAMPLES = 1 << 20  # of luma, of all small pictures of a unit; see also syntax.most_visited


@dataclass(frozen=True, slots=True)
class TextureHeader:
    """Parsed header; raises CodecError when a field is out of range."""

    width: int
    height: int
    fps: float
    frames: int
    scale: int = 4

    def __post_init__(self) -> None:
        CodecHeader(MODEL, self.width, self.height, self.fps)  # its checks are ours
        if self.scale not in SCALES:
            raise CodecError(f"scale: must be one of {SCALES} (got {self.scale})")
        if not 1 <= self.frames <= MOST_FRAMES:
            raise CodecError(f"frames: must be 1..{MOST_FRAMES} (got {self.frames})")
        width, height = self.coded_size
        if width * height * self.frames > MOST_SAMPLES:
            raise CodecError(
                f"size: {self.frames} small pictures of {width}x{height} are too much for a unit"
            )

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns of 16x16 luma samples of the full size, of which trust is told."""
        return self.height // 16, self.width // 16

    @property
    def coded_size(self) -> tuple[int, int]:
        """(width, height) of the small pictures, both even."""
        width, height = (-(-side // (2 * self.scale)) * 2 for side in (self.width, self.height))
        return width, height

    @property
    def info(self) -> StreamInfo:
        """What the daemons need to know of the stream."""
        return StreamInfo(PROFILE, self.width, self.height, self.fps, self.frames, whole=True)

    def with_step(self, number: int) -> bytes:
        """The header of a unit quantised with step `number`, 0..63."""
        return bytes(self) + bytes((number,))

    def of_group(self, number: int, every: int, refers: bool) -> bytes:
        """The header of a unit that is a group as coarse as `number`, 0..63, of the last of `every` pictures each."""
        head = self.with_step(number)
        which = head[4] | EVERY.index(every)
        return bytes((head[0] | GROUP, *head[1:4], which, head[5] | REFERS * refers))

    @staticmethod
    def is_group(payload: bytes) -> bool:
        """Whether the body of a payload whose header was parsed is a group."""
        return bool(payload[0] & GROUP)

    @staticmethod
    def refers(payload: bytes) -> bool:
        """Whether a group refers to a unit before."""
        return bool(payload[5] & REFERS)

    @staticmethod
    def every(payload: bytes) -> int:
        """Of how many pictures a group holds one."""
        return EVERY[payload[4] & 7]

    @staticmethod
    def step(payload: bytes) -> int:
        """Number of the quantiser step of a payload whose header was parsed."""
        return payload[HEADER_BYTES - 1] & 63

    def __bytes__(self) -> bytes:
        return bytes(
            (
                MODEL << 4 | SCALES.index(self.scale),
                self.width // 16,
                self.height // 16,
                round(self.fps * 4),
                (self.frames - 1) << 3,
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> TextureHeader:
        """Header of a payload; raises CodecError."""
        if len(payload) < HEADER_BYTES:
            raise CodecError(f"payload: {len(payload)} bytes are too short for the header")
        first, width, height, fps, frames, step = payload[:HEADER_BYTES]
        if first >> 4 != MODEL:
            raise CodecError(f"model: {first >> 4} is not a texture")
        free = (8, 64, 0) if first & GROUP else (8, 64 | REFERS, 7)
        if first & free[0] or step & free[1] or frames & free[2] or frames & 7 >= len(EVERY):
            raise CodecError("payload: reserved bits are set")
        return cls(16 * width, 16 * height, fps / 4, (frames >> 3) + 1, SCALES[first & 3])
