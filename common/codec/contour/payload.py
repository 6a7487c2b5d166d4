"""A payload as bytes: header, then the body (README.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.base import CodecError
from common.codec.contour import syntax
from common.codec.contour.coder import Coder, Contexts, Decoder, Encoder, Tally
from common.codec.contour.syntax import CONTEXTS, MAX_FRAMES, Contours, Records
from common.codec.contour.tables import AGES, ZEROS

FREE_BITS, BITS_A_BYTE = 1 << 14, 32
"""Adaptive bits of a payload, and for each byte of its body. Bits of no surprise cost next to none of the rate, but as
much time as any; a body that needs more of them ends in zeros."""
_PAPER, _GEOMETRY, _REPEATS, _TABLES = 0x80, 0x40, 0x20, 0x10


@dataclass(frozen=True, slots=True)
class Payload:
    """What one packet holds of a unit of `frames` maps."""

    frames: int
    body: Records | Contours
    tables: int = 0  # which the coder's contexts begin with: of scenes, or of single objects

    def __bytes__(self) -> bytes:
        coder = Encoder(begin(self.tables))
        self._write(coder)
        return self._header() + coder.finish(-(-(coder.bits - FREE_BITS) // BITS_A_BYTE))

    def tally(self, tally: Tally) -> None:
        """Counts the bits of the body by context."""
        self._write(tally)

    def _header(self) -> bytes:
        geometry = self.body.geometry
        paper = isinstance(self.body, Contours)
        flags = (
            paper * _PAPER
            | self.tables * _TABLES
            | (geometry is not None) * _GEOMETRY
            | self._repeats * _REPEATS
        )
        return bytes((flags | self.frames - 1,))

    @property
    def _repeats(self) -> bool:
        return isinstance(self.body, Records) and bool(self.body.repeats)

    def _write(self, coder: Coder) -> None:
        geometry = self.body.geometry
        if geometry:
            syntax.placed(coder, geometry)
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
        if first & _PAPER and first & (_REPEATS | _TABLES):
            raise CodecError(f"contours: reserved bits are set (got {first:#x})")
        frames, tables = (first & MAX_FRAMES - 1) + 1, int(first & _TABLES > 0)
        paper, placed = bool(first & _PAPER), bool(first & _GEOMETRY)
        if paper and not placed:
            raise CodecError("geometry: missing beside contours")
        coder = Decoder(begin(tables), data[1:], FREE_BITS + BITS_A_BYTE * (len(data) - 1))
        geometry = syntax.placed(coder, None) if placed else None
        body: Records | Contours
        if paper and geometry:
            body = syntax.contours(coder, Contours(geometry, 0), geometry, frames)
        else:
            body = syntax.records(coder, Records(geometry, ()), geometry, frames, bool(first & _REPEATS))
        coder.finish()
        return cls(frames, body, tables)


def begin(tables: int) -> Contexts:
    """The contexts that a payload begins with."""
    return Contexts(ZEROS[tables], AGES[tables])


def fresh() -> Tally:
    """A tally of all contexts."""
    return Tally(CONTEXTS)
