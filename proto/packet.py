"""The segment: what one packet carries of one access unit, with its 6-byte header (README.md, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from proto.wire import DATAGRAM_LIMIT, INNER_HEADER_BYTES, MAX_COUNT, OVERHEAD_BYTES, Reason, WireError

_PAYLOAD_LIMIT = DATAGRAM_LIMIT - OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Segment:
    """Segment `index` of the `count` segments of one access unit; numbers as they are on the wire."""

    stream: int  # travels in the outer header
    unit: int  # access unit number modulo 2**16
    index: int  # 0..count-1
    count: int  # 1..255
    timestamp: int  # capture time of the unit's first frame, 4 ms steps modulo 2**16
    payload: bytes

    HEADER: ClassVar[Struct] = Struct(">HBBH")

    @classmethod
    def parse(cls, stream: int, body: bytes) -> Segment:
        """The segment in an opened packet body. Raises only WireError (short, malformed, oversized)."""
        if len(body) < INNER_HEADER_BYTES:
            raise WireError(Reason.SHORT, f"inner header: {len(body)} bytes, {INNER_HEADER_BYTES} needed")
        unit, index, count, timestamp = cls.HEADER.unpack_from(body)
        segment = cls(stream, unit, index, count, timestamp, body[INNER_HEADER_BYTES:])
        segment.check()
        return segment

    def __bytes__(self) -> bytes:
        """Inner header and payload, to be sealed. Raises WireError where `parse` would refuse the result."""
        self.check()
        return self.HEADER.pack(self.unit, self.index, self.count, self.timestamp) + self.payload

    def __len__(self) -> int:
        """Bytes of the datagram that carries it."""
        return OVERHEAD_BYTES + len(self.payload)

    def check(self) -> None:
        """Raises WireError (malformed, oversized) unless every field keeps its range."""
        if not 0 <= self.index < self.count <= MAX_COUNT:
            raise WireError(Reason.MALFORMED, f"index {self.index} of count {self.count}")
        if not (0 <= self.unit <= 0xFFFF and 0 <= self.timestamp <= 0xFFFF):
            raise WireError(Reason.MALFORMED, f"unit {self.unit}, timestamp {self.timestamp}: not 16 bits")
        if len(self.payload) > _PAYLOAD_LIMIT:
            raise WireError(Reason.OVERSIZED, f"payload: {len(self.payload)} bytes, at most {_PAYLOAD_LIMIT}")
