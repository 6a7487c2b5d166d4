"""The stage of maps, and what becomes of bad ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.worth import Measure
from common.maps.base import LabelMap
from common.maps.part import MOST_MISSED, MapPart
from common.values import Size
from common.video import Frame
from sender.build import make_encoder
from sender.ceiling import Ceiling
from sender.config import load_config
from sender.contours.share import Aim, ContourShare
from sender.contours.stage import ContourStage, MapUnit
from sender.contours.stream import ContourStream
from tests.proto.link import EPOCH
from tests.sender.contours.scene import FPS, HEIGHT, LEGEND, WIDTH, Squares, frame


class Bench:
    """A stage at 20 kbit/s whose clock is that of its frames."""

    def __init__(self, source: Squares, kbps: float = 20.0, every: int = 1) -> None:
        self.now = 0.0
        self.units: list[MapUnit] = []
        self.ready = True
        ceiling = Ceiling(kbps)
        self.share = share = ContourShare(lambda kbps: 0.5, FPS / every, kbps, ceiling, 0.8)
        self.stream = ContourStream(1171, LEGEND, share, ceiling)
        self.stage = ContourStage(
            *(source, Size(WIDTH, HEIGHT), FPS, self.stream),
            every=every,
            highest=0.9,
            payload_limit=1171,
            deliver=self.units.append,
            ready=lambda: self.ready,
            clock=lambda: self.now,
        )

    def take(self, numbers: range, pause: float = 0.0) -> None:
        self.now += pause
        for number in numbers:
            self.now += 1 / FPS
            self.stage.take(frame(number, EPOCH + self.now))

    def arrived(self) -> None:
        """A report tells that all units so far arrived."""
        stream, now = self.stream, self.now + 10.0
        for unit in self.units:
            stream.push(unit.parts, unit.timestamp, unit.duration, now)
        for counter, segment in enumerate(stream.poll(now)):
            stream.sent(segment, b"session", counter, now)
            stream.told(b"session", [counter])
        stream.settle(True, 0.0, now + 10.0)


def test_units_hold_maps_in_order_with_their_times() -> None:
    bench = Bench(Squares())
    bench.take(range(30))
    assert len(bench.units) >= 3
    for unit in bench.units:
        parts = [MapPart.parse(bytes(part)) for part in unit.parts]
        assert [part.index for part in parts] == list(range(len(parts)))
        assert {part.interval for part in parts} == {25}
    assert [unit.parts[0].unit for unit in bench.units] == list(range(len(bench.units)))
    assert bench.units[1].timestamp > bench.units[0].timestamp
    assert bench.stage.figures.miou > 0.8


def test_each_second_frame_gets_a_map_where_asked() -> None:
    bench = Bench(Squares(), every=2)
    bench.take(range(40))
    assert 15 <= bench.stage.figures.maps <= 20
    assert {part.interval for unit in bench.units for part in unit.parts} == {50}


def test_bad_maps_cost_a_count_each() -> None:
    wrong, strange = np.zeros((8, 8), np.uint8), np.full((HEIGHT, WIDTH), 77, np.uint8)
    bench = Bench(Squares({1: None, 2: wrong, 13: strange}))
    bench.take(range(40))
    figures = bench.stage.figures
    assert figures.empty == 1
    assert 0 < figures.failed <= 20 and figures.units >= 2


class Failing(Squares):
    """Raises what has no other base than Exception."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def map(self, frame: Frame) -> LabelMap | None:
        if frame.index == self._at:
            raise cv2.error("broken")
        return super().map(frame)

    def reset(self) -> None:
        super().reset()
        if self.resets == 1:
            raise cv2.error("broken")

    def close(self) -> None:
        raise cv2.error("broken")


def test_whatever_a_source_raises_costs_a_map() -> None:
    bench = Bench(Failing(3))
    bench.take(range(10))
    assert bench.stage.figures.failed == 1
    bench.take(range(10, 30), pause=5.0)
    assert bench.stage.figures.failed == 2 and bench.stage.figures.maps >= 20
    bench.stage.frames.close()
    bench.stage.run()


