"""The `resilient` decoder: whatever arrived of a unit -> a draft of its pictures -> pictures and trust."""

from __future__ import annotations

import time

import numpy as np

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, CodecError, DecodedUnit, Segments
from common.codec.compose import Draft, Last, compose
from common.codec.header import FRAMES, CodecHeader
from common.codec.parse import parse_unit
from common.codec.pictures import Planes, join, split, to_bytes, to_values
from common.codec.view import put
from common.codec.weights import ModelFiles
from common.runtime import base as runtime
from common.video import Picture

GREY = 128.0
RECOVERED_SECONDS = 1.0  # that the network makes up for what does not arrive; after that the picture stays


class ResilientDecoder:
    """Decodes the units of one session in order; owns its state, the last two pictures. Called by one thread."""

    def __init__(self, model: ModelFiles, backend: str = "auto", threads: int = 1) -> None:
        self._model = model
        self._fusion = runtime.load(model.graph("fusion"), backend, threads)
        self._header: CodecHeader | None = None
        self._last = self._before = Last(np.zeros((0, 0), np.float32), np.zeros((2, 0, 0), np.float32))
        self._missed = 0  # units since the last of which a view was there
        self._seen = False  # whether there ever was one

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder.decode. Before anything arrived there is no geometry: CodecError."""
        begun = time.perf_counter()
        parsed = parse_unit(received, self._model.model_id) if received else None
        if parsed is None and self._header is None:
            raise CodecError("unit: nothing has arrived yet, so its geometry is unknown")
        header, views = parsed or (self._header, [])
        assert header is not None
        self._begin(header)
        decoded = time.perf_counter()
        shown = [put(view.coded, view.header) for view in views]
        headers = [view.header for view in views] or [header]
        draft = compose(shown, [h.quality for h in headers], headers[0].shrink, self._last, self._missed)
        composed = time.perf_counter()
        self._missed = 0 if views else self._missed + 1
        self._seen = self._seen or bool(views)
        trust = self._trust()
        if trust == IMAGINED:
            self._before = self._last
        planes = self._fuse(draft) if trust != IMAGINED else _bytes(draft)
        done = time.perf_counter()
        stages = {"parse": decoded - begun, "recover": composed - decoded, "decode": done - composed}
        blocks = np.full(header.positions, trust, np.uint8)
        arrived = blocks.size if views else 0
        return DecodedUnit(
            join(planes), blocks, arrived, blocks.size, header.fps, headers[-1].quality, stages
        )

    def adopt(self, before: Picture, last: Picture) -> None:
        """Take the two pictures that another decoder has shown last as what was before."""
        planes = split([before, last])
        self._before, self._last = (
            Last(planes.luma[i].astype(np.float32), planes.chroma[i].astype(np.float32)) for i in (0, 1)
        )
        self._missed, self._seen = 0, True

    def _begin(self, header: CodecHeader) -> None:
        """A new size is a new start."""
        height, width = header.height, header.width
        if self._last.luma.shape != (height, width):
            half = (2, height // 2, width // 2)
            self._last = Last(np.full((height, width), GREY, np.float32), np.full(half, GREY, np.float32))
            self._before, self._missed, self._seen = self._last, 0, False
        self._header = header

    def _fuse(self, draft: Draft) -> Planes:
        """Run the network; what it shows last is the next state. After a while without anything the picture stays."""
        out = self._fusion.run(
            {
                "luma": to_values(draft.luma)[None],
                "chroma": to_values(draft.chroma)[None],
                "spread": draft.spread[None, None] * np.float32(1 / 127.5),
                "facts": draft.facts[None],
                "last": to_values(self._last.luma)[None, None],
                "last_chroma": to_values(self._last.chroma)[None],
                "before": to_values(self._before.luma)[None, None],
                "before_chroma": to_values(self._before.chroma)[None],
            }
        )
        planes = Planes(to_bytes(out["shown"][0]), to_bytes(out["shown_chroma"][0]))
        self._last, self._before = (
            Last(planes.luma[i].astype(np.float32), planes.chroma[i].astype(np.float32)) for i in (-1, -2)
        )
        return planes

    def _trust(self) -> int:
        """Received; recovered from what was there not long ago; imagined. The same all over the picture."""
        assert self._header is not None
        recent = self._seen and self._missed * FRAMES / self._header.fps <= RECOVERED_SECONDS
        return RECEIVED if self._missed == 0 else RECOVERED if recent else IMAGINED


def _bytes(draft: Draft) -> Planes:
    return Planes(*(np.asarray(np.rint(values), np.uint8) for values in (draft.luma, draft.chroma)))
