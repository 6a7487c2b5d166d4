"""The `resilient` decoder: whatever arrived of a unit -> elements and levels -> recovery -> pictures and trust."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, CodecError, DecodedUnit, Segments
from common.codec.header import MAX_REFERENCE, QUALITIES, CodecHeader
from common.codec.parse import LOST, ParsedUnit, lost_unit, parse_unit
from common.codec.pictures import from_planes
from common.codec.recovery import RECOVERED_SECONDS, Recoverer, RecoveryState, near
from common.codec.weights import ModelFiles
from common.runtime import base as runtime


class ResilientDecoder:
    """Decodes the units of one session in order; owns the recovery state. Called by one thread."""

    def __init__(self, model: ModelFiles, backend: str = "auto", threads: int = 1) -> None:
        self._model = model
        self._recoverer = Recoverer(model, backend, threads)
        self._decoder = runtime.load(model.graph("decoder"), backend, threads)
        self._header: CodecHeader | None = None
        self._unit = 0
        self._state: RecoveryState | None = None
        self._held: dict[int, RecoveryState] = {}  # by unit, the newest MAX_REFERENCE

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder.decode. Before anything arrived there is no geometry: CodecError."""
        begun = time.perf_counter()
        number = received.unit if received else self._unit + 1
        unit = parse_unit(self._model, received) if received else None
        if unit is None:
            if self._header is None:
                raise CodecError("unit: nothing has arrived yet, so its geometry is unknown")
            unit = lost_unit(self._model, replace(self._header, reference=0))
        reference, header = self._reference(unit.header, number), unit.header
        state = self._state
        if state is None or state.age.shape != header.grid:
            state = self._recoverer.start(header)
        parsed = time.perf_counter()
        state, filled = self._recoverer.advance(state, unit, reference)
        self._remember(number, header, state)
        recovered = time.perf_counter()
        quality = np.array([header.quality / (QUALITIES - 1)], np.float32)
        out = self._decoder.run(
            {"latent": filled.latent, "hidden": filled.hidden, "mask": filled.mask, "quality": quality}
        )
        pictures = from_planes(out["luma"], out["chroma"], header.width, header.height)
        done = time.perf_counter()
        stages = {"entropy": parsed - begun, "recover": recovered - parsed, "decode": done - recovered}
        arrived = int((unit.levels != LOST).sum())
        trust = self._trust(unit, state)[: header.height // 16, : header.width // 16]
        return DecodedUnit(pictures, trust, arrived, header.positions, header.fps, header.quality, stages)

    def _reference(self, header: CodecHeader, number: int) -> RecoveryState | None:
        if header.reference == 0:
            return None
        held = self._held.get(number - header.reference)
        if held is None or held.age.shape != header.grid:
            raise CodecError(f"reference: {header.reference} is not held here")
        return held

    def _remember(self, number: int, header: CodecHeader, state: RecoveryState) -> None:
        """The state of this unit is what a later one may refer to, if the units between came in order."""
        if number != self._unit + 1 or self._header is None:
            self._held.clear()
        self._unit, self._header, self._state = number, header, state
        self._held[number] = state
        self._held.pop(number - MAX_REFERENCE, None)

    @staticmethod
    def _trust(unit: ParsedUnit, state: RecoveryState) -> NDArray[np.uint8]:
        """Received now, or before and told to stand since; recovered from a neighbour that arrived now or from its own
        recent past; imagined."""
        arrived = (unit.levels != LOST).reshape(unit.header.grid)
        recent = near(arrived) | (state.age <= RECOVERED_SECONDS)
        return np.where(state.known, RECEIVED, np.where(recent, RECOVERED, IMAGINED)).astype(np.uint8)
