from __future__ import annotations

import pytest

from receiver.stages import MOST_UNITS, UnitTimes


def test_a_unit_on_its_way() -> None:
    times, key = UnitTimes(), (1, 7)
    assert times.arrived(key, 10.0)
    assert not times.arrived(key, 10.1)
    assert times.shown(key, 10.2) is None
    assert times.taken(key, 10.3) == pytest.approx(0.3)
    assert times.taken(key, 10.4) is None
    times.decoded(key, 10.5)
    assert times.shown(key, 10.75) == pytest.approx(0.25)
    assert times.shown(key, 10.8) is None
    assert len(times) == 0


def test_units_that_are_not_known_tell_nothing() -> None:
    times = UnitTimes()
    times.decoded((1, 1), 1.0)
    assert times.taken((1, 1), 1.0) is None and times.shown((1, 1), 1.0) is None


def test_memory_is_bounded() -> None:
    times = UnitTimes()
    for unit in range(10 * MOST_UNITS):
        times.arrived((1, unit), float(unit))
    assert len(times) == MOST_UNITS
    assert times.taken((1, 0), 1.0) is None
