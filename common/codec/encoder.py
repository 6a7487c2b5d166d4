"""The `resilient` encoder: pictures -> latent -> elements -> one payload a packet, within a byte budget."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget, EncodedUnit
from common.codec.entropy import MAX_ELEMENT, Elements
from common.codec.header import HEADER_BYTES, QUALITIES, CodecHeader
from common.codec.pictures import to_planes
from common.codec.weights import ModelFiles
from common.runtime import base as runtime
from common.video import Picture
from proto.interleaver import segment_positions

CODER_BYTES = 2  # what the range coder adds to a packet beyond the elements' information, on average
START_QUALITY = 12
MIN_PACKET = 128  # bytes on the wire of the smallest packets worth their overhead


class ResilientEncoder:
    """Encodes units that stand alone. Called by one thread; keeps nothing between units but the last quality."""

    def __init__(
        self, model: ModelFiles, width: int, height: int, fps: float, backend: str = "auto", threads: int = 1
    ) -> None:
        self._model = model
        self._network = runtime.load(model.graph("encoder"), backend, threads)
        self._header = CodecHeader(model.model_id, width, height, round(4 * fps) / 4, 0, 0)
        self._positions = (width // 16) * (height // 16)
        self._quality = START_QUALITY

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return self._model.frames

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """Encode one unit at the best quality that fits the budget. See UnitEncoder.encode."""
        begun = time.perf_counter()
        luma, chroma = to_planes(pictures)
        expected = (self._header.height, self._header.width)
        if luma.shape[1:] != (self.frames_per_unit, *expected):
            raise ValueError(f"pictures: must be {self.frames_per_unit} of {expected[1]}x{expected[0]}")
        guess = np.array([self._quality / (QUALITIES - 1)], dtype=np.float32)
        latent = self._network.run({"luma": luma, "chroma": chroma, "quality": guess})["latent"]
        latent = latent.reshape(self._model.latent, self._positions)
        networked = time.perf_counter()
        count, quality, elements = self._plan(latent, budget)
        payloads = self._payloads(elements, quality, unit, count)
        while max(map(len, payloads)) > budget.max_payload:
            if count < min(255, self._positions):
                count = min(255, self._positions, count + max(1, count // 4))
                quality, elements = self._fit(latent, budget, count)
            elif quality > 0:
                quality -= 1
                elements = self._quantise(latent, quality)
            else:
                raise ValueError(
                    f"max_payload: {budget.max_payload} bytes are too few for this size of video"
                )
            payloads = self._payloads(elements, quality, unit, count)
        self._quality = quality
        wire = sum(map(len, payloads)) + count * budget.packet_overhead
        stages = {"encode": networked - begun, "entropy": time.perf_counter() - networked}
        return EncodedUnit(payloads, quality, wire, stages)

    def _plan(self, latent: NDArray[np.float32], budget: Budget) -> tuple[int, int, Elements]:
        """How many packets at which quality. Below the codec's floor the packets are made small, so that some of them
        fit the budget: the rate control sends those (sender.rate)."""
        count = min(packet_count(budget), self._positions)
        quality, elements = self._fit(latent, budget, count)
        if quality == 0:
            size = float(self._model.tables.cost(elements).sum(1).min()) / 8
            packet = max(MIN_PACKET, 0.5 * budget.wire_bytes) - budget.packet_overhead - HEADER_BYTES
            count = max(count, min(255, self._positions, math.ceil(size / max(1.0, packet))))
        return count, quality, elements

    def _fit(self, latent: NDArray[np.float32], budget: Budget, count: int) -> tuple[int, Elements]:
        """Highest quality whose coded size is expected to fit; bisection around the last unit's quality."""
        room = 8 * (budget.wire_bytes - count * (budget.packet_overhead + HEADER_BYTES + CODER_BYTES))
        low, high = 0, QUALITIES - 1  # invariant: low fits or is 0
        best = self._quantise(latent, low)
        probe = self._quality
        while low < high:
            elements = self._quantise(latent, probe)
            if float(self._model.tables.cost(elements).sum(1).min()) <= room:
                low, best = probe, elements
            else:
                high = probe - 1
            near = probe + 1 if low == probe else probe - 1  # rates seldom move far between units
            probe = near if high - low > 8 and low < near <= high else (low + high + 1) // 2
        return low, best

    def _quantise(self, latent: NDArray[np.float32], quality: int) -> Elements:
        scaled = np.rint(latent / self._model.steps[quality][:, None])
        elements: Elements = np.clip(scaled, -MAX_ELEMENT, MAX_ELEMENT).astype(np.int32)
        return elements

    def _payloads(self, elements: Elements, quality: int, unit: int, count: int) -> list[bytes]:
        tables, head = self._model.tables, self._header
        cost = tables.cost(elements)
        payloads = []
        for index in range(count):
            positions = segment_positions(self._positions, count, index, unit & 0xFFFF)
            scale = int(cost[:, positions].sum(1).argmin())
            header = CodecHeader(head.model, head.width, head.height, head.fps, quality, scale)
            payloads.append(bytes(header) + tables.encode(elements[:, positions], scale))
        return payloads


def packet_count(budget: Budget) -> int:
    """Packets of one unit: more make each loss smaller, fewer cost less overhead; about one for every sqrt.

    A packet's overhead is near 60 bytes: with n = sqrt(bytes / 55) it stays near a sixth of the rate at 60 kbps and
    falls as the rate grows, while the unit is split ever finer."""
    wanted = round(math.sqrt(max(0.0, budget.wire_bytes) / 55))
    needed = math.ceil(budget.wire_bytes / (budget.max_payload + budget.packet_overhead))
    return max(2, min(255, max(wanted, needed)))
