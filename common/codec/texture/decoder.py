"""The texture decoder: whatever arrived of a unit -> small pictures -> pictures of the full size, and trust."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from common.codec.base import CodecError, DecodedUnit, Segments
from common.codec.decoder import ResilientDecoder
from common.codec.header import FRAMES
from common.codec.texture.header import HEADER_BYTES, TextureHeader
from common.codec.texture.scaling import enlarge
from common.codec.weights import load_model
from common.video import Picture


@dataclass(frozen=True, slots=True)
class _Inner:
    unit: int
    segments: tuple[bytes | None, ...]


class TextureDecoder:
    """Decodes the units of one session in order; owns its state. Called by one thread."""

    def __init__(self, backend: str = "auto", threads: int = 1) -> None:
        self._inner = ResilientDecoder(load_model("resilient"), backend, threads)
        self._header: TextureHeader | None = None
        self._small: list[Picture] = []

    @property
    def small(self) -> list[Picture]:
        """The small pictures of the unit decoded last, as many as its frames; DecodedUnit.trust holds for them too."""
        return self._small

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder.decode. Before anything arrived there is no geometry: CodecError."""
        payloads = received.segments if received else ()
        headers = [TextureHeader.parse(payload) for payload in payloads if payload is not None]
        if any(header != headers[0] for header in headers):
            raise CodecError("unit: its packets disagree about the stream")
        header = headers[0] if headers else self._header
        if header is None:
            raise CodecError("unit: nothing has arrived yet, so its geometry is unknown")
        inner = tuple(None if payload is None else payload[HEADER_BYTES:] for payload in payloads)
        decoded = self._inner.decode(_Inner(received.unit, inner) if received else None)
        self._header = header
        step = header.frames // FRAMES
        self._small = [picture for picture in decoded.pictures for _ in range(step)]
        large = [enlarge(picture, header.width, header.height) for picture in decoded.pictures]
        trust = np.full(header.positions, decoded.trust.max(), np.uint8)
        arrived = trust.size if decoded.arrived else 0
        return replace(
            decoded,
            pictures=[picture for picture in large for _ in range(step)],
            trust=trust,
            arrived=arrived,
            total=trust.size,
            fps=header.fps,
        )
