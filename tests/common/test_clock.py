from __future__ import annotations

import pytest

from common.clock import WallClock
from tests.fakes import ManualClock


def test_a_clock_set_back_changes_nothing() -> None:
    epoch, steady = ManualClock(1.7e9), ManualClock(50.0)
    wall = WallClock(epoch=epoch, monotonic=steady)
    epoch.now -= 3600
    steady.advance(2.5)
    assert wall.now() == pytest.approx(1.7e9 + 2.5)


def test_the_two_directions_are_inverse() -> None:
    wall = WallClock(epoch=ManualClock(1.7e9), monotonic=ManualClock(50.0))
    assert wall.from_monotonic(51.0) == pytest.approx(1.7e9 + 1)
    assert wall.to_monotonic(wall.from_monotonic(77.25)) == pytest.approx(77.25)
