"""A minute of video is a minute of recording, whatever the ticks do."""

from __future__ import annotations

import itertools
import random

import pytest

from common.record.cadence import Cadence


def test_regular_pictures_get_regular_times() -> None:
    cadence, rng = Cadence(), random.Random(1)
    times = [cadence.at(n, 7.0 + n / 15 + rng.uniform(-0.02, 0.02), 15.0) for n in range(900)]
    assert times == pytest.approx([n / 15 for n in range(900)])


@pytest.mark.parametrize("ppm", [-20_000, -500, 500, 20_000])
def test_a_clock_that_runs_otherwise_is_followed(ppm: int) -> None:
    cadence = Cadence()
    times = [cadence.at(n, n / 15 * (1 + ppm * 1e-6), 15.0) for n in range(900)]
    assert times[-1] == pytest.approx(899 / 15 * (1 + ppm * 1e-6), abs=0.3)
    steps = [b - a for a, b in itertools.pairwise(times)]
    assert min(steps) > 0.055 and max(steps) < 0.08


def test_a_standstill_is_as_long_in_the_recording() -> None:
    cadence = Cadence()
    times = [cadence.at(n, n / 15 + (8.0 if n >= 30 else 0.0), 15.0) for n in range(60)]
    assert times[30] - times[29] == pytest.approx(8.0 + 1 / 15)
    assert times[59] == pytest.approx(59 / 15 + 8.0)


def test_a_single_late_picture_moves_little() -> None:
    cadence = Cadence()
    times = [cadence.at(n, n / 15 + (0.1 if n == 30 else 0.0), 15.0) for n in range(60)]
    assert max(abs(time - n / 15) for n, time in enumerate(times)) < 0.02


def test_pictures_that_were_not_recorded_leave_a_gap_and_times_always_rise() -> None:
    cadence = Cadence()
    assert [cadence.at(n, n / 15, 15.0) for n in (0, 1, 9)] == pytest.approx([0.0, 1 / 15, 9 / 15])
    last = cadence.at(10, -5.0, 15.0)
    assert last > 9 / 15
