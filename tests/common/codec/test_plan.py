"""How a unit's bytes are split over packets: the room that there is, and what is best for each loss."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.codec import plan
from common.codec.base import Budget
from common.codec.header import MOST_PACKETS
from common.codec.plan import LOSSES, VIEWS, LossBelief, Plan, choose

PIXELS = 256 * 256
FLAT = np.ones(len(LOSSES))
RATES = (30.0, 60.0, 120.0, 250.0, 500.0, 1000.0)


def budget(kbps: float, max_payload: int = 1171) -> Budget:
    return Budget(kbps * 125 * 4 / 15, packet_overhead=57, max_payload=max_payload)


def only(loss: float) -> NDArray[np.float64]:
    """All weight on one loss."""
    return np.asarray(loss == LOSSES, np.float64)


def expected(allowed: Budget, weights: NDArray[np.float64], pixels: int = PIXELS) -> float:
    """What the chosen plan promises."""
    chosen = choose(allowed, pixels, weights)
    shapes, _ = plan._chances(chosen.packets)
    worth = plan._expected(chosen.packets, chosen.payload, pixels, weights)
    return float(worth[shapes.index((chosen.views, chosen.needed, chosen.symbols))])


def least(chosen: Plan) -> int:
    """Packets without which nothing is shown."""
    return 1 if chosen.views else chosen.needed


@settings(max_examples=150, deadline=None)
@given(
    st.floats(60, 40_000),
    st.integers(28, 80),
    st.integers(60, 1400),
    st.sampled_from([16 * 16, PIXELS, 1280 * 720]),
    st.lists(st.floats(0, 1), min_size=len(LOSSES), max_size=len(LOSSES)).filter(lambda w: sum(w) > 0.1),
)
def test_packets_fit(wire: float, overhead: int, most: int, pixels: int, weights: list[float]) -> None:
    """But for a single packet, which may be all that there is room for, or more than that."""
    chosen = choose(Budget(wire, overhead, most), pixels, np.array(weights))
    assert 1 <= chosen.packets <= MOST_PACKETS
    assert 2 <= chosen.needed <= chosen.symbols if chosen.symbols else chosen.needed == 1
    assert 1 <= chosen.payload <= most
    if chosen.packets > 1:
        assert chosen.packets * (chosen.payload + overhead) <= wire
        assert least(chosen) * chosen.payload >= plan.LEAST_BYTES


@pytest.mark.parametrize("kbps", RATES)
def test_the_more_is_lost_the_more_packets_for_what_is_needed(kbps: float) -> None:
    chosen = [choose(budget(kbps), PIXELS, only(loss)) for loss in LOSSES]
    times = [one.packets / least(one) for one in chosen]
    assert times == sorted(times)
    assert times[-1] >= 2


@pytest.mark.parametrize("kbps", RATES)
@pytest.mark.parametrize("pixels", [128 * 96, PIXELS, 640 * 368, 1280 * 720])
def test_where_nothing_is_lost_nothing_is_sent_twice(kbps: float, pixels: int) -> None:
    chosen = choose(budget(kbps), pixels, only(0.0))
    assert least(chosen) == chosen.packets
    assert chosen.packets <= max(1, np.ceil(budget(kbps).wire_bytes / (1171 + 57)))


@pytest.mark.parametrize("kbps", [30.0, 60.0, 120.0])
def test_where_most_is_lost_any_packet_shows_the_unit(kbps: float) -> None:
    for loss in (0.7, 0.8, 0.9):
        chosen = choose(budget(kbps), PIXELS, only(loss))
        assert chosen.symbols == 0
        assert chosen.views >= 2


def test_large_pictures_at_low_rates_are_not_meant_to_be_lost() -> None:
    """Something arrives at least as often as with a single packet, or two of two where a view needs the room."""
    for pixels in (PIXELS, 640 * 368, 1280 * 720):
        for kbps in (12.0, 30.0, 60.0):
            for loss in LOSSES[1:]:
                chosen = choose(budget(kbps), pixels, only(loss))
                arrives = plan._binomial(chosen.packets, np.array([1 - loss]))[0, least(chosen) :].sum()
                assert arrives > (1 - loss) ** 2 - 1e-9, (pixels, kbps, loss, chosen)


@settings(max_examples=60, deadline=None)
@given(st.floats(100, 20_000), st.floats(1.0, 3.0), st.sampled_from(LOSSES.tolist()))
def test_more_bytes_are_never_worth_less(wire: float, times: float, loss: float) -> None:
    little, much = (
        expected(Budget(bytes_, 57, 1171), only(loss))
        for bytes_ in (max(150.0, wire), max(150.0, wire) * times)
    )
    assert much >= little - 1e-9


def test_more_bytes_are_worth_more_where_they_can_be_used() -> None:
    for weights in (FLAT, only(0.0), only(0.3), only(0.9)):
        worth = [expected(budget(kbps), weights) for kbps in RATES]
        assert all(more > less for less, more in pairwise(worth))


def test_less_loss_is_worth_more() -> None:
    worth = [expected(budget(120.0), only(loss)) for loss in LOSSES]
    assert worth == sorted(worth, reverse=True)


def test_two_views_differ_and_symbols_are_of_one_more() -> None:
    assert Plan(1, 1, 0, 500).parts == [(1, 1)]
    assert Plan(3, 1, 0, 500).parts == [(1, 1), (1, 2)]
    assert Plan(0, 2, 5, 500).parts == [(2, 5)]
    assert Plan(4, 3, 6, 500).parts == [(1, 2), (1, 2), (3, 6)]


@pytest.mark.parametrize("packets", [2, 3, 5, 8])
def test_the_chances_of_views_and_symbols_are_counted_right(packets: int) -> None:
    """Against all ways in which packets can arrive."""
    shapes, chances = plan._chances(packets)
    for (views, needed, symbols), found in zip(shapes, chances.transpose(1, 0, 2), strict=True):
        expected = np.zeros((3, len(LOSSES)))
        for mask in range(2**packets):
            got = [i for i in range(packets) if mask >> i & 1]
            kinds = len({i % VIEWS for i in got if i < views})
            finer = symbols > 0 and sum(i >= views for i in got) >= needed
            row = 0 if finer else 3 - kinds  # two that differ, one, none
            if row < 3:
                expected[row] += (1 - LOSSES) ** len(got) * LOSSES ** (packets - len(got))
        assert found == pytest.approx(expected, abs=1e-9)


def test_much_rate_and_an_unknown_loss_give_views_and_a_finer_one() -> None:
    chosen = choose(budget(250.0), PIXELS, FLAT)
    assert chosen.views >= 2
    assert chosen.symbols > chosen.needed >= 2


def test_the_chances_of_arrivals_are_a_distribution() -> None:
    for count in (1, 5, MOST_PACKETS):
        chances = plan._binomial(count, 1 - LOSSES)
        assert np.allclose(chances.sum(1), 1)
        assert np.allclose((chances * np.arange(count + 1)).sum(1), count * (1 - LOSSES))


def learnt(belief: LossBelief, loss: float, units: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights after each of these units of four packets, summing to one."""
    rows = []
    for _ in range(units):
        belief.learn((rng.random(4) >= loss).tolist())
        rows.append(belief.weights / belief.weights.sum())
    return np.array(rows)