def test_an_encoder_that_fails_is_replaced_and_receivers_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Squares())
    bench.take(range(12))
    before = len(bench.units)
    with monkeypatch.context() as patch:
        patch.setattr(Measure, "add", raise_error)  # halfway through its change of state
        bench.take(range(12, 24))
    figures = bench.stage.figures
    assert figures.restarts >= 1 and len(bench.units) == before
    bench.take(range(24, 40))
    numbers = [unit.parts[0].unit for unit in bench.units]
    assert before > 0 and numbers[before] - numbers[before - 1] > MOST_MISSED
    decoded = ContourDecoder().decode([part.data for part in bench.units[before].parts])
    assert decoded is not None and set(np.unique(decoded.maps[-1])) == {0, 1, 2}


def test_nothing_is_coded_before_there_are_keys() -> None:
    bench = Bench(Squares())
    bench.ready = False
    bench.take(range(12))
    figures = bench.stage.figures
    assert not bench.units and figures.units == 0 and figures.unkeyed > 0
    bench.ready = True
    bench.take(range(12, 24))
    decoded = ContourDecoder().decode([part.data for part in bench.units[0].parts])
    assert decoded is not None and set(np.unique(decoded.maps[-1])) == {0, 1, 2}


def test_who_shakes_hands_later_gets_keys_at_once() -> None:
    """Although reports told that all of them had arrived."""

    def first_seen(greet: bool) -> set[int]:
        bench = Bench(Squares())
        while len(bench.units) < 5:
            bench.take(range(1))
            bench.arrived()
        if greet:
            bench.stream.greet()
        while len(bench.units) < 6:
            bench.take(range(1))
        decoded = ContourDecoder().decode([part.data for part in bench.units[5].parts])
        return set() if decoded is None else set(np.unique(decoded.maps[-1]).tolist())

    assert first_seen(True) == {0, 1, 2}
    assert first_seen(False) != {0, 1, 2}


def test_a_map_in_more_than_a_second_is_no_stall() -> None:
    source = Squares()
    bench = Bench(source, every=15)
    bench.take(range(150))
    assert source.resets == 0 and bench.stage.figures.maps >= 8


def test_pictures_get_what_a_source_without_maps_leaves() -> None:
    bench = Bench(Squares(dict.fromkeys(range(200))))
    given = 0
    for number in range(200):
        bench.take(range(number, number + 1))
        given += bench.share.surplus(bench.now)
    assert given >= 0.8 * 0.5 * 20 * 125 * 20


def raise_error(*_: object) -> None:
    raise cv2.error("broken")


def test_after_a_pause_of_the_source_maps_begin_anew() -> None:
    source = Squares()
    bench = Bench(source)
    bench.take(range(7))
    bench.take(range(7, 14), pause=5.0)
    assert source.resets == 1
    assert all(unit.duration < 1.0 for unit in bench.units)


def test_the_thread_ends_with_its_queue_and_closes_the_source() -> None:
    source = Squares()
    bench = Bench(source)
    bench.stage.frames.put(frame(0, EPOCH))
    bench.stage.frames.close()
    bench.stage.run()
    assert source.closed == 1


def test_the_aim_follows_the_use_of_the_budget() -> None:
    aim = Aim(0.9)
    assert aim.next(0.7, 100, 100) < 0.7
    assert aim.next(0.7, 50, 100) > 0.7
    assert aim.next(0.9, 10, 100) == 0.9
    assert aim.next(0.0, 100, 100) == 0.0


def test_the_sender_makes_units_by_the_rate() -> None:
    flags = (
        "--source",
        "tabletop",
        "--to",
        "h:1",
        "--key-file",
        "k",
        "--profile",
        "structure",
        "--fps",
        "10",
    )
    size = ("--size", "480x352", "--rate-kbps")
    assert [
        make_encoder(load_config([*flags, *size, kbps])).frames_per_unit for kbps in ("2", "7", "14")
    ] == [
        20,
        12,
        8,
    ]
