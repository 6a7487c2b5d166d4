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


def test_a_moment_has_its_time_of_day() -> None:
    wall = WallClock(epoch=ManualClock(1.7e9), monotonic=ManualClock(50.0))
    assert wall.from_monotonic(51.0) == pytest.approx(1.7e9 + 1)
