"""How slow a preset the coder may take."""

from __future__ import annotations

import pytest

from common.codec.av1 import PRESETS
from common.codec.effort import COST, RUNS, SHARE, Effort

PIXELS = 256 * 256


def cost(preset: int) -> float:
    """Seconds a picture that two views of PIXELS, side by side, are taken to need."""
    once, each = COST[preset]
    return RUNS * (once + each * PIXELS)


USUAL = PRESETS[len(PRESETS) // 2]
FPS = SHARE / cost(USUAL) / 1.01  # leaves time for USUAL, just


def test_every_preset_has_a_cost_and_a_faster_one_costs_less() -> None:
    costs = [COST[preset] for preset in PRESETS]
    assert list(PRESETS) == sorted(PRESETS)
    assert costs == sorted(costs, reverse=True)
    assert [each for _, each in costs] == sorted((each for _, each in costs), reverse=True)


def test_more_time_means_a_slower_preset() -> None:
    chosen = [Effort().preset(PIXELS, 2, fps) for fps in (1, 5, 10, 15, 20, 30, 60)]
    assert chosen == sorted(chosen)
    assert chosen[0] == PRESETS[0]
    assert chosen[-1] > PRESETS[0]
    shares = [Effort(share).preset(PIXELS, 2, 15.0) for share in (0.9, 0.5, 0.2, 0.05)]
    assert shares == sorted(shares)
    assert len(set(shares)) > 1


def test_more_to_code_means_a_faster_preset() -> None:
    by_size = [Effort().preset(pixels, 1, 15.0) for pixels in (4096, PIXELS, 640 * 368, 1280 * 736)]
    assert by_size == sorted(by_size)
    assert by_size[0] < by_size[-1]
    by_views = [Effort().preset(352 * 288, views, 15.0) for views in (1, 2, 4)]
    assert by_views == sorted(by_views)
    assert by_views[0] < by_views[-1]


def test_views_side_by_side_leave_time_for_a_slower_preset() -> None:
    alone, together = (Effort(threads=threads).preset(PIXELS, 2, 30.0) for threads in (1, 2))
    assert together < alone
    assert Effort(threads=2).preset(PIXELS, 3, 30.0) == Effort(threads=2).preset(PIXELS, 4, 30.0)


@pytest.mark.parametrize("fps", [5.0, 10.0, 15.0, 30.0])
def test_the_slowest_that_is_in_time_is_chosen(fps: float) -> None:
    for pixels in (16 * 16, PIXELS, 352 * 288, 1280 * 736):
        chosen = Effort().preset(pixels, 2, fps)
        in_time = [p for p in PRESETS if RUNS * (COST[p][0] + COST[p][1] * pixels) <= SHARE / fps]
        assert chosen == (in_time[0] if in_time else PRESETS[-1])


def test_the_fastest_where_none_is_in_time() -> None:
    assert Effort().preset(1280 * 736, 2, 60.0) == PRESETS[-1]


def run(effort: Effort, times: float, units: int = 60) -> list[int]:
    """Presets chosen on a machine that needs `times` the cost."""
    chosen = []
    for _ in range(units):
        chosen.append(effort.preset(PIXELS, 2, FPS))
        effort.took(times * cost(chosen[-1]))
    return chosen


def test_it_learns_that_a_machine_is_slow_or_fast() -> None:
    assert run(Effort(adaptive=True), 1.0)[-1] == USUAL
    assert run(Effort(adaptive=True), 3.0)[-1] > USUAL
    assert run(Effort(adaptive=True), 0.5)[-1] < USUAL


def test_a_machine_that_was_busy_for_a_while_is_fast_again() -> None:
    effort = Effort(adaptive=True)
    assert run(effort, 1000.0)[-1] == PRESETS[-1]
    assert run(effort, 0.98)[-1] == USUAL


def test_one_slow_unit_changes_little() -> None:
    effort = Effort(adaptive=True)
    run(effort, 1.5, units=1)
    assert USUAL < effort.preset(PIXELS, 2, FPS) <= USUAL + 1


def test_without_learning_the_choice_stays() -> None:
    """Benchmarks must not depend on the time of day."""
    assert set(run(Effort(), 40.0) + run(Effort(), 0.1)) == {USUAL}
