"""Loss by length from what was observed: what is found, and above all what is not claimed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sender.packet_length.limit import (
    CLASSES,
    LEAST_PAYLOAD,
    WINDOW_PACKETS,
    WINDOWS,
    LossByLength,
    recommended_payload,
)
from sender.packet_length.loss import LossCount, MeasuredLoss, SymbolErrors
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link

MOST = 1143
counts = st.builds(
    lambda size, sent, share, window: LossCount(size, sent, sent * share, window),
    *(st.integers(60, 1500), st.integers(0, 500), st.floats(0, 1), st.integers(0, 5)),
)


def exact(
    loss: Callable[[int], float], sizes: tuple[int, ...] = (200, 600, 1200), sent: int = 2000
) -> list[LossCount]:
    return [LossCount(size, sent, sent * loss(size)) for size in sizes]


def heard(
    packets: int, arrives: Callable[[int, int], bool], sizes: tuple[int, ...] = (300, 1200)
) -> LossByLength:
    """What is known after so many packets of lengths in turn."""
    known = LossByLength()
    for number in range(packets):
        size = sizes[number % len(sizes)]
        known.learn(size, arrives(number, size))
    return known


def independent(floor: float, per_byte: float, seed: int = 1) -> Callable[[int, int], bool]:
    rng = np.random.default_rng(seed)
    return lambda _, size: bool(rng.random() < math.exp(-floor - per_byte * size))


def in_runs(loss: float, burst: float, seed: int) -> Callable[[int, int], bool]:
    channel = Link(Impairments(loss=loss, burst=burst), seed)
    return lambda number, _: bool(channel.transfer(b"", number))


def test_symbol_errors_are_found_again() -> None:
    true = SymbolErrors(1e-4, 2)
    fit = MeasuredLoss.fit(exact(lambda size: float(true.packet_loss(size))))
    assert fit.floor == pytest.approx(0, abs=2e-3)
    assert fit.ser(2) == pytest.approx(1e-4, rel=0.02)
    assert fit.packet_loss([100, 1500]) == pytest.approx(true.packet_loss([100, 1500]), abs=0.01)
    assert fit.per_byte_low < fit.per_byte


def test_a_floor_is_told_from_what_length_brings() -> None:
    fit = MeasuredLoss.fit(exact(lambda size: -math.expm1(-0.5 - 5e-4 * size)))
    assert fit.floor == pytest.approx(0.5, abs=0.02)
    assert fit.per_byte == pytest.approx(5e-4, rel=0.05)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.9, 1.0])
def test_the_same_loss_at_all_lengths(loss: float) -> None:
    fit = MeasuredLoss.fit(exact(lambda _: loss))
    assert (fit.per_byte, fit.per_byte_low) == (0, 0)
    assert fit.evidence == pytest.approx(0, abs=1e-6)
    assert float(fit.packet_loss(700)) == pytest.approx(loss, abs=1e-3)
    assert 0 < float(fit.packet_loss(700)) < 1  # no number of packets proves that


def test_few_packets_prove_nothing() -> None:
    one = MeasuredLoss.fit([LossCount(1200, 1, 1)])
    assert float(one.packet_loss(1200)) == pytest.approx(0.75)
    assert one.per_byte == 0
    few = MeasuredLoss.fit([LossCount(1200, 4, 2), LossCount(200, 4, 0)])
    assert few.per_byte == 0
    assert float(few.packet_loss(60)) == float(few.packet_loss(1200)) == pytest.approx(2.5 / 9)
    long_ones_arrive = MeasuredLoss.fit([LossCount(1200, 500, 100), LossCount(200, 500, 400)])
    assert long_ones_arrive.per_byte == 0  # loss never falls with length


def test_windows_of_another_loss_are_no_evidence() -> None:
    # short packets while the link was good, long ones while it was bad: nothing compares them
    apart = [LossCount(200, 500, 50, 0), LossCount(1200, 500, 400, 1)]
    assert MeasuredLoss.fit(apart).per_byte == 0
    together = [LossCount(200, 500, 50), LossCount(1200, 500, 400)]
    assert MeasuredLoss.fit(together).per_byte > 0


@settings(max_examples=40, deadline=None)
@given(st.lists(counts, max_size=12))
def test_any_counts_give_a_loss_that_never_falls_with_length(some: list[LossCount]) -> None:
    if not any(count.sent for count in some):
        with pytest.raises(ValueError, match="no packet"):
            MeasuredLoss.fit(some)
        assert recommended_payload(some, MOST) == MOST
        return
    fit = MeasuredLoss.fit(some)
    loss = fit.packet_loss(np.arange(1, 1500))
    assert (np.diff(loss) >= 0).all() and loss[0] >= 0 and loss[-1] <= 1
    assert 0 <= fit.per_byte_low <= fit.per_byte
    assert LEAST_PAYLOAD <= recommended_payload(some, MOST) <= MOST


def test_the_best_length_by_hand() -> None:
    """L (L + H) = H / b: with H = 57 and b = 57 / (400 * 457) it is 400 bytes; the bound is a little longer."""
    slope = 57 / (400 * 457)
    many = exact(lambda size: -math.expm1(-0.3 - slope * size), sent=10**7)
    assert recommended_payload(many, MOST) == pytest.approx(400, abs=8)
    fewer = exact(lambda size: -math.expm1(-0.3 - slope * size), sent=20_000)
    assert 400 < recommended_payload(fewer, MOST) < MOST
    assert recommended_payload(many, MOST, least_payload=700) == 700
    assert recommended_payload(many, 300) == 300
    assert recommended_payload(many, 150) == 150


def test_a_small_gain_changes_nothing() -> None:
    weak = exact(lambda size: -math.expm1(-5e-5 * size), sent=10**6)
    assert MeasuredLoss.fit(weak, 0.001).per_byte_low > 0
    assert recommended_payload(weak, MOST) == MOST


@pytest.mark.parametrize("floor", [0.0, 0.5, 1.0])
def test_a_link_that_loses_long_packets_gets_short_ones(floor: float) -> None:
    limit = heard(2000, independent(floor, 1e-3)).payload_limit(MOST)
    assert LEAST_PAYLOAD <= limit < 420  # best: 213


def test_nothing_is_changed_where_length_does_not_matter() -> None:
    for seed in range(8):
        arrives = in_runs(0.5, 6, seed)
        assert heard(1000, arrives, (300,) * 16 + (1200,) * 16).payload_limit(MOST) == MOST
        assert heard(1000, independent(0.7, 0, seed)).payload_limit(MOST) == MOST
    assert (
        heard(1000, independent(0.3, 1e-3), (1200,)).payload_limit(MOST) == MOST
    )  # one length tells nothing
    assert LossByLength().payload_limit(MOST) == MOST


def test_a_link_that_turns_bad_with_the_length_is_no_proof() -> None:
    """Loss and length change at one moment, as when a rate control answers: few windows hold both, and are left out."""
    known, rng = LossByLength(), np.random.default_rng(3)
    for number in range(2000):
        bad = number // 500 % 2
        known.learn(1200 if bad else 300, bool(rng.random() < (0.2 if bad else 0.8)))
    assert known.payload_limit(MOST) == MOST


def test_dispersion_is_that_of_the_chain() -> None:
    """A Gilbert chain of loss 0.5 in runs of 5 stays in its state with 0.8: correlation 0.6, dispersion 4."""
    runs = heard(WINDOWS * WINDOW_PACKETS, in_runs(0.5, 5, 1))
    assert runs.dispersion == pytest.approx(4, rel=0.2)
    assert heard(2000, independent(0.7, 0)).dispersion < 1.2
    assert LossByLength().dispersion == 1


def test_memory_is_bounded_and_old_links_are_forgotten() -> None:
    known = heard(2 * WINDOWS * WINDOW_PACKETS, independent(0.3, 1e-3))
    assert len({count.window for count in known.counts}) == WINDOWS
    for size in range(1, 3000, 7):
        known.learn(size, True)
    assert len(known.counts) <= WINDOWS * CLASSES
    for number in range(WINDOWS * WINDOW_PACKETS):
        known.learn((300, 1200)[number % 2], True)
    assert known.payload_limit(MOST) == MOST


@pytest.mark.parametrize(
    "call",
    [
        lambda: LossCount(0, 1, 0),
        lambda: LossCount(100, 1, 2),
        lambda: LossCount(100, 1, math.nan),
        lambda: MeasuredLoss(-0.1, 0),
        lambda: MeasuredLoss(0.1, 1e-3, 2e-3),
        lambda: MeasuredLoss.fit([LossCount(100, 5, 1)], alpha=0.6),
        lambda: MeasuredLoss.fit([LossCount(100, 5, 1)], dispersion=0.5),
        lambda: recommended_payload([], 0),
        lambda: LossByLength().learn(0, True),
    ],
)
def test_what_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must"):
        call()
