"""A unit of the contours stream: one payload of the contour codec behind 4 bytes that say where it belongs.

    byte 0    version (2 bits, 0) | legend (6 bits): which one names its classes, see common.maps.told
    byte 1    number of the map unit, modulo 256
    byte 2    index of this part in the map unit (4 bits) | parts - 1 (4 bits)
    byte 3    time from one map of the unit to the next, in ticks of 4 ms (1..255)
    then      the payload (common/codec/contour)

Its timestamp is when the first map of the map unit was captured.
"""

from __future__ import annotations

from dataclasses import dataclass

from proto.wire import Reason, WireError

HEADER_BYTES = 4
VERSION = 0
MOST_PARTS = 16
MOST_LEGENDS = 64
MOST_MISSED = 4
"""Map units in a row that a receiver conceals; after more of them it forgets all instances. A sender whose encoder
begins anew leaves out one number more."""


@dataclass(frozen=True, slots=True)
class MapPart:
    """What one unit of the stream holds."""

    unit: int
    """Number of the map unit, modulo 256."""
    index: int
    parts: int
    """1 to 16 that the map unit was cut into; any subset of them decodes."""
    interval: int
    """Ticks of 4 ms from map to map."""
    legend: int
    """0..63."""
    data: bytes

    @classmethod
    def parse(cls, data: bytes) -> MapPart:
        """Raises only WireError (short, malformed)."""
        if len(data) <= HEADER_BYTES:
            raise WireError(Reason.SHORT, f"map part: {len(data)} bytes, {HEADER_BYTES + 1} needed")
        first, unit, cut, interval = data[:HEADER_BYTES]
        if first >> 6 != VERSION:
            raise WireError(Reason.MALFORMED, f"map part: version {first >> 6}")
        part = cls(unit, cut >> 4, (cut & 15) + 1, interval, first & 63, data[HEADER_BYTES:])
        part.check()
        return part

    def __bytes__(self) -> bytes:
        """Raises WireError where `parse` would refuse it."""
        self.check()
        head = (VERSION << 6 | self.legend, self.unit, self.index << 4 | self.parts - 1, self.interval)
        return bytes(head) + self.data

    def check(self) -> None:
        """Raises WireError (malformed) unless every field keeps its range."""
        if not 0 <= self.index < self.parts <= MOST_PARTS:
            raise WireError(Reason.MALFORMED, f"map part: part {self.index} of {self.parts}")
        if not (0 <= self.unit <= 255 and 1 <= self.interval <= 255 and 0 <= self.legend < MOST_LEGENDS):
            raise WireError(Reason.MALFORMED, f"map part: unit {self.unit}, interval {self.interval}")
