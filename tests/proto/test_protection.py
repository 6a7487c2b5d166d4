"""The choice of n: against closed forms, brute force over every pattern of losses, and simulation."""

from __future__ import annotations

from itertools import pairwise, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.protection import MAX_SOURCE, Losses, Policy, failures

rates = st.floats(0.01, 0.95)


def brute_force(needed: int, sent: int, losses: Losses) -> float:
    """The sum over all 2^sent patterns, state by state."""
    rate, memory = losses.rate, losses.memory
    total = 0.0
    for lost in product((False, True), repeat=sent):
        if sent - sum(lost) >= needed:
            continue
        chance = rate if lost[0] else 1.0 - rate
        for before, after in pairwise(lost):
            again = rate + (1.0 - rate) * memory if before else rate * (1.0 - memory)
            chance *= again if after else 1.0 - again
        total += chance
    return total


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4), st.integers(0, 4), rates, st.one_of(st.none(), st.floats(1.0, 30.0)), st.floats(1, 8)
)
def test_failures_are_those_of_brute_force(
    needed: int, more: int, rate: float, burst: float | None, spacing: float
) -> None:
    losses = Losses(rate, burst, spacing)
    exact = brute_force(needed, needed + more, losses)
    assert failures(needed, losses)[more] == pytest.approx(exact, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, MAX_SOURCE), st.integers(0, 120), rates)
def test_independent_losses_are_the_binomial_tail(needed: int, more: int, rate: float) -> None:
    sent = needed + more
    exact = sum(comb(sent, a) * (1 - rate) ** a * rate ** (sent - a) for a in range(needed))
    assert failures(needed, Losses(rate))[more] == pytest.approx(exact, rel=1e-8, abs=1e-300)


def test_a_burst_of_independent_length_is_independence() -> None:
    """Just above it the chain is used, just below the closed form: both must agree."""
    chain, closed = failures(10, Losses(0.3, 1.0000001 / 0.7)), failures(10, Losses(0.3))
    np.testing.assert_allclose(chain, closed, rtol=1e-4)
    assert Losses(0.3, 1.0).memory == 0.0


def test_failures_agree_with_a_simulated_link() -> None:
    losses, needed, sent, windows = Losses(0.2, 5.0), 6, 14, 40_000
    random = np.random.default_rng(1).random((sent, windows))
    lost = random[0] < losses.rate
    arrived = (~lost).astype(int)
    for draw in random[1:]:
        stay, fall = 1.0 - 1.0 / 5.0, 0.2 / (5.0 * 0.8)  # mean burst of 5, stationary loss of 0.2
        lost = np.where(lost, draw < stay, draw < fall)
        arrived += ~lost
    assert failures(needed, losses)[sent - needed] == pytest.approx((arrived < needed).mean(), abs=0.006)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.floats(0, 1),
    st.floats(1e-6, 0.5),
    st.floats(0, 6),
    st.one_of(st.none(), st.floats(1, 20)),
)
def test_the_smallest_count_that_meets_the_target(
    needed: int, rate: float, target: float, overhead: float, burst: float | None
) -> None:
    choice = Policy(Losses(rate, burst), target, overhead).choose(needed)
    tail = failures(needed, Losses(rate, burst))
    parity = choice.count - needed
    assert choice.needed == needed <= choice.count <= 255
    assert parity <= overhead * needed + 1e-6
    assert choice.failure == tail[parity]
    assert choice.code_rate == needed / choice.count
    if choice.failure <= target * (1 + 1e-9):
        assert parity == 0 or tail[parity - 1] > target
    else:  # only the limits can be the reason
        assert parity + 1 > overhead * needed or choice.count == 255


def test_bursts_cost_more_and_spreading_gets_it_back() -> None:
    counts = [
        Policy(losses, max_overhead=12.0).choose(10).count
        for losses in (Losses(0.2), Losses(0.2, 8.0, spacing=4.0), Losses(0.2, 8.0))
    ]
    assert counts == sorted(set(counts))


def test_a_target_that_is_met_exactly_is_met() -> None:
    assert Policy(Losses(0.1), target=0.001).choose(1).count == 3


def test_certain_loss_and_none() -> None:
    assert Policy(Losses(0.0)).choose(7).count == 7
    lost = Policy(Losses(1.0, 3.0), max_overhead=1.0).choose(7)
    assert (lost.count, lost.failure) == (14, 1.0)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Losses(1.1), "rate"),
        (lambda: Losses(float("nan")), "rate"),
        (lambda: Losses(0.5, 0.9), "burst"),
        (lambda: Losses(0.5, 2.0, 0.5), "spacing"),
        (lambda: Policy(target=0.0), "target"),
        (lambda: Policy(max_overhead=-1.0), "max_overhead"),
        (lambda: Policy(window_s=1.5), "window_s"),
        (lambda: Policy().choose(0), "needed"),
        (lambda: Policy().choose(129), "needed"),
    ],
)
def test_bad_values_are_named(make: object, text: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=text):
        make()
