"""From units of the stream to the map of a moment: decoded in this thread, without a link."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from common.codec.base import IMAGINED, RECEIVED
from common.codec.contour.decoder import ContourDecoder, DecodedMaps
from common.maps.part import MapPart
from common.maps.told import messages
from common.metrics import Exporter
from proto.events import Message
from proto.recover import RecoveredUnit
from proto.streams import CONTROL
from receiver.contours.collect import Collected
from receiver.contours.metrics import contour_status, export_contours
from receiver.contours.player import ContourPlayer
from receiver.contours.worker import MapJob
from tests.proto.link import EPOCH
from tests.receiver.audio.test_player import BEGIN, Pictures
from tests.sender.contours.scene import LEGEND, Squares, labels
from tests.sender.contours.test_stage import Bench
from tests.waiting import until

RUN = b"run001"


def units(frames: int = 40) -> list[RecoveredUnit]:
    """What a sender makes of the first frames, at the media times of `Pictures`."""
    bench = Bench(Squares(), 60.0)
    bench.take(range(frames))
    made = [(part, unit.timestamp) for unit in bench.units for part in unit.parts]
    return [RecoveredUnit(n, at - EPOCH + BEGIN, bytes(part), False) for n, (part, at) in enumerate(made)]


def told(origin: bytes = RUN) -> list[Message]:
    return [Message(b"s", origin, CONTROL.id, body) for body in messages(LEGEND, 500)]


def play(given: list[RecoveredUnit], run: bytes = RUN) -> ContourPlayer:
    pictures = Pictures()
    player = ContourPlayer(lambda: pictures, clock=lambda: 3.0, live=False)
    for unit in given:
        player.recovered(run, [unit], unit.timestamp - BEGIN + 0.6)
    player.step(60.0)
    return player


def overlap(player: ContourPlayer, number: int) -> float:
    """Share of the pixels that are as they were in frame `number`."""
    found = player.at(EPOCH + (number + 1) / 10)
    assert found is not None
    return float(np.mean(found.labels == labels(number)))


def test_maps_are_those_that_were_sent() -> None:
    player = play(units())
    assert player.worker.units >= 4 and player.missed == 0
    assert min(overlap(player, number) for number in range(8, 24)) > 0.9
    found = player.at(EPOCH + 2.0)
    assert found is not None and (found.trust == RECEIVED).all() and found.age_s < 0.01
    for message in told():
        player.message(message, None)
    found = player.at(EPOCH + 2.0)
    assert found is not None and found.legend == LEGEND
    player.message(Message(b"s", b"other!", CONTROL.id, b"\2bad"), None)
    assert player.refused["legend"] == 1


def test_a_lost_unit_is_concealed_and_those_after_it_come_right() -> None:
    given = units(60)
    lost = {MapPart.parse(unit.data).unit for unit in given[2:3]}
    player = play([unit for unit in given if MapPart.parse(unit.data).unit not in lost])
    assert player.missed == 1
    last = player.worker.maps - 3
    assert overlap(player, last) > 0.8


def test_rubbish_costs_a_count_each() -> None:
    good = units()
    rubbish = [
        RecoveredUnit(90, BEGIN + 1.0, b"\xff", False),
        RecoveredUnit(91, BEGIN + 1.0, bytes(MapPart(40, 0, 1, 25, 0, b"\xff\xff\xff\xff")), False),
    ]
    player = play([*good, *rubbish])
    far = RecoveredUnit(92, BEGIN + 100.0, good[0].data, False)
    player.recovered(RUN, [far, good[0]], 4.0)
    assert player.refused == {"malformed": 1, "strange": 1, "late": 1, "legend": 0}
    assert player.worker.damaged == 1
    assert overlap(player, 16) > 0.9


def test_a_damaged_unit_counts_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    class Recording(ContourDecoder):
        def decode(self, payloads: Sequence[bytes | None] | None) -> DecodedMaps | None:
            given.append(payloads)
            return super().decode(payloads)

    monkeypatch.setattr("common.codec.contour.decoder.ContourDecoder", Recording)
    made = [MapPart.parse(unit.data) for unit in units()]
    player = play([])
    for number, data in enumerate((made[0].data, b"\xff" * 4, made[0].data)):
        player.worker.work(MapJob(0, Collected(number, BEGIN, 0.1, 0, (data,), 0), EPOCH))
    assert player.worker.damaged == 1
    assert given == [(made[0].data,), (b"\xff" * 4,), None, (made[0].data,)]


def test_a_unit_of_a_run_that_is_over_is_not_shown() -> None:
    player, (first, *_) = play([]), units()
    part = MapPart.parse(first.data)
    old = Collected(0, BEGIN, 0.1, part.legend, (part.data,), 0)
    player.recovered(RUN, [], 4.0)
    job = MapJob(player._generation, old, EPOCH)
    player.worker.work(job)
    assert player.store.newest is not None
    player.recovered(b"run002", [], 4.0)
    player.worker.work(job)
    assert player.worker.units == 2 and player.store.newest is None


def test_another_run_begins_anew() -> None:
    pictures = Pictures()
    player = ContourPlayer(lambda: pictures, clock=lambda: 3.0, live=False)
    player.recovered(RUN, units(), 4.0)
    player.message(told()[0], RUN)
    assert player.at(EPOCH + 2.0) is not None
    player.recovered(b"run002", units(20)[:1], 4.0)
    found = player.at(EPOCH + 2.0)
    assert found is None or (
        found.legend.name == "" and (found.trust == IMAGINED).any() | (found.age_s > 0.5)
    )


def test_units_wait_for_the_first_pictures_and_the_figures_tell() -> None:
    player = ContourPlayer(lambda: None, clock=lambda: 3.0, live=False)
    player.recovered(RUN, units(), 4.0)
    assert player.worker.units == 0 and player.age is None
    assert contour_status(player) == {"map_age_s": None, "map_instances": None, "map_units_lost": 0}
    registry = CollectorRegistry()
    export_contours(Exporter(registry, "x_"), play(units()), lambda: True)
    page = generate_latest(registry).decode()
    assert "x_contours_announced 1.0" in page and "x_contours_instances 2.0" in page


@pytest.mark.asyncio
async def test_live_a_thread_decodes() -> None:
    pictures = Pictures()
    player = ContourPlayer(lambda: pictures, clock=lambda: 3.0)
    player.worker.start()
    task = asyncio.create_task(player.run())
    try:
        for unit in units():
            count = player.worker.units
            player.recovered(RUN, [unit], unit.timestamp - BEGIN + 0.6)
            await until(lambda before=count: player.worker.units > before)
        assert overlap(player, 16) > 0.9
    finally:
        task.cancel()
        player.worker.close()
