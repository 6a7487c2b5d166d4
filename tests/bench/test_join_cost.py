"""What is compared, and how it is told; the figures themselves come from clips."""

from __future__ import annotations

from tests.bench.join_cost import Row, encode, line, quality
from tests.bench.share_curve import SIDE
from tests.bench.test_loss_sweep import scene


def test_units_are_cut_for_late_joiners_and_without_loss_look_worse() -> None:
    pictures = scene(16, SIDE)
    usual, short = (encode(pictures, 60.0, short) for short in (False, True))
    assert {len(unit) for unit in usual} == {2}
    assert {len(unit) for unit in short} == {3}
    better, worse = (quality(pictures, units, 0.0, 1)[0] for units in (usual, short))
    assert worse < better


def test_line() -> None:
    row = Row(60.0, 0.5, (2.0, 3.0), (27.0, 0.9), (26.5, 0.91), (0.1, 0.01))
    assert line(row).startswith("| 60 | 0.5 | 2 -> 3 | 27.00 -> 26.50 ")
    assert "| -0.50 +- 0.10 | +0.0100 +- 0.0100 |" in line(row)