def test_before_any_report_all_losses_are_as_likely() -> None:
    assert np.array_equal(LossBelief().weights, FLAT)


@pytest.mark.parametrize("loss", LOSSES.tolist())
def test_the_belief_converges_on_the_loss(loss: float) -> None:
    """It remembers some sixty packets, so neighbours keep some weight."""
    rows = learnt(LossBelief(), loss, 400, np.random.default_rng(1))[50:]
    mean = rows.mean(0)
    assert LOSSES[mean.argmax()] == loss
    assert mean[np.abs(LOSSES - loss) < 0.21].sum() > 0.9
    assert rows @ LOSSES == pytest.approx(loss, abs=0.3)
    assert (rows @ LOSSES).mean() == pytest.approx(loss, abs=0.05)


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.5), (0.9, 0.0), (0.3, 0.8)])
def test_it_forgets_when_the_link_changes(before: float, after: float) -> None:
    belief, rng = LossBelief(), np.random.default_rng(2)
    learnt(belief, before, 1000, rng)
    rows = learnt(belief, after, 40, rng)
    assert abs(rows[-1] @ LOSSES - after) < 0.15


@pytest.mark.parametrize("loss", [0.0, 1.0])
def test_it_never_becomes_certain(loss: float) -> None:
    """However long nothing, or everything, was lost: the weights stay finite, and a few reports the other way tell."""
    belief = LossBelief()
    rows = learnt(belief, loss, 20_000, np.random.default_rng(3))
    assert np.isfinite(rows).all()
    belief.learn([loss == 1.0] * 20)
    assert abs(float(belief.weights @ LOSSES / belief.weights.sum() - rows[-1] @ LOSSES)) > 0.02


def test_an_encoder_may_be_told_what_to_believe() -> None:
    told = LossBelief(only(0.3)).weights
    assert LOSSES[told.argmax()] == 0.3
    assert told.sum() == pytest.approx(1, abs=1e-4)
    assert np.allclose(LossBelief(0.2 * FLAT).weights, FLAT)


@pytest.mark.parametrize("pixels", [16 * 16, PIXELS, 640 * 480, 848 * 480, 1280 * 720])
@pytest.mark.parametrize("kbps", [30.0, 60.0, 120.0, 250.0, 500.0])
def test_of_an_unknown_link_a_single_packet_may_be_all_that_arrives(pixels: int, kbps: float) -> None:
    assert choose(budget(kbps), pixels, FLAT).views >= 1


def test_steps_are_the_numbers_of_leading_packets_that_are_of_use() -> None:
    assert Plan(3, 1, 0, 500).steps == (1, 2, 3)
    assert Plan(2, 3, 4, 500).steps == (1, 2, 5, 6)
    assert Plan(0, 2, 3, 500).steps == (2, 3)
