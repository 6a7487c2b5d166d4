"""The operator's text: captions or telemetry, a line at a time, beside the picture (stream `text`).

A line is delivered by a reliable stream, or announced again and again where nothing comes back, or both while a link
changes from one to the other; its number tells that it is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from proto.wire import Reason, WireError

MAX_TEXT_BYTES = 400  # of UTF-8: a few lines on a screen, and half of what a packet holds


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it travels: number (4 bytes, big endian), UTF-8."""

    number: int  # counted up from 0 in a run of the sender
    text: str  # printable, at most MAX_TEXT_BYTES of UTF-8

    HEADER: ClassVar[Struct] = Struct(">I")

    @classmethod
    def of(cls, number: int, text: str) -> Line:
        """A line made fit to travel: what cannot be printed becomes spaces, what is too long is cut."""
        clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return cls(number, clean.encode(errors="replace")[:MAX_TEXT_BYTES].decode(errors="ignore"))

    @classmethod
    def parse(cls, message: bytes) -> Line:
        """Raises only WireError (short, oversized, malformed)."""
        if len(message) < cls.HEADER.size:
            raise WireError(Reason.SHORT, f"text: {len(message)} bytes, {cls.HEADER.size} needed")
        if len(message) > cls.HEADER.size + MAX_TEXT_BYTES:
            raise WireError(Reason.OVERSIZED, f"text: {len(message)} bytes")
        try:
            text = message[cls.HEADER.size :].decode()
        except UnicodeDecodeError:
            raise WireError(Reason.MALFORMED, "text: not UTF-8") from None
        if not text.isprintable():
            raise WireError(Reason.MALFORMED, "text: not printable")
        return cls(cls.HEADER.unpack_from(message)[0], text)

    def __bytes__(self) -> bytes:
        return self.HEADER.pack(self.number & 0xFFFFFFFF) + self.text.encode()
