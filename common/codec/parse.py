"""From payloads to views as decoded: exact integers, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.codec import av1, symbols
from common.codec.base import CodecError, Segments
from common.codec.header import FRAMES, HEADER_BYTES, CodecHeader
from common.codec.view import coded_size
from common.video import Picture


@dataclass(frozen=True, slots=True)
class View:
    """A view as the AV1 decoder gives it: `coded` pictures, small and mirrored."""

    header: CodecHeader
    coded: list[Picture]


def parse_unit(received: Segments, model: int | None = None) -> tuple[CodecHeader, list[View]] | None:
    """What arrived of a unit: a header of it, and the views that are shown, the finer one alone if it is there; nothing
    where no segment did. Raises CodecError where a packet is damaged, or of another `model` if one is given, or where
    they disagree."""
    payloads = [payload for payload in received.segments if payload is not None]
    if not payloads:
        return None
    packets = [(CodecHeader.parse(payload), payload[HEADER_BYTES:]) for payload in payloads]
    first = packets[0][0]
    if model is not None and first.model != model:
        raise CodecError(f"model: {first.model} is not known here")
    if not all(header.same_stream(first) for header, _ in packets):
        raise CodecError("unit: its packets disagree about the stream")
    finer = _finer([(header, body) for header, body in packets if header.needed > 1])
    if finer:
        return first, [finer]
    different = {int(header.mirror): (header, body) for header, body in packets if header.needed == 1}
    return first, [_view(header, body) for header, body in different.values()]


def _finer(packets: Sequence[tuple[CodecHeader, bytes]]) -> View | None:
    """The view that symbols tell of, if they are enough."""
    if not packets:
        return None
    first, symbol = packets[0]
    if not all(header.same_view(first) and len(body) == len(symbol) for header, body in packets):
        raise CodecError("unit: its symbols disagree about the view")
    by_number = {header.index: body for header, body in packets}
    if len(by_number) < first.needed:
        return None
    return _view(first, symbols.join(by_number, first.needed))


def _view(header: CodecHeader, data: bytes) -> View:
    return View(header, av1.decode(data, *coded_size(header), FRAMES))
