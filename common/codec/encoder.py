"""The `resilient` encoder: pictures -> views of them, coded to fill the budget -> packets."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.codec import av1, plan, symbols
from common.codec.base import Budget, EncodedUnit
from common.codec.effort import Effort
from common.codec.fit import Fit, Fitted
from common.codec.header import FRAMES, HEADER_BYTES, QUALITIES, SHRINKS, CodecHeader, Mirror
from common.codec.view import coded_size, take
from common.video import Picture, from_planes, planes

START_LEVEL = 50.0
MIRRORS = (Mirror(), Mirror(True, False, True), Mirror(False, True, False), Mirror(True, True, True))
QUALITY_SPAN = 79.0  # levels from the best quality to the worst; the network has learnt this scale
REPORTED_UNITS = 64  # units back that a report may tell of

# Levels from which on smaller pictures look better, and below which larger ones do, by shrink; from training clips.
TOO_COARSE = {1: 50.0, 2: 60.0}
FINE_ENOUGH = {2: 30.0, 4: 45.0}
SMALLER = 11.0  # levels by which pictures of half the sides can be coded finer


@dataclass(frozen=True, slots=True)
class _View:
    """A view as it was coded, and how many packets it travels in."""

    header: CodecHeader
    fitted: Fitted
    packets: int
    expected: float  # the level at which the next one should fill its share

    def payloads(self) -> list[bytes]:
        """One a packet."""
        cut = symbols.cut(self.fitted.data, self.header.needed, self.packets)
        return [bytes(replace(self.header, index=index)) + symbol for index, symbol in enumerate(cut)]


@dataclass(frozen=True, slots=True)
class _Layer:
    """How coarse and how small the views of a kind are to be coded."""

    level: float = START_LEVEL
    shrink: int = 1

    def smaller(self) -> _Layer:
        """Half the sides; the same bytes then code them finer."""
        return _Layer(self.level - SMALLER, self.shrink * 2)

    def larger(self) -> _Layer:
        """Twice the sides."""
        return _Layer(self.level + SMALLER, self.shrink // 2)


class ResilientEncoder:
    """Encodes units that each stand alone. Called by one thread."""

    def __init__(
        self, model_id: int, width: int, height: int, fps: float, effort: Effort | None = None
    ) -> None:
        self._effort = effort or Effort()
        self._side_by_side = (
            ThreadPoolExecutor(self._effort.threads, "views").map if self._effort.threads > 1 else map
        )
        self._header = CodecHeader(model_id, width, height, round(4 * fps) / 4)
        self._belief = plan.LossBelief()
        self._packets: dict[int, int] = {}  # of the units that were sent last
        self._viewed = 0
        self._layers = {False: _Layer(), True: _Layer()}  # of views that one packet shows, and of finer ones

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return FRAMES

    def believe(self, weights: NDArray[np.float64]) -> None:
        """Take the loss to be as these weights of plan.LOSSES say, whatever was reported before."""
        self._belief = plan.LossBelief(weights)

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """See UnitEncoder.report."""
        packets = self._packets.pop(unit, None)
        if packets is not None and arrived is not None and len(arrived) == packets:
            self._belief.learn(arrived)

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """Encode one unit as well as the budget allows. See UnitEncoder.encode."""
        begun = time.perf_counter()
        width, height = self._header.width, self._header.height
        if len(pictures) != FRAMES or any(picture.shape != (height * 3 // 2, width) for picture in pictures):
            raise ValueError(f"pictures: must be {FRAMES} of {width}x{height}")
        split_up = plan.choose(budget, width * height, self._belief.weights)
        views = self._views(pictures, split_up, budget)
        payloads = [payload for view in views for payload in view.payloads()]
        self._effort.took((time.perf_counter() - begun) / FRAMES)
        self._packets[unit] = len(payloads)
        self._packets.pop(unit - REPORTED_UNITS, None)
        wire = sum(map(len, payloads)) + len(payloads) * budget.packet_overhead
        stages = {"encode": time.perf_counter() - begun}
        return EncodedUnit(payloads, views[-1].header.quality, wire, stages, split_up.steps)

    def _views(self, pictures: Sequence[Picture], split_up: plan.Plan, budget: Budget) -> list[_View]:
        """The views of a unit. Those of one packet are coded side by side; a finer one gets what they leave."""
        preset = self._preset(split_up)
        most = budget.max_payload - HEADER_BYTES
        rest = split_up.packets
        left = budget.wire_bytes - rest * (budget.packet_overhead + HEADER_BYTES)

        def code(part: tuple[int, int, Mirror]) -> _View:
            needed, packets, mirror = part
            header = replace(self._header, mirror=mirror, needed=needed)
            share = needed * min(left / rest, float(most))
            return self._view(pictures, header, packets, share, needed * most, preset)

        views: list[_View] = []
        for finer in self._layers:
            parts = [(*part, self._next_mirror()) for part in split_up.parts if (part[0] > 1) == finer]
            coded = list(self._side_by_side(code, parts))
            if coded:
                self._layers[finer] = self._learn(coded)
            rest -= sum(view.packets for view in coded)
            left -= sum(
                view.packets * math.ceil(len(view.fitted.data) / view.header.needed) for view in coded
            )
            views += coded
        return views

    def _learn(self, coded: Sequence[_View]) -> _Layer:
        """What the views of a kind teach: the level that fills their share, at the size that looks best there."""
        shrink = max(view.header.shrink for view in coded)
        coded = [view for view in coded if view.header.shrink == shrink]
        layer = _Layer(sum(view.expected for view in coded) / len(coded), shrink)
        level = coded[-1].fitted.level
        if self._can_shrink(layer) and level > TOO_COARSE.get(shrink, math.inf):
            return layer.smaller()
        return layer.larger() if level < FINE_ENOUGH.get(shrink, -math.inf) else layer

    def _next_mirror(self) -> Mirror:
        self._viewed += 1
        return MIRRORS[(self._viewed - 1) % len(MIRRORS)]

    def _preset(self, split_up: plan.Plan) -> int:
        """For all views of a unit together."""
        sizes = [
            math.prod(coded_size(replace(self._header, shrink=self._layers[needed > 1].shrink)))
            for needed, _ in split_up.parts
        ]
        return self._effort.preset(round(sum(sizes) / len(sizes)), len(sizes), self._header.fps)

    def _view(
        self,
        pictures: Sequence[Picture],
        header: CodecHeader,
        packets: int,
        share: float,
        most: int,
        preset: int,
    ) -> _View:
        """One view, of smaller pictures where it has no room. ValueError where the smallest have none.

        Changes nothing: several threads may code views of a unit."""
        layer = self._layers[header.needed > 1]
        while True:
            header = replace(header, shrink=layer.shrink)
            fit = Fit(partial(av1.encode, take(pictures, header), preset=preset), av1.LEVELS)
            fitted = fit.search(share, most, layer.level)
            if fitted and (len(fitted.data) <= share or not self._can_shrink(layer)):
                break
            if self._can_shrink(layer):
                layer = layer.smaller()
            elif pictures[0] is pictures[-1]:
                raise ValueError("max_payload: its bytes are too few for this size of video")
            else:  # rather that than nothing: no level makes noise small
                pictures = [_flat(pictures[0])] * FRAMES
        quality = round((1 - fitted.level / QUALITY_SPAN) * (QUALITIES - 1))
        return _View(replace(header, quality=quality), fitted, packets, fit.expected(share))

    def _can_shrink(self, layer: _Layer) -> bool:
        """Whether pictures of half the sides would be smaller ones."""
        sizes = (
            coded_size(replace(self._header, shrink=shrink)) for shrink in (layer.shrink, layer.shrink * 2)
        )
        return layer.shrink < SHRINKS[-1] and len(set(sizes)) == 2


def _flat(picture: Picture) -> Picture:
    """Of the mean colour of a picture."""
    return from_planes(*(np.full_like(plane, round(float(plane.mean()))) for plane in planes(picture)))
