"""The `resilient` encoder: pictures -> views of them, coded to fill the budget -> packets."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.codec import plan, symbols
from common.codec.base import Budget, EncodedUnit
from common.codec.effort import Effort
from common.codec.fit import Fit, Fitted
from common.codec.header import FRAMES, HEADER_BYTES, QUALITIES, SHRINKS, CodecHeader, Mirror
from common.codec.view import coded_size, take
from common.video import Picture

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
    """A view as it was coded."""

    header: CodecHeader
    fitted: Fitted


class ResilientEncoder:
    """Encodes units that each stand alone. Called by one thread."""

    def __init__(
        self, model_id: int, width: int, height: int, fps: float, effort: Effort | None = None
    ) -> None:
        self._effort = effort or Effort()
        self._header = CodecHeader(model_id, width, height, round(4 * fps) / 4)
        self._belief = plan.LossBelief()
        self._packets: dict[int, int] = {}  # of the units that were sent last
        self._viewed = 0
        self._level = START_LEVEL

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
        self._effort.took((time.perf_counter() - begun) / FRAMES)
        payloads = _payloads(views, split_up)
        self._resize(views[-1].fitted.level)
        self._packets[unit] = len(payloads)
        self._packets.pop(unit - REPORTED_UNITS, None)
        wire = sum(map(len, payloads)) + len(payloads) * budget.packet_overhead
        return EncodedUnit(payloads, views[0].header.quality, wire, {"encode": time.perf_counter() - begun})

    def _views(self, pictures: Sequence[Picture], split_up: plan.Plan, budget: Budget) -> list[_View]:
        """The views of a unit, of smaller pictures where they do not fit. ValueError where the smallest do not."""
        while True:
            views = self._attempt(pictures, split_up, budget)
            if views:
                return views
            if self._header.shrink == SHRINKS[-1]:
                raise ValueError(
                    f"max_payload: {budget.max_payload} bytes are too few for this size of video"
                )
            self._header = replace(self._header, shrink=self._header.shrink * 2)

    def _attempt(self, pictures: Sequence[Picture], split_up: plan.Plan, budget: Budget) -> list[_View]:
        """The same at the present size; none where one does not fit. What one leaves of its share, the next has."""
        pixels = math.prod(coded_size(self._header))
        preset = self._effort.preset(pixels, split_up.views, self._header.fps)
        most = split_up.needed * (budget.max_payload - HEADER_BYTES)
        left = budget.wire_bytes - split_up.packets * (budget.packet_overhead + HEADER_BYTES)
        times = split_up.packets / (split_up.needed * split_up.views)  # that each byte of a view is sent
        views: list[_View] = []
        for rest in range(split_up.views, 0, -1):
            header = replace(
                self._header, mirror=MIRRORS[self._viewed % len(MIRRORS)], needed=split_up.needed
            )
            share = min(float(most), left / (times * rest))
            self._viewed += 1
            fit = Fit(take(pictures, header), preset)
            fitted = fit.search(share, most, self._level)
            if fitted is None:
                return []
            self._level = fit.expected(share)
            left -= times * len(fitted.data)
            quality = round((1 - fitted.level / QUALITY_SPAN) * (QUALITIES - 1))
            views.append(_View(replace(header, quality=quality), fitted))
        return views

    def _resize(self, level: float) -> None:
        """Code the next unit smaller or larger where that looks better."""
        shrink = self._header.shrink
        if level > TOO_COARSE.get(shrink, math.inf):
            self._header, self._level = replace(self._header, shrink=shrink * 2), level - SMALLER
        elif level < FINE_ENOUGH.get(shrink, -math.inf):
            self._header, self._level = replace(self._header, shrink=shrink // 2), level + SMALLER


def _payloads(views: Sequence[_View], split_up: plan.Plan) -> list[bytes]:
    """One a packet: the views in turn, or the symbols of the one."""
    payloads = []
    cut = [symbols.cut(view.fitted.data, split_up.needed, split_up.packets) for view in views]
    for index in range(split_up.packets):
        number = index % len(views)
        payloads.append(bytes(replace(views[number].header, index=index)) + cut[number][index])
    return payloads
