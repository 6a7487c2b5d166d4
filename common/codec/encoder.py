"""The `resilient` encoder: pictures -> latent and base -> rate map -> one payload a packet, within a byte budget."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.codec.analysis import Analyser, Analysis
from common.codec.base import Budget, EncodedUnit
from common.codec.entropy import Elements
from common.codec.header import HEADER_BYTES, QUALITIES, CodecHeader
from common.codec.levels import Levels, best_stillness, quality_of
from common.codec.parse import ParsedUnit
from common.codec.payload import PacketContent, pack
from common.codec.pictures import Planes, to_planes
from common.codec.ratemap import Candidates, RateMap, Receivers
from common.codec.recovery import Recoverer
from common.codec.shadow import SentUnit, Shadow
from common.codec.weights import ModelFiles
from common.video import Picture
from proto.interleaver import MAX_SEGMENTS, segment_map, segment_positions

CODER_BYTES = 2  # what the range coder adds to a packet beyond the information, on average
START_QUALITY = 12
QUALITY_JUMP = 6  # a quality this far off is not approached but taken at once
BASE_SHARE = 0.5  # of a packet's largest payload that the base may fill
FILL = 0.97  # of a packet's largest payload, as estimated before coding
SPLIT = 1.8  # packets of a unit, over the square root of its bytes by those that each packet costs


class ResilientEncoder:
    """Encodes units that stand alone or, where the receiver reports, against a state that it is known to hold.
    Called by one thread."""

    def __init__(
        self, model: ModelFiles, width: int, height: int, fps: float, backend: str = "auto", threads: int = 1
    ) -> None:
        self._model = model
        self._header = CodecHeader(model.model_id, width, height, round(4 * fps) / 4, START_QUALITY, 0)
        recoverer = Recoverer(model, backend, threads)
        self._shadow = Shadow(recoverer, self._header)
        self._map = RateMap(model, self._header.positions)
        self._analyser = Analyser(model, recoverer, self._map, backend, threads)
        self._ceiling = QUALITIES - 1

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return self._model.frames

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """See UnitEncoder.report. Units that nobody reports on stand alone."""
        self._shadow.report(unit, arrived)

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """Encode one unit as well as the budget allows. See UnitEncoder.encode."""
        begun = time.perf_counter()
        width, height = self._header.width, self._header.height
        if len(pictures) != self.frames_per_unit or pictures[0].shape != (height * 3 // 2, width):
            raise ValueError(f"pictures: must be {self.frames_per_unit} of {width}x{height}")
        draft = self._draft(to_planes(pictures), unit, budget)
        receivers = self._analyser.receivers(draft, self._shadow)
        analysed = time.perf_counter()

        parsed, payloads = self._fit(draft, receivers, unit, budget)
        self._shadow.sent(SentUnit(unit, parsed, len(payloads), draft.reference))
        quality = draft.header.quality
        wanted = _uniform_quality(draft.options, self._room(draft, len(payloads), budget))
        self._header = replace(self._header, quality=min(self._ceiling, round((quality + wanted) / 2)))
        wire = sum(map(len, payloads)) + len(payloads) * budget.packet_overhead
        stages = {"encode": analysed - begun, "entropy": time.perf_counter() - analysed}
        return EncodedUnit(payloads, quality, wire, stages)

    def _draft(self, planes: tuple[Planes, Planes], unit: int, budget: Budget) -> Analysis:
        """The unit at about the last one's quality; lower where that is far too much, or the base would fill the
        packets."""
        draft = self._analyser.analyse(planes, self._header, self._shadow, unit)
        quality = draft.header.quality
        wanted = round(_uniform_quality(draft.options, self._room(draft, self._count(draft, budget), budget)))
        if wanted < quality - QUALITY_JUMP:
            quality = wanted
            draft = self._analyser.analyse(planes, replace(self._header, quality=quality), self._shadow, unit)
        self._ceiling = QUALITIES - 1
        while quality > 0 and draft.base_bytes > BASE_SHARE * budget.max_payload:
            quality = max(0, quality - 4)
            self._ceiling = quality + 1  # for the next unit: trying again costs time
            draft = self._analyser.analyse(planes, replace(self._header, quality=quality), self._shadow, unit)
        return draft

    def _count(self, draft: Analysis, budget: Budget) -> int:
        return min(packet_count(budget, draft.base_bytes, self._shadow.loss), draft.header.positions)

    def _room(self, draft: Analysis, count: int, budget: Budget) -> float:
        """Bits that the budget leaves for levels and elements."""
        packet = budget.packet_overhead + HEADER_BYTES + CODER_BYTES + draft.base_bytes
        return 8 * (budget.wire_bytes - count * packet)

    def _fit(
        self, draft: Analysis, receivers: Receivers, unit: int, budget: Budget
    ) -> tuple[ParsedUnit, list[bytes]]:
        """Choose, and code into packets of which none is too large: first by more packets, then by saying less."""
        count, most = self._count(draft, budget), min(MAX_SEGMENTS, draft.header.positions)
        room = self._room(draft, count, budget)
        limit = FILL * budget.max_payload
        while True:
            levels, elements = self._map.choose(draft.options, receivers, room)
            wanted = count
            while wanted < most and self._largest(draft, levels, unit, wanted) > limit:
                wanted = min(most, wanted + max(1, wanted // 4))
            if wanted > count:  # each packet more costs its overhead and the base
                count, room = wanted, min(room, self._room(draft, wanted, budget))
                continue
            parsed = ParsedUnit(draft.header, draft.base, elements, levels)
            payloads = self._payloads(parsed, draft.base, unit, count)
            if max(map(len, payloads)) <= budget.max_payload:
                return parsed, payloads
            if room < 1:
                raise ValueError(
                    f"max_payload: {budget.max_payload} bytes are too few for this size of video"
                )
            room, limit = 0.7 * room - 0.5, 0.9 * limit

    def _largest(self, draft: Analysis, levels: Levels, unit: int, count: int) -> float:
        """Estimated bytes of the largest of so many packets."""
        bits = np.take_along_axis(draft.options.bits, levels[None], 0)[0]
        owner = segment_map(levels.size, count, unit & 0xFFFF)
        largest = float(np.bincount(owner, weights=bits, minlength=count).max())
        return HEADER_BYTES + CODER_BYTES + draft.base_bytes + largest / 8

    def _payloads(self, unit: ParsedUnit, base: Elements, number: int, count: int) -> list[bytes]:
        payloads = []
        for index in range(count):
            mine = segment_positions(unit.header.positions, count, index, number & 0xFFFF)
            levels = unit.levels[mine]
            header = replace(unit.header, stillness=best_stillness(levels, unit.header.quality))
            content = PacketContent(base, levels, np.ascontiguousarray(unit.elements[:, mine]))
            payloads.append(pack(self._model, header, content))
        return payloads


def _uniform_quality(options: Candidates, room: float) -> float:
    """The quality at which the unit would fill the room if all of it were sent."""
    bits = options.uniform_bits()
    qualities = [quality_of(level) for level in range(1, len(bits) + 1)]
    return float(np.interp(np.log(max(room, 1.0)), np.log(bits), qualities, left=0, right=QUALITIES - 1))


def packet_count(budget: Budget, base_bytes: float, loss: float | None = None) -> int:
    """Packets of one unit: more make each loss smaller, fewer cost less overhead.

    A packet costs its overhead and the base, near 140 bytes. With a number that grows as the square root of the rate
    that is half of 60 kbit/s, and less as the rate grows while the unit is split ever finer. At 60 kbit/s training
    clips had the best mean over losses of 0 to 0.9 at a SPLIT of 1.8 (tried: 1.0, 1.4, 1.8, 2.4). `loss`: what the
    receiver reports; a link that loses little needs no fine split."""
    share = 1.0 if loss is None else min(1.0, 0.3 + 3 * loss)
    cost = budget.packet_overhead + HEADER_BYTES + base_bytes
    wanted = round(share * SPLIT * math.sqrt(max(0.0, budget.wire_bytes) / cost))
    needed = math.ceil(budget.wire_bytes / (budget.max_payload + budget.packet_overhead))
    return max(2, min(MAX_SEGMENTS, max(wanted, needed)))
