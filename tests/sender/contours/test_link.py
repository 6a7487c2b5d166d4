"""Contours beside stand-ins for pictures over links at a few kbit/s, in virtual time."""

from __future__ import annotations

import math

import pytest

from common.maps.told import LegendBook, number_of
from proto.streams import CONTOURS, VIDEO
from proto.wire import Mode
from sender.ceiling import SECONDS
from sender.contours.settings import SLOW_KBPS
from tests.sender.contours.link import StructureLink
from tests.sender.contours.scene import LEGEND


@pytest.mark.parametrize("kbps", [2.0, 7.0])
def test_the_rate_is_used_and_never_passed_over_ten_seconds(kbps: float) -> None:
    link = StructureLink(kbps)
    link.advance(32.0)
    assert link.most() <= kbps * 1250
    units = SECONDS / link.unit_s  # in ten seconds as many more as to the next whole one may begin
    assert link.wire(link.now - 20) >= (0.84 if kbps < SLOW_KBPS else 0.9) * kbps * 2500 * units / math.ceil(
        units
    )
    # Neither stream starves the other.
    assert link.wire(link.now - 20, CONTOURS.id) >= 0.11 * kbps * 2500
    assert link.wire(link.now - 20, VIDEO.id) >= 0.3 * kbps * 2500
    assert len(link.recovered) == sum(len(unit.parts) for unit in link.maps)
    assert link.stream.protected.parity == 0  # reports say that nothing is lost
    book = LegendBook()
    for part in link.legends:
        book.take(part)
    assert book.legend(number_of(LEGEND), 1) == LEGEND


def test_contours_take_more_where_packets_are_lost() -> None:
    """For their parity; what they take where nothing is lost is left to pictures otherwise."""
    taken = []
    for loss in (0.0, 0.3):
        link = StructureLink(14.0, loss=loss)
        link.advance(30.0)
        taken.append(link.wire(link.now - 15, CONTOURS.id) / 15 / 125)
        assert link.ceiling.loss == pytest.approx(loss, abs=0.12)
    assert taken[0] < 1.64 < 2.0 < taken[1] < 1.64 * 2.5 * 1.05


def test_lost_units_come_back_where_loss_is_reported() -> None:
    link = StructureLink(14.0, loss=0.3)
    link.advance(25.0)
    parts = sum(len(unit.parts) for unit in link.maps)
    assert link.stream.protected.parity > 0.2 * parts
    assert len(link.recovered) >= 0.78 * parts
    assert any(unit.repaired for unit in link.recovered)
    assert link.most() <= 14 * 1250


def test_one_way_parity_is_for_a_link_that_is_not_known() -> None:
    link = StructureLink(14.0, Mode.ONE_WAY)
    link.advance(20.0)
    assert link.stream.protected.parity > 0
    assert link.legends and link.most() <= 14 * 1250


def test_at_two_kbit_a_map_unit_lasts_longer_than_a_second() -> None:
    link = StructureLink(2.0)
    link.advance(20.0)
    lasting = [unit.duration for unit in link.maps]
    assert min(lasting) >= 1.0
    # Contours have 0.6 of 2 kbit/s, and yet headers are not much more than half of what they cost.
    assert link.stage.figures.wire_bytes < 3 * link.stage.figures.payload_bytes
