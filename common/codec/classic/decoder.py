"""The `classic` decoder: symbols -> unit -> pictures; what cannot be decoded is held until the next key unit."""

from __future__ import annotations

import time

import numpy as np

from common.codec import symbols
from common.codec.base import IMAGINED, RECEIVED, RECOVERED, CodecError, DecodedUnit, Segments
from common.codec.classic.body import Body
from common.codec.classic.header import HEADER_BYTES, ClassicHeader
from common.codec.header import FRAMES
from common.codec.hevc.stream import Decoder
from common.codec.pictures import join
from common.codec.view import coded_size, put
from common.video import Picture, blank

GREY = 128
RECOVERED_SECONDS = 1.0  # that a held picture counts as recovered; then it is imagined


class ClassicDecoder:
    """Decodes the units of one session in order; owns its state: the coder's references and the last picture."""

    def __init__(self) -> None:
        self._header: ClassicHeader | None = None
        self._decoder: Decoder | None = None  # None: no reference, wait for a key unit
        self._next: tuple[int, int] | None = None  # chain and link of the unit that can be decoded
        self._last: Picture | None = None
        self._missed = 0  # units since the last that was decoded
        self._seen = False  # whether what is held was ever received
        self._quality = 0

    @property
    def last(self) -> Picture | None:
        """The last picture shown."""
        return self._last

    def adopt(self, picture: Picture) -> None:
        """Take a picture that another decoder has shown last: it is held where nothing can be decoded."""
        self._last, self._seen, self._missed = picture, True, 0

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder.decode. Before anything arrived there is no geometry: CodecError.

        Chain and link tell whether the reference is there, so to conceal in between, or to refuse a unit before it
        reached the coder, loses nothing."""
        begun = time.perf_counter()
        unit = parse_unit(received) if received else None
        if unit is None and self._header is None:
            raise CodecError("unit: nothing has arrived yet, so its geometry is unknown")
        header, data = unit or (self._header, None)
        assert header is not None
        self._begin(header)
        parsed = time.perf_counter()
        pictures = self._pictures(header, data) if data is not None else None
        done = time.perf_counter()
        if pictures is None:
            self._missed += 1
            pictures = self._held()
        else:
            self._missed, self._seen, self._last = 0, True, pictures[-1]
        return self._decoded(pictures, {"parse": parsed - begun, "recover": 0.0, "decode": done - parsed})

    def _begin(self, header: ClassicHeader) -> None:
        """A new size is a new start."""
        shape = (header.height * 3 // 2, header.width)
        if self._last is None or self._last.shape != shape:
            self._last = blank(header.width, header.height, GREY)
            self._seen, self._decoder, self._missed = False, None, 0
        self._header = header

    def _pictures(self, header: ClassicHeader, data: bytes) -> list[Picture] | None:
        """Those of a whole unit; None where what it refers to is not there."""
        here = header.chain, header.link
        if header.key:
            self._decoder = Decoder(*coded_size(header.view))
        elif self._decoder is None or here != self._next:
            return None
        decoder, self._decoder = self._decoder, None  # of no more use after an error
        assert decoder is not None
        body = Body.parse(data)
        if header.key and not body.coded[0]:
            raise CodecError("unit: a key unit without a key frame")
        coded = [decoder.decode(part) if part else None for part in body.coded]
        self._decoder, self._next, self._quality = decoder, (header.chain, header.link + 1), body.quality
        shown: list[Picture] = []
        fresh = [picture for picture in coded if picture is not None]
        scaled = iter(join(put(fresh, header.view)) if fresh else [])
        assert self._last is not None
        for picture in coded:
            before = shown[-1] if shown else self._last
            shown.append(before if picture is None else next(scaled))
        return shown

    def _held(self) -> list[Picture]:
        assert self._last is not None
        return [self._last] * FRAMES

    def _decoded(self, pictures: list[Picture], stages: dict[str, float]) -> DecodedUnit:
        assert self._header is not None
        view = self._header.view
        recent = self._seen and self._missed * FRAMES / view.fps <= RECOVERED_SECONDS
        trust = RECEIVED if self._missed == 0 else RECOVERED if recent else IMAGINED
        blocks = np.full(view.positions, trust, np.uint8)
        arrived = blocks.size if self._missed == 0 else 0
        return DecodedUnit(pictures, blocks, arrived, blocks.size, view.fps, self._quality, stages)


def parse_unit(received: Segments) -> tuple[ClassicHeader, bytes | None] | None:
    """Header and data of a unit; no data where too few symbols are there, nothing where none is. Raises CodecError
    where a payload is damaged or they disagree."""
    payloads = [payload for payload in received.segments if payload is not None]
    if not payloads:
        return None
    packets = [(ClassicHeader.parse(payload), payload[HEADER_BYTES:]) for payload in payloads]
    first, symbol = packets[0]
    if not symbol:
        raise CodecError("unit: an empty symbol")
    if not all(header.same_unit(first) and len(body) == len(symbol) for header, body in packets):
        raise CodecError("unit: its symbols disagree")
    by_number = {header.index: body for header, body in packets}
    if len(by_number) < first.needed:
        return first, None
    return first, symbols.join(by_number, first.needed)
