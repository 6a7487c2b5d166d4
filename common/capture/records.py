"""The records of a capture file: bytes in, records out, and back. README.md beside this is the spec. Pure."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from struct import Struct
from typing import Any, ClassVar

MAGIC = b"\x89SMC\r\n\x1a\n"
"""First bytes of a file; as with PNG, a transfer in text mode shows at once."""

VERSION = 1
SESSION_BYTES = 6
MARK = 0xA55C
HEAD = Struct(">HBBII")
"""Mark, kind, reserved, bytes of the body, CRC32 of all before it and the body."""
MAX_BODY = 1 << 16
"""Bytes of a record's body; a larger length is damage."""
MAX_STEPS = 256

RECEIVED, SENT = 1, 2
CLOSED, NEXT_PART = 1, 2


class CaptureError(ValueError):
    """The file is no capture, or one that cannot be read here; the message says why."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first record of each file."""

    role: int
    """RECEIVED or SENT."""
    run: bytes
    """8 random bytes: the same in all parts of a run."""
    part: int
    """From 0."""
    clock: float
    """Seconds of the clock of all times in the run, when the file was begun."""
    wall: float
    """The same moment in seconds since the Unix epoch."""
    software: str = ""

    KIND: ClassVar[int] = 1
    FIXED: ClassVar[Struct] = Struct(">BB8sIdd")

    @classmethod
    def parse(cls, body: bytes) -> Start:
        """Raises CaptureError."""
        version, role, run, part, clock, wall = _unpack(cls.FIXED, body)
        if version > VERSION:
            raise CaptureError(f"made by a newer version (format {version}, {VERSION} is known here)")
        _check_times(clock, wall)
        return cls(role, run, part, clock, wall, body[cls.FIXED.size :][:256].decode("utf-8", "replace"))

    def __bytes__(self) -> bytes:
        text = self.software.encode()[:256]
        return self.FIXED.pack(VERSION, self.role, self.run, self.part, self.clock, self.wall) + text


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that was authentic and fresh, or that was sent."""

    time: float
    session: bytes
    origin: bytes
    """The first session of the sender's run, as far as it was known then."""
    stream: int
    counter: int
    two_way: bool
    """Whether it came under keys agreed in a handshake."""
    body: bytes
    """What was sealed."""

    KIND: ClassVar[int] = 2
    FIXED: ClassVar[Struct] = Struct(">d6s6sBBI")

    @classmethod
    def parse(cls, body: bytes) -> Packet:
        """Raises CaptureError."""
        time, session, origin, stream, flags, counter = _unpack(cls.FIXED, body)
        _check_times(time)
        return cls(time, session, origin, stream, counter, bool(flags & 1), body[cls.FIXED.size :])

    def __bytes__(self) -> bytes:
        fixed = self.FIXED.pack(self.time, self.session, self.origin, self.stream, self.two_way, self.counter)
        return fixed + self.body


@dataclass(frozen=True, slots=True)
class Dropped:
    """Records are missing here, because the disk was too slow or full."""

    time: float
    records: int

    KIND: ClassVar[int] = 3
    FIXED: ClassVar[Struct] = Struct(">dQ")

    @classmethod
    def parse(cls, body: bytes) -> Dropped:
        """Raises CaptureError."""
        time, records = _unpack(cls.FIXED, body)
        _check_times(time)
        return cls(time, records)

    def __bytes__(self) -> bytes:
        return self.FIXED.pack(self.time, self.records)


@dataclass(frozen=True, slots=True)
class End:
    """The file was closed; without it the process was killed or the disk was full."""

    time: float
    reason: int

    KIND: ClassVar[int] = 4
    FIXED: ClassVar[Struct] = Struct(">dB")

    @classmethod
    def parse(cls, body: bytes) -> End:
        """Raises CaptureError."""
        time, reason = _unpack(cls.FIXED, body)
        _check_times(time)
        return cls(time, reason)

    def __bytes__(self) -> bytes:
        return self.FIXED.pack(self.time, self.reason)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder was given and when it was done: the mask of a unit as it was when its time had come."""

    time: float
    seconds: float
    """That decoding took."""
    generation: int
    """Which run of a sender, counted by the receiver."""
    unit: int
    concealed: bool
    """Nothing was given to it."""
    refused: bool
    """It was not decoded."""
    empty: bool
    """No picture was made."""
    mask: tuple[bool, ...]
    """Which packets of the unit were there."""

    KIND: ClassVar[int] = 5
    FIXED: ClassVar[Struct] = Struct(">ddIQBB")

    @classmethod
    def parse(cls, body: bytes) -> Decoded:
        """Raises CaptureError."""
        time, seconds, generation, unit, flags, count = _unpack(cls.FIXED, body)
        _check_times(time, seconds)
        bits = body[cls.FIXED.size :]
        if len(bits) < (count + 7) // 8:
            raise CaptureError(f"mask of {count} packets in {len(bits)} bytes")
        mask = tuple(bool(bits[i // 8] >> (i % 8) & 1) for i in range(count))
        return cls(time, seconds, generation, unit, bool(flags & 1), bool(flags & 2), bool(flags & 4), mask)

    def __bytes__(self) -> bytes:
        flags = self.concealed | self.refused << 1 | self.empty << 2
        bits = bytearray((len(self.mask) + 7) // 8)
        for i, there in enumerate(self.mask):
            bits[i // 8] |= there << (i % 8)
        fixed = (self.time, self.seconds, self.generation, self.unit, flags, len(self.mask))
        return self.FIXED.pack(*fixed) + bytes(bits)


@dataclass(frozen=True, slots=True)
class Steps:
    """When the player looked what was due: with the other records, all that its decisions came from."""

    times: tuple[float, ...]

    KIND: ClassVar[int] = 6

    @classmethod
    def parse(cls, body: bytes) -> Steps:
        """Raises CaptureError."""
        if len(body) % 8 or len(body) > 8 * MAX_STEPS:
            raise CaptureError(f"{len(body)} bytes of times")
        times = struct.unpack(f">{len(body) // 8}d", body)
        _check_times(*times)
        return cls(times)

    def __bytes__(self) -> bytes:
        return struct.pack(f">{len(self.times)}d", *self.times)


Record = Start | Packet | Dropped | End | Decoded | Steps
KINDS: dict[int, type[Record]] = {kind.KIND: kind for kind in (Start, Packet, Dropped, End, Decoded, Steps)}


def pack(record: Record) -> bytes:
    """A record as it is in the file."""
    body = bytes(record)
    head = HEAD.pack(MARK, record.KIND, 0, len(body), 0)[:-4]
    return head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big") + body


def _unpack(fixed: Struct, body: bytes) -> tuple[Any, ...]:
    if len(body) < fixed.size:
        raise CaptureError(f"record of {len(body)} bytes, {fixed.size} needed")
    return fixed.unpack_from(body)


def _check_times(*times: object) -> None:
    for time in times:
        if not (isinstance(time, float) and 0.0 <= time < 1e12):
            raise CaptureError(f"time {time}")
