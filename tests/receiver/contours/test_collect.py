"""When map units are decoded."""

from __future__ import annotations

import pytest

from common.maps.part import MapPart
from proto.wire import WireError
from receiver.contours.collect import AHEAD_S, GRACE_S, MOST_OPEN, Collector


def part(unit: int, index: int = 0, parts: int = 1) -> MapPart:
    return MapPart(unit, index, parts, 25, 3, bytes((unit, index)))


def due(time: float) -> float:
    """Shown one second after."""
    return time + 1.0


def test_whole_units_go_on_at_once_and_in_order() -> None:
    collector = Collector()
    collector.push(part(250), 10.0, 10.5)
    (first,) = collector.take(due, 10.5)
    assert (first.unit, first.payloads, first.missed, first.interval) == (250, (b"\xfa\0",), 0, 0.1)
    for number in range(251, 260):
        collector.push(part(number % 256), 10.0 + number, 10.6 + number)
        (found,) = collector.take(due, 10.6 + number)
        assert found.unit == number and found.missed == 0


def test_an_incomplete_unit_waits_until_it_is_due() -> None:
    collector = Collector()
    collector.push(part(0), 10.0, 10.1)
    collector.take(due, 10.1)
    collector.push(part(1, 1, 2), 10.4, 10.5)
    collector.push(part(2), 10.8, 10.9)
    assert collector.take(due, 11.0) == []
    assert collector.next_time(due) == pytest.approx(11.4 - AHEAD_S)
    first, second = collector.take(due, 11.4)
    assert first.payloads == (None, b"\1\1") and second.unit == 2 and collector.pending == 0
    with pytest.raises(WireError, match="decoded"):
        collector.push(part(1, 0, 2), 10.4, 11.5)
    assert collector.late == 1


def test_a_missing_unit_is_waited_for_until_the_next_is_due() -> None:
    collector = Collector()
    collector.push(part(0), 10.0, 10.1)
    collector.take(due, 10.1)
    collector.push(part(3), 11.2, 11.3)
    assert collector.take(due, 11.4) == []
    collector.push(part(2), 10.8, 11.5)  # brought back by parity
    assert [unit.unit for unit in collector.take(due, 11.8)] == [2, 3]


def test_what_comes_late_waits_only_for_what_was_sent_with_it() -> None:
    collector = Collector()
    collector.push(part(7, 0, 2), 10.0, 15.0)
    assert collector.take(due, 15.0 + GRACE_S / 2) == []
    assert len(collector.take(due, 15.0 + GRACE_S)) == 1


def test_contradictions_are_refused_and_memory_is_bounded() -> None:
    collector = Collector()
    collector.push(part(0, 0, 2), 10.0, 0.0)
    for other in (part(0, 0, 2), part(0, 1, 3)):
        with pytest.raises(WireError):
            collector.push(other, 10.0, 0.0)
    for number in range(1, 60):
        collector.push(part(number, 0, 2), 10.0, 0.0)
    collector.take(due, 0.0)
    assert collector.pending == MOST_OPEN


@pytest.mark.parametrize("gap", [1, 100, 195, 220, 255, 256, 300])
def test_numbers_go_on_after_an_outage(gap: int) -> None:
    collector = Collector()
    for number in (*range(10), *range(10 + gap, 20 + gap)):
        collector.push(part(number % 256), 0.5 * number, 0.5 * number)
        assert len(collector.take(due, 0.5 * number + 2.0)) == 1
    assert collector.late == 0
