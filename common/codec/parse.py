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


def parse_unit(received: Segments) -> tuple[CodecHeader, list[View]] | None:
    """What arrived of a unit: its header, and all views that can be decoded; nothing where no segment did. Raises
    CodecError where a packet is damaged or they disagree."""
    payloads = [payload for payload in received.segments if payload is not None]
    if not payloads:
        return None
    headers = [CodecHeader.parse(payload) for payload in payloads]
    first = headers[0]
    if not all(header.agrees(first) for header in headers):
        raise CodecError("unit: its packets disagree about the stream")
    bodies = [payload[HEADER_BYTES:] for payload in payloads]
    if first.needed > 1:
        return first, _joined(headers, bodies)
    different = {int(header.mirror): (header, body) for header, body in zip(headers, bodies, strict=True)}
    return first, [_view(header, body) for header, body in different.values()]


def _joined(headers: Sequence[CodecHeader], bodies: Sequence[bytes]) -> list[View]:
    """The one view that symbols tell of, if they are enough."""
    if len({len(body) for body in bodies}) > 1:
        raise CodecError("unit: its symbols differ in length")
    by_number = {header.index: body for header, body in zip(headers, bodies, strict=True)}
    if len(by_number) < headers[0].needed:
        return []
    return [_view(headers[0], symbols.join(by_number, headers[0].needed))]


def _view(header: CodecHeader, data: bytes) -> View:
    return View(header, av1.decode(data, *coded_size(header), FRAMES))
