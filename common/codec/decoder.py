"""The `resilient` decoder: whatever arrived of a unit -> elements and loss mask -> recovery -> pictures and trust."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, CodecError, DecodedUnit, Segments
from common.codec.header import QUALITIES, CodecHeader
from common.codec.parse import ParsedUnit, lost_unit, parse_unit
from common.codec.pictures import from_planes
from common.codec.weights import ModelFiles
from common.runtime import base as runtime
from common.runtime.base import Tensors

RECOVERED_SECONDS = (
    1.0  # a region that last arrived longer ago is held; with no neighbour now it counts as imagined
)


class ResilientDecoder:
    """Decodes the units of one session in order; owns the recovery state. Called by one thread."""

    def __init__(self, model: ModelFiles, backend: str = "auto", threads: int = 1) -> None:
        self._model = model
        self._recovery = runtime.load(model.graph("recovery"), backend, threads)
        self._decoder = runtime.load(model.graph("decoder"), backend, threads)
        self._header: CodecHeader | None = None
        self._state: Tensors = {}
        self._age: NDArray[np.float32] = np.zeros((0, 0), np.float32)  # seconds since each position arrived

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder.decode. Before anything arrived there is no geometry: CodecError."""
        begun = time.perf_counter()
        parsed_unit = parse_unit(self._model, received) if received else None
        if parsed_unit is None:
            if self._header is None:
                raise CodecError("unit: nothing has arrived yet, so its geometry is unknown")
            parsed_unit = lost_unit(self._model, self._header)
        header, mask = parsed_unit.header, parsed_unit.mask
        if self._header is None or (header.width, header.height) != (self._header.width, self._header.height):
            self._reset(header)
        self._header = header
        parsed = time.perf_counter()
        filled, mask_plane, quality = self._recover(parsed_unit)
        recovered = time.perf_counter()
        out = self._decoder.run({"latent": filled, "mask": mask_plane, "quality": quality})
        pictures = from_planes(out["luma"], out["chroma"])
        done = time.perf_counter()
        stages = {"entropy": parsed - begun, "recover": recovered - parsed, "decode": done - recovered}
        arrived, total = int(mask.sum()), mask.size
        trust = self._trust(mask.reshape(self._age.shape))
        return DecodedUnit(pictures, trust, arrived, total, header.fps, header.quality, stages)

    def _reset(self, header: CodecHeader) -> None:
        h, w = header.height // 16, header.width // 16
        self._state = {
            "last": np.zeros((1, self._model.latent, h, w), np.float32),
            "hidden": np.zeros((1, self._model.hidden, h, w), np.float32),
        }
        self._age = np.full((h, w), np.inf, np.float32)

    def _recover(
        self, unit: ParsedUnit
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Filled latent, mask plane and quality as the decoder takes them; moves the state on."""
        shape, header, mask = self._age.shape, unit.header, unit.mask
        step = self._model.steps[header.quality]
        latent = (unit.elements * step[:, None]).astype(np.float32).reshape(1, -1, *shape)
        plane = mask.astype(np.float32).reshape(1, 1, *shape)
        quality = np.array([header.quality / (QUALITIES - 1)], np.float32)
        out = self._recovery.run(
            {
                "latent": latent,
                "mask": plane,
                "step": step[None],
                "quality": quality,
                "reset": np.zeros(1, np.float32),
                **self._state,
            }
        )
        arrived = mask.reshape(shape)
        self._age = np.where(arrived, np.float32(0), self._age + np.float32(self._model.frames / header.fps))
        old = self._age > RECOVERED_SECONDS
        # A guess builds on the guess before; without news such a recursion wanders off, over minutes beyond all bounds.
        # So an old region's state stays as it was, and only its picture may follow neighbours that arrived.
        last, filled = self._state["last"], out["filled"]
        self._state = {"last": np.where(old, last, filled), "hidden": out["hidden_out"]}
        return np.where(old & ~_near(arrived), last, filled), plane, quality

    def _trust(self, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Received now; recovered from a neighbour that arrived now or from its own recent past; imagined."""
        trust = np.where(_near(mask) | (self._age <= RECOVERED_SECONDS), RECOVERED, IMAGINED)
        return np.where(mask, RECEIVED, trust).astype(np.uint8)


def _near(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Positions of which one in the 3x3 around arrived."""
    around = np.pad(mask, 1)
    h, w = mask.shape
    near: NDArray[np.bool_] = np.logical_or.reduce(
        [around[y : y + h, x : x + w] for y in range(3) for x in range(3)]
    )
    return near
