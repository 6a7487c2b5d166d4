"""The payload of the audio stream: one packet, which is decoded alone or with whichever others arrive.

    byte 0    version (2 bits, 0) | frame duration (2 bits: 0 20 ms, 1 40 ms, 2 60 ms) | reserved (2 bits, 0) | stride
              less 1 (2 bits)
    byte 1    phase: the first sample's time after the unit's timestamp, in 1/256 of a tick of 4 ms
    then      the frames, before each its length: one or two bytes as in RFC 6716 section 3.2.1

Frame j begins at timestamp + phase + j * stride * duration. A frame is one Opus packet (RFC 6716 section 3, with its
TOC byte), mono or stereo, of the duration that the header says.
"""

from __future__ import annotations

from dataclasses import dataclass

from proto.wire import TICK_SECONDS, TICKS_PER_SECOND

HEADER_BYTES = 2
FRAME_MS = (20, 40, 60)
MAX_FRAMES = 24
MAX_FRAME_BYTES = 1275
"""RFC 6716 section 3.4, R2; also what two bytes of length can say."""

MAX_STRIDE = 4
PHASES = 256
_TWO_BYTES = 252  # lengths from here on take two bytes


class AudioError(ValueError):
    """What arrived is no audio payload, or no sound can be made of it."""


@dataclass(frozen=True, slots=True)
class AudioPayload:
    """The frames of one packet."""

    frame_ms: int  # 20, 40 or 60
    frames: tuple[bytes, ...]  # 1..24, of 1..1275 bytes
    stride: int = 1  # from one frame to the next in frames, 1..4
    phase: int = 0  # 0..255

    @classmethod
    def parse(cls, data: bytes) -> AudioPayload:
        """Raises only AudioError."""
        if len(data) <= HEADER_BYTES:
            raise AudioError(f"{len(data)} bytes are no payload")
        head, phase = data[0], data[1]
        if head >> 6 or head & 0x0C or (head >> 4 & 3) >= len(FRAME_MS):
            raise AudioError(f"unknown form 0x{head:02x}")
        frames: list[bytes] = []
        at = HEADER_BYTES
        while at < len(data):
            length, at = _length(data, at)
            if len(frames) == MAX_FRAMES or at + length > len(data):
                raise AudioError(f"frame {len(frames)} of {length} bytes: {len(data) - at} are left")
            frames.append(data[at : at + length])
            at += length
        payload = cls(FRAME_MS[head >> 4 & 3], tuple(frames), (head & 3) + 1, phase)
        payload.check()
        return payload

    def __bytes__(self) -> bytes:
        """The payload. Raises AudioError where `parse` would refuse it."""
        self.check()
        head = FRAME_MS.index(self.frame_ms) << 4 | self.stride - 1
        out = bytearray((head, self.phase))
        for frame in self.frames:
            out += _coded(len(frame)) + frame
        return bytes(out)

    def check(self) -> None:
        """Raises AudioError unless every field keeps its range."""
        if self.frame_ms not in FRAME_MS or not 1 <= self.stride <= MAX_STRIDE:
            raise AudioError(f"frames of {self.frame_ms} ms, every {self.stride}.")
        if not 1 <= len(self.frames) <= MAX_FRAMES or not 0 <= self.phase < PHASES:
            raise AudioError(f"{len(self.frames)} frames, phase {self.phase}")
        if any(not 1 <= len(frame) <= MAX_FRAME_BYTES for frame in self.frames):
            raise AudioError(f"frames of {', '.join(str(len(frame)) for frame in self.frames)} bytes")


def split_time(captured_at: float) -> tuple[float, int]:
    """(unit's timestamp, a whole number of ticks; phase) of a time in seconds."""
    ticks, phase = divmod(round(captured_at * TICKS_PER_SECOND * PHASES), PHASES)
    return ticks * TICK_SECONDS, phase


def join_time(timestamp: float, phase: int) -> float:
    """Inverse of `split_time`: seconds."""
    return timestamp + phase * TICK_SECONDS / PHASES


def _length(data: bytes, at: int) -> tuple[int, int]:
    """(length, where the frame begins)."""
    first = data[at]
    if first < _TWO_BYTES:
        return first, at + 1
    if at + 1 >= len(data):
        raise AudioError("a length of two bytes is cut off")
    return 4 * data[at + 1] + first, at + 2


def _coded(length: int) -> bytes:
    if length < _TWO_BYTES:
        return bytes((length,))
    first = _TWO_BYTES + (length & 3)
    return bytes((first, (length - first) >> 2))
