"""How soon maps are right where packets are lost from the first one on, in virtual time."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from common.maps.base import LabelMap, MapSource
from common.values import Size
from common.video import Frame
from proto.wire import Mode
from sender.capture import create_source
from sender.capture.base import CaptureOptions
from sender.maps.create import create_map_source
from tests.sender.contours.link import START, StructureLink
from tests.sender.contours.scene import FPS

SIZE = Size(480, 352)


class Kept:
    """Maps of a shipped clip, each made once."""

    def __init__(self, source: MapSource) -> None:
        self.legend = source.legend
        self._source, self._made = source, dict[int, LabelMap | None]()

    def map(self, frame: Frame) -> LabelMap | None:
        if frame.index not in self._made:
            self._made[frame.index] = self._source.map(frame)
        return self._made[frame.index]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


@cache
def maps() -> Kept:
    return Kept(
        create_map_source("source", create_source("tabletop:1", CaptureOptions(SIZE, FPS)), SIZE, FPS)
    )


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ONE_WAY])
def test_maps_are_right_within_three_seconds(mode: Mode) -> None:
    """At 7 kbit/s and 30 % loss, from when the sender starts, the playout delay included."""
    found = []
    for seed in range(1, 4):
        link = StructureLink(7.0, mode, 0.3, seed, maps=maps(), size=SIZE)
        link.advance(3.5)
        found.append(link.watched.miou(START + 2.9, START + 3.4))
        assert link.watched.delay < 2.0
    assert np.mean(found) >= 0.6
    assert sum(one >= 0.6 for one in found) >= 2
