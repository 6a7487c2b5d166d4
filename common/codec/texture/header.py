"""The header at the start of every `texture` payload: what the stream is, whole in each packet.

byte 0   15 (4 bits: the model id of no network) | 0 | group | scale (2 bits, number in SCALES)
byte 1   width / 16
byte 2   height / 16
byte 3   frames a second, in quarters
byte 4   frames of the unit - 1 (5 bits) | 0 (2 bits) | half
byte 5   0 (2 bits) | number of the quantiser step (6 bits); of a group how coarse it is, 0..63
"""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.base import CodecError, StreamInfo
from common.codec.header import CodecHeader

PROFILE = "structure"
MODEL = 15
HEADER_BYTES = 6
SCALES = (1, 2, 4, 8)  # sides of the picture over those of the small one
GROUP = 4  # bit of byte 0: the body is a closed AV1 group
HALF = 1  # bit of byte 4: it holds every second picture
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

    def of_group(self, number: int, half: bool) -> bytes:
        """The header of a unit that is a group as coarse as `number`, 0..63, of all or of `half` of the pictures."""
        head = self.with_step(number)
        return bytes((head[0] | GROUP, *head[1:4], head[4] | HALF * half, head[5]))

    @staticmethod
    def is_group(payload: bytes) -> bool:
        """Whether the body of a payload whose header was parsed is a group."""
        return bool(payload[0] & GROUP)

    @staticmethod
    def is_half(payload: bytes) -> bool:
        """Whether a group holds every second picture."""
        return bool(payload[4] & HALF)

    @staticmethod
    def step(payload: bytes) -> int:
        """Number of the quantiser step of a payload whose header was parsed."""
        return payload[HEADER_BYTES - 1]

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
        allowed = HALF if first & GROUP else 0
        if first & 8 or frames & 7 & ~allowed or step > 63:
            raise CodecError("payload: reserved bits are set")
        return cls(16 * width, 16 * height, fps / 4, (frames >> 3) + 1, SCALES[first & 3])
