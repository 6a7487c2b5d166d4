"""A legend as it travels: control messages of kind 2, as many as it takes, told again and again.

    byte 0    2
    byte 1    legend (6 bits, as in common.maps.part)
    byte 2    classes of it (1..254)
    byte 3    number of the first class told here
    byte 4    length of the legend's name, then the name (UTF-8, at most 32 bytes)
    then      for each class: red, green, blue, length of its name (1 byte each), its name (UTF-8, at most 24 bytes)

Nothing has to wait for one: a class that has not been told yet has a number for a name, and a colour of its own.
"""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from common.maps.base import VOID, Colour, Legend
from common.maps.part import MOST_LEGENDS
from proto.announce import KIND_LEGEND
from proto.wire import Reason, WireError

HEADER_BYTES = 5
ENTRY_BYTES = 4  # without the name
MAX_NAME_BYTES = 32
MAX_CLASS_BYTES = 24
_GOLDEN = 0.618034  # of the circle of hues: neighbours in number are far apart in colour

Entry = tuple[Colour, str]


@dataclass(frozen=True, slots=True)
class LegendPart:
    """One message: some classes of a legend, in order."""

    legend: int
    classes: int
    first: int
    name: str
    entries: tuple[Entry, ...]

    @classmethod
    def parse(cls, message: bytes) -> LegendPart:
        """Raises only WireError (short, malformed)."""
        if len(message) < HEADER_BYTES:
            raise WireError(Reason.SHORT, f"legend: {len(message)} bytes, {HEADER_BYTES} needed")
        kind, legend, classes, first, length = message[:HEADER_BYTES]
        if (
            kind != KIND_LEGEND
            or legend >= MOST_LEGENDS
            or not 1 <= classes < VOID
            or length > MAX_NAME_BYTES
        ):
            raise WireError(Reason.MALFORMED, f"legend: {classes} classes, name of {length} bytes")
        name, rest = _text(message[HEADER_BYTES:], length)
        entries: list[Entry] = []
        while rest:
            if len(rest) < ENTRY_BYTES or rest[3] > MAX_CLASS_BYTES:
                raise WireError(Reason.MALFORMED, "legend: a class is cut off, or its name too long")
            red, green, blue, length = rest[:ENTRY_BYTES]
            text, rest = _text(rest[ENTRY_BYTES:], length)
            entries.append(((red, green, blue), text))
        if not entries or first + len(entries) > classes:
            raise WireError(Reason.MALFORMED, f"legend: {len(entries)} from {first} of {classes} classes")
        return cls(legend, classes, first, name, tuple(entries))

    def __bytes__(self) -> bytes:
        name = self.name.encode()
        head = bytes((KIND_LEGEND, self.legend, self.classes, self.first, len(name))) + name
        return head + b"".join(_entry(entry) for entry in self.entries)


class LegendBook:
    """What has been told of the legends of one sender; the last one counts. Bounded: one legend."""

    def __init__(self) -> None:
        self._legend: int | None = None
        self._classes = 0
        self._name = ""
        self._entries: dict[int, Entry] = {}

    def take(self, part: LegendPart) -> None:
        """A message came."""
        if (part.legend, part.classes) != (self._legend, self._classes):
            self._entries = {}
        self._legend, self._classes, self._name = part.legend, part.classes, part.name
        for number, entry in enumerate(part.entries, part.first):
            self._entries[number] = entry

    def legend(self, number: int, least: int) -> Legend:
        """Legend `number` (of MapPart) of at least so many classes; what has not been told has names and colours of
        ours."""
        known = number == self._legend
        count = max(least, self._classes if known else 1)
        entries = [
            (self._entries.get(i) if known else None) or (made_up(i), str(i))
            for i in range(min(count, VOID - 1))
        ]
        return Legend(self._name if known else "", tuple(e[1] for e in entries), tuple(e[0] for e in entries))


def number_of(legend: Legend) -> int:
    """The number that a legend has on the wire: of its content, so that one made anew is the same."""
    return zlib.crc32(repr((legend.name, legend.classes, legend.colours)).encode()) % MOST_LEGENDS


def messages(legend: Legend, most_bytes: int) -> list[bytes]:
    """The messages that tell a legend, each of at most `most_bytes`; names are cut to what may travel. Raises
    ValueError where not even one class fits."""
    name = clean(legend.name, MAX_NAME_BYTES)
    entries = [
        (colour, clean(text, MAX_CLASS_BYTES))
        for colour, text in zip(legend.colours, legend.classes, strict=True)
    ]
    if most_bytes < HEADER_BYTES + len(name.encode()) + ENTRY_BYTES + MAX_CLASS_BYTES:
        raise ValueError(f"most_bytes: {most_bytes} hold no class of a legend")
    number = number_of(legend)
    return [
        bytes(LegendPart(number, len(entries), first, name, tuple(entries[first:end])))
        for first, end in _cuts(entries, most_bytes - HEADER_BYTES - len(name.encode()))
    ]


def made_up(number: int) -> Colour:
    """A colour for a class of which nothing is known."""
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.7, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def _cuts(entries: list[Entry], room: int) -> Iterator[tuple[int, int]]:
    first = used = 0
    for number, entry in enumerate(entries):
        size = len(_entry(entry))
        if used + size > room:
            yield first, number
            first, used = number, 0
        used += size
    yield first, len(entries)


def _entry(entry: Entry) -> bytes:
    text = entry[1].encode()
    return bytes((*entry[0], len(text))) + text


def _text(data: bytes, length: int) -> tuple[str, bytes]:
    """Printable UTF-8 of so many bytes, and what follows it."""
    if len(data) < length:
        raise WireError(Reason.SHORT, "legend: a name is cut off")
    try:
        text = data[:length].decode()
    except UnicodeDecodeError:
        raise WireError(Reason.MALFORMED, "legend: a name is not UTF-8") from None
    if not text.isprintable():
        raise WireError(Reason.MALFORMED, "legend: a name is not printable")
    return text, data[length:]


def clean(text: str, most: int) -> str:
    """What of a name may travel: printable, at most so many bytes of UTF-8."""
    kept = "".join(char if char.isprintable() else " " for char in text)
    return kept.encode(errors="replace")[:most].decode(errors="ignore")
