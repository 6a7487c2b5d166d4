"""A payload as bytes: header, then the body that syntax.py describes."""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.base import CodecError
from common.codec.contour import syntax
from common.codec.contour.coder import Coder, Contexts, Decoder, Encoder, Tally
from common.codec.contour.syntax import CONTEXTS, MAX_FRAMES, Contours, Geometry, Records
from common.codec.contour.tables import AGES, ZEROS

_PAPER, _GEOMETRY, _REPEATS = 0x80, 0x40, 0x20


@dataclass(frozen=True, slots=True)
class Payload:
    """What one packet holds of a unit of `frames` maps."""

    frames: int
    body: Records | Contours

    def __bytes__(self) -> bytes:
        coder = Encoder(Contexts(ZEROS, AGES))
        self._write(coder)
        return self._header() + coder.finish()

    def tally(self, tally: Tally) -> None:
        """Counts the bits of the body by context."""
        self._write(tally)

    def _header(self) -> bytes:
        geometry = self.body.geometry
        paper = isinstance(self.body, Contours)
        flags = paper * _PAPER | (geometry is not None) * _GEOMETRY | self._repeats * _REPEATS
        first = bytes((flags | self.frames - 1,))
        return first + ((geometry.width - 1) << 12 | geometry.height - 1).to_bytes(3) if geometry else first

    @property
    def _repeats(self) -> bool:
        return isinstance(self.body, Records) and bool(self.body.repeats)

    def _write(self, coder: Coder) -> None:
        geometry = self.body.geometry
        if geometry:
            coder.raw(3, geometry.class_bits - 1)
            coder.raw(geometry.class_bits, geometry.ground)
        if isinstance(self.body, Records):
            syntax.records(coder, self.body, geometry, self.frames, self._repeats)
        else:
            syntax.contours(coder, self.body, self.body.geometry, self.frames)

    @classmethod
    def parse(cls, data: bytes) -> Payload:
        """Payload of a packet; raises CodecError."""
        if not data:
            raise CodecError("contours: the payload is empty")
        first = data[0]
        if first & 0x10 or (first & _PAPER and first & _REPEATS):
            raise CodecError(f"contours: reserved bits are set (got {first:#x})")
        frames, paper, placed = (first & MAX_FRAMES - 1) + 1, bool(first & _PAPER), bool(first & _GEOMETRY)
        if paper and not placed:
            raise CodecError("geometry: missing beside contours")
        start = 4 if placed else 1
        if len(data) < start:
            raise CodecError(f"contours: {len(data)} bytes are too short for the geometry")
        coder = Decoder(Contexts(ZEROS, AGES), data[start:])
        geometry = None
        if placed:
            sides = int.from_bytes(data[1:4])
            bits = coder.raw(3) + 1
            geometry = Geometry((sides >> 12) + 1, (sides & 0xFFF) + 1, bits, coder.raw(bits))
        body: Records | Contours
        if paper and geometry:
            body = syntax.contours(coder, Contours(geometry, 0), geometry, frames)
        else:
            body = syntax.records(coder, Records(geometry, ()), geometry, frames, bool(first & _REPEATS))
        coder.finish()
        return cls(frames, body)


def fresh() -> Tally:
    """A tally of all contexts."""
    return Tally(CONTEXTS)
