"""The packet-length planner: equations by hand, monotonicities, and the optimum against every other plan."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator
from scipy.stats import binom

from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES
from sender.packet_length.curve import QualityCurve
from sender.packet_length.loss import MeasuredLoss, SymbolErrors
from sender.packet_length.plan import (
    Criterion,
    Cut,
    arrivals,
    best,
    choose,
    expected,
    qualities,
    quality_limit,
    segments,
)

LINE = QualityCurve((0, 1), (0, 1))
CONCAVE = QualityCurve((0, 0.3, 1), (0.5, 0.9, 0.97))
CONVEX = QualityCurve((0, 0.7, 1), (0.0, 0.1, 1.0))

rates = st.floats(1e-7, 1e-2)
cuts = st.builds(
    Cut, st.integers(255, 20_000), st.integers(0, 100), st.integers(100, 1171), st.integers(201, 255)
)
losses = st.one_of(
    st.builds(SymbolErrors, rates, st.sampled_from([1, 2, 4, 6])),
    st.builds(MeasuredLoss, st.floats(0, 2), st.floats(0, 0.01)),
)


@st.composite
def curves(draw: st.DrawFn) -> QualityCurve:
    inner = draw(st.lists(st.integers(1, 99), max_size=6, unique=True).map(sorted))
    shares = (0.0, *(i / 100 for i in inner), 1.0)
    values = sorted(draw(st.lists(st.floats(0, 1), min_size=len(shares), max_size=len(shares))))
    return QualityCurve(shares, tuple(values))


def test_loss_by_hand() -> None:
    # eqs. (1) and (2): 100 bytes at 2 bits a symbol are 400 symbols
    assert int(SymbolErrors(1e-3, 2).symbols(100)) == 400
    assert float(SymbolErrors(1e-3, 2).packet_loss(100)) == pytest.approx(1 - 0.999**400)
    assert float(SymbolErrors(0.5).packet_loss(1)) == pytest.approx(1 - 2**-8)
    assert int(SymbolErrors(0.1, 6).symbols(1)) == 2  # 8 bits need two symbols of 6
    assert SymbolErrors(0).packet_loss([1, 1500]).tolist() == [0, 0]
    assert SymbolErrors(1).packet_loss([0, 1, 1500]).tolist() == [0, 1, 1]
    assert float(SymbolErrors(1e-15).packet_loss(1500)) == pytest.approx(1.2e-11, rel=1e-3)


def test_the_papers_unit_by_hand() -> None:
    # section V.A.1: 155520 bytes, 49 bytes of headers; eqs. (3) to (6)
    cut = Cut(155_520, 49, 155_520, 2**16)
    assert int(cut.payload_bytes(480)) == 324
    assert int(cut.packet_bytes(480)) == 373
    assert int(cut.wire_bytes(480)) == 480 * 373 == 480 * 49 + 155_520
    loss = SymbolErrors(1e-5)
    # P_L <= 15 % allows floor(ln 0.85 / ln(1 - 1e-5)) symbols: 2031 bytes, 1982 of payload, 79 packets
    plan = choose(cut, loss, LINE, 0.85, Criterion.MEAN_SHARE)
    assert (plan.packets, plan.payload_bytes, plan.packet_bytes) == (79, 1969, 2018)
    assert plan.wire_bytes == 155_520 + 79 * 49
    assert plan.packet_loss == pytest.approx(-math.expm1(8 * 2018 * math.log1p(-1e-5)))
    assert plan.quality_limit == pytest.approx((1 - 1e-5) ** (8 * 49))  # eqs. (7) and (8)


def test_our_headers() -> None:
    assert Cut(1000).header_bytes == OVERHEAD_BYTES + IP_UDP_BYTES == 57


@given(rates, st.sampled_from([1, 2, 4]), st.integers(2, 200))
def test_slope_is_negative_and_that_of_the_loss(ser: float, bits: int, packets: int) -> None:
    """Eq. (9) against differences of eq. (6), symbols not rounded."""
    errors, step = SymbolErrors(ser, bits), 1e-4

    def loss(n: float) -> float:
        return float(-np.expm1(8 / bits * (57 + 8000 / n) * np.log1p(-ser)))

    slope = errors.slope(57, 8000, packets)
    assert slope <= 0
    difference = (loss(packets + step) - loss(packets - step)) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-4, abs=1e-8)
    assert SymbolErrors(1).slope(57, 8000, packets) == 0


@given(cuts, losses)
def test_more_packets_lose_less_and_cost_more(cut: Cut, loss: SymbolErrors | MeasuredLoss) -> None:
    packets = np.arange(cut.fewest, cut.most + 1)
    lost = loss.packet_loss(cut.packet_bytes(packets))
    assert (np.diff(lost) <= 1e-15).all()
    assert (lost >= loss.packet_loss(cut.header_bytes) - 1e-15).all()  # eq. (7)
    assert (np.diff(cut.wire_bytes(packets)) == cut.header_bytes).all()
    assert int(cut.payload_bytes(packets).max()) <= cut.max_payload


@settings(max_examples=30, deadline=None)
@given(cuts, losses, curves(), st.floats(0, 1), st.sampled_from(Criterion))
def test_the_plan_is_the_cheapest_of_all(
    cut: Cut, loss: SymbolErrors | MeasuredLoss, curve: QualityCurve, threshold: float, criterion: Criterion
) -> None:
    def quality(n: int) -> float:
        p = float(loss.packet_loss(cut.header_bytes + math.ceil(cut.origin_bytes / n)))
        if criterion is Criterion.MEAN_SHARE:
            return float(curve.at_loss(p))
        k = np.arange(n + 1)
        return float(binom.pmf(k, n, 1 - p) @ curve(k / n))

    allowed = [n for n in range(1, 256) if n <= cut.max_packets and n * cut.max_payload >= cut.origin_bytes]
    by_hand = {n: quality(n) for n in allowed}
    good = [n for n in allowed if by_hand[n] >= threshold - 1e-9]
    try:
        plan = choose(cut, loss, curve, threshold, criterion)
    except ValueError as error:
        assert "threshold" in str(error)
        assert all(by_hand[n] < threshold + 1e-9 for n in allowed)
        fallback = best(cut, loss, curve, threshold, criterion)
        assert fallback.expected_quality == pytest.approx(max(by_hand.values()))
        return
    assert plan.expected_quality >= threshold
    assert plan.expected_quality == pytest.approx(by_hand[plan.packets])
    assert good[0] <= plan.packets
    assert all(by_hand[n] < threshold + 1e-9 for n in allowed if n < plan.packets)
    assert best(cut, loss, curve, threshold, criterion) == plan


@given(cuts, losses, curves())
def test_by_the_paper_quality_never_falls_with_packets(
    cut: Cut, loss: SymbolErrors | MeasuredLoss, curve: QualityCurve
) -> None:
    quality = qualities(cut, loss, curve, Criterion.MEAN_SHARE)
    assert (np.diff(quality) >= -1e-12).all()
    assert quality[-1] <= quality_limit(cut, loss, curve) + 1e-12


def test_the_cheapest_plan_of_a_worse_channel_has_shorter_packets() -> None:
    plans = [choose(Cut(8400), SymbolErrors(ser), CONCAVE, 0.9) for ser in (1e-6, 1e-4, 3e-4, 1e-3)]
    lengths = [plan.packet_bytes for plan in plans]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == 57 + 1050  # as few as there may be
    assert lengths[-1] < 300


def test_why_there_is_no_plan() -> None:
    with pytest.raises(ValueError, match=r"no packets are short enough"):
        choose(Cut(8400), SymbolErrors(1e-2), LINE, 0.9)
    with pytest.raises(ValueError, match=r"10 packets are too few"):
        choose(Cut(8400, max_packets=10), SymbolErrors(1e-4), LINE, 0.8)
    plan = best(Cut(8400, max_packets=10), SymbolErrors(1e-4), LINE, 0.8)
    assert (plan.packets, plan.expected_quality < 0.8) == (10, True)
    assert best(Cut(8400), SymbolErrors(0), LINE).packets == 8  # the fewest bytes of equals


def test_mean_of_the_curve_and_curve_of_the_mean() -> None:
    """Two packets, each lost with 1/2: shares 0, 1/2, 1 with chances 1/4, 1/2, 1/4."""
    assert arrivals(2, 0.5) == pytest.approx([0.25, 0.5, 0.25])
    by_hand = 0.25 * 0.5 + 0.5 * float(CONCAVE(0.5)) + 0.25 * 0.97
    assert expected(CONCAVE, 2, 0.5) == pytest.approx(by_hand)
    assert by_hand < float(CONCAVE.at_loss(0.5))
    assert expected(LINE, 7, 0.3) == pytest.approx(0.7)
    assert expected(CONVEX, 1, 0.5) > expected(
        CONVEX, 8, 0.5
    )  # where more packets are worse at the same loss


@pytest.mark.parametrize("loss", [0.0, 1e-12, 0.3, 0.999, 1.0])
def test_arrivals_are_binomial(loss: float) -> None:
    for packets in (1, 7, 255):
        chances = arrivals(packets, loss)
        assert chances == pytest.approx(binom.pmf(np.arange(packets + 1), packets, 1 - loss), abs=1e-12)


@given(st.binary(min_size=1, max_size=600), st.integers(1, 255))
def test_segments_are_equal_and_whole(data: bytes, packets: int) -> None:
    if packets > len(data):
        with pytest.raises(ValueError, match="packets"):
            segments(data, packets)
        return
    cut = segments(data, packets)
    assert b"".join(cut) == data
    assert len(cut) == packets
    assert len(cut[0]) == int(Cut(len(data)).payload_bytes(packets))
    assert len(cut[0]) - len(cut[-1]) <= 1


@example(QualityCurve((0.0, 1.0), (0.2, 0.7203779666879789)), [0.0])
@given(curves(), st.lists(st.floats(-0.5, 1.5), min_size=2, max_size=30))
def test_curves_go_through_their_points_and_never_fall(curve: QualityCurve, shares: list[float]) -> None:
    assert curve(curve.shares) == pytest.approx(curve.qualities, abs=1e-12)
    assert (np.diff(curve(sorted(shares))) >= -1e-12).all()
    assert float(curve.at_loss(0)) == curve.best == curve.qualities[-1]


def test_curve_between_its_points() -> None:
    x, y = [0, 0.1, 0.3, 0.35, 0.8, 1.0], [0.2, 0.5, 0.55, 0.55, 0.9, 0.97]
    inside = np.linspace(0.1, 0.8, 99)  # the ends are made differently
    assert QualityCurve(tuple(x), tuple(y))(inside) == pytest.approx(PchipInterpolator(x, y)(inside))
    assert LINE([0, 0.25, 1]).tolist() == [0, 0.25, 1]


def test_noise_is_made_monotone() -> None:
    curve = QualityCurve.fit([0, 0.25, 0.5, 1], [0.2, 0.6, 0.4, 0.9])
    assert curve.qualities == pytest.approx((0.2, 0.5, 0.5, 0.9))
    weighted = QualityCurve.fit([0, 0.25, 0.5, 1], [0.2, 0.6, 0.4, 0.9], [1, 3, 1, 1])
    assert weighted.qualities == pytest.approx((0.2, 0.55, 0.55, 0.9))
    assert QualityCurve.fit([0, 0.5, 1], [3, 2, 1]).qualities == pytest.approx((2, 2, 2))


@pytest.mark.parametrize(
    ("shares", "values"),
    [
        ((0,), (1,)),
        ((0, 1), (1, 0)),
        ((0.1, 1), (0, 1)),
        ((0, 0, 1), (0, 0, 1)),
        ((0, 1), (0, math.nan)),
        ((0, 1), (1,)),
    ],
)
def test_what_is_no_curve(shares: tuple[float, ...], values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"shares|qualities"):
        QualityCurve(shares, values)


@pytest.mark.parametrize(
    "bad", [{"origin_bytes": 0}, {"max_packets": 0}, {"header_bytes": -1}, {"max_payload": 3}]
)
def test_what_cannot_be_cut(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must|do not fit"):
        Cut(**{"origin_bytes": 8000, **bad})


@pytest.mark.parametrize(("ser", "bits"), [(-0.1, 1), (1.1, 1), (math.nan, 1), (0.1, 0)])
def test_what_is_no_channel(ser: float, bits: int) -> None:
    with pytest.raises(ValueError, match=r"ser|bits_per_symbol"):
        SymbolErrors(ser, bits)
