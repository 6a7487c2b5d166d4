"""What the rule gives a link: parity for loss, long units for low rates, within the delay and the rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.contour.protect_rule import (
    HARM,
    HEADER_BYTES,
    LEAST_SPREAD_S,
    cost_of,
    lost,
    protection,
)
from proto.protection import Losses, Policy, failures


def test_no_loss_needs_no_parity_and_keeps_the_floor() -> None:
    found = protection(0.0, 2000, 1.0, 15, 1000)
    assert (found.floor, found.overhead, found.residual) == (0.85, 0.0, 0.0)


def test_more_loss_means_more_parity_and_a_lower_floor() -> None:
    found = [protection(loss, 1800, 2.0, 15, 1100) for loss in (0.0, 0.1, 0.3, 0.5)]
    assert [one.overhead for one in found] == sorted(one.overhead for one in found)
    assert found[3].overhead > 1.5
    assert [one.floor for one in found] == sorted((one.floor for one in found), reverse=True)


def test_a_longer_delay_loses_less() -> None:
    short, long = (protection(0.5, 1800, delay, 15, 1100) for delay in (0.4, 2.0))
    assert long.floor - HARM * long.residual > short.floor - HARM * short.residual


def test_low_rates_get_long_units() -> None:
    assert protection(0.0, 120, 2.0, 10, 100).period > protection(0.0, 2000, 2.0, 10, 1000).period


@given(st.floats(0, 1), st.floats(1, 1e5), st.floats(0.05, 5), st.floats(1, 60), st.floats(1, 1e5))
def test_the_parity_fits_the_rate_and_the_unit_the_delay(
    loss: float, rate: float, delay: float, fps: float, cost: float
) -> None:
    found = protection(loss, rate, delay, fps, cost)
    assert 0.0 <= found.floor <= 0.85
    assert found.period == 1 or found.period / fps <= delay + 1e-9
    assert found.window_s <= 1.0
    if found.overhead and found.period > 1:
        assert found.period / fps + found.spread_s <= delay + LEAST_SPREAD_S
    assert found.overhead == 0 or rate / (1 + found.overhead) > HEADER_BYTES * fps / found.period
    Policy(max_overhead=found.overhead, window_s=found.window_s)


def test_the_cost_of_a_floor_is_told_for_that_of_another() -> None:
    assert cost_of(1000, 0.85) == pytest.approx(1000)
    assert cost_of(1000, 0.75) > 2000


def test_what_is_lost_follows_the_chance_that_a_window_fails() -> None:
    assert lost(1, 1, 0.3) == pytest.approx(0.3)
    assert lost(1, 3, 0.5) == pytest.approx(0.125)
    assert 0.5 * failures(4, Losses(0.5))[4] < lost(4, 8, 0.5) < failures(4, Losses(0.5))[4]


@pytest.mark.parametrize("wrong", [{"loss": 1.2}, {"rate": 0}, {"delay_s": 0}, {"fps": -1}, {"cost": 0}])
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        protection(**({"loss": 0.1, "rate": 1e3, "delay_s": 1.0, "fps": 10.0, "cost": 1e3} | wrong))
