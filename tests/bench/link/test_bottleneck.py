from __future__ import annotations

import pytest

from tests.bench.link.bottleneck import Bottleneck
from tests.bench.link.counts import Waits
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.bench.link.replay import Opportunities, RateSchedule


def test_packets_leave_one_behind_the_other_and_the_tail_is_dropped() -> None:
    link = Link(Impairments(rate_kbps=80.0, queue_s=0.1), 1)  # 10 000 bytes a second
    times = [delivery[0][0] for _ in range(50) if (delivery := link.transfer(bytes(72), 0.0))]
    assert times[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert len(times) == 11
    assert link.counts.overflow == 39
    queue = link.counts.told()["queue_ms"]
    assert queue == {"p50": pytest.approx(50.0, abs=0.11), "max": pytest.approx(100.0)}


@pytest.mark.parametrize("size", [40, 1172])
def test_an_overloaded_link_carries_its_rate(size: int) -> None:
    link = Link(Impairments(rate_kbps=500.0, queue_s=0.05))
    times = [at for n in range(20_000) for at, _ in link.transfer(bytes(size), n * 0.0005)]
    assert len(times) * (size + 28) * 8e-3 / times[-1] == pytest.approx(500.0, rel=0.02)
    assert times == sorted(times)


def test_what_is_lost_on_the_air_has_used_the_rate() -> None:
    link = Link(Impairments(rate_kbps=500.0, queue_s=0.05, loss=0.5))
    got = sum(len(link.transfer(bytes(972), n * 0.001)) for n in range(10_000))
    assert got * 8 / 10 == pytest.approx(250.0, rel=0.06)


def test_another_rate_holds_from_the_next_packet_on() -> None:
    link = Link(Impairments(rate_kbps=80.0, queue_s=10.0))
    assert link.transfer(bytes(72), 0.0)[0][0] == pytest.approx(0.01)
    link.change(rate_kbps=160.0)
    assert link.transfer(bytes(72), 0.0)[0][0] == pytest.approx(0.015)
    link.change(rate_kbps=None)
    assert link.transfer(bytes(72), 0.5) == [(0.5, bytes(72))]


def test_opportunities_are_shared_split_and_wasted() -> None:
    trace = Opportunities((0.001, 0.005, 0.005, 0.010), 0.010)
    queue = Bottleneck()
    leave = [queue.at_opportunities(size, 0.0, 1.0, trace) for size in (500, 1000, 1500, 700, 1600)]
    assert [round(1e3 * service[1]) for service in leave if service] == [1, 1, 5, 5, 10]
    late = queue.at_opportunities(100, 0.012, 1.0, trace)
    assert late == pytest.approx((0.015, 0.015))  # 0.011 is over; the next lap
    assert queue.at_opportunities(100, 0.0151, 0.004, trace) is None
    assert trace.first(0.010) == 3
    assert [round(1e3 * trace.at(n)) for n in range(3, 9)] == [10, 11, 15, 15, 20, 21]


def test_opportunities_carry_their_rate() -> None:
    trace = Opportunities(tuple(n * 0.004 for n in range(1, 6)), 0.020)  # 3 Mbit/s
    link = Link(Impairments(replay=trace, queue_s=0.1))
    sizes = [100, 700, 1300] * 5000
    out = [
        (at, len(data)) for n, size in enumerate(sizes) for at, data in link.transfer(bytes(size), n * 0.001)
    ]
    bits = 8 * sum(size + 28 for _, size in out)
    assert bits / out[-1][0] == pytest.approx(3e6, rel=0.03)
    assert max(at * 250 % 1 for at, _ in out if at * 250 % 1 < 0.999) < 0.001  # at multiples of 4 ms alone


def test_a_schedule_serves_what_its_rates_allow() -> None:
    rates = RateSchedule((0.0, 1.0, 2.0), (100.0, 0.0, 50.0), 3.0)  # 150 kbit a lap of 3 s
    assert [rates.served(t) for t in (0.5, 1.0, 1.7, 2.5, 3.0, 4.0)] == pytest.approx(
        [50, 100, 100, 125, 150, 250]
    )
    assert [rates.when(k) for k in (50.0, 100.0, 110.0, 150.0, 160.0)] == pytest.approx(
        [0.5, 1.0, 2.2, 3.0, 3.1]
    )
    assert rates.when(100.0, begins=True) == pytest.approx(2.0)
    assert rates.when(150.0, begins=True) == pytest.approx(3.0)
    queue = Bottleneck()
    assert queue.on_schedule(10_000, 0.5, 1.0, rates) == pytest.approx((0.5, 2.6))  # 80 kbit
    assert queue.on_schedule(1_000, 0.6, 1.0, rates) is None
    assert queue.on_schedule(1_000, 1.7, 1.0, rates) == pytest.approx((2.6, 2.76))


def test_a_standstill_is_waited_for_or_not() -> None:
    rates = RateSchedule((0.0, 1.0), (0.0, 80.0), 2.0)
    assert Bottleneck().on_schedule(100, 0.2, 0.5, rates) is None
    assert Bottleneck().on_schedule(100, 0.6, 0.5, rates) == pytest.approx((1.0, 1.01))


def test_waits_are_bounded() -> None:
    waits = Waits()
    assert (waits.median(), waits.longest) == (0.0, 0.0)
    for n in range(300_000):
        waits.add(n * 0.001)
    assert len(waits._bins) <= 100_001
    assert waits.longest == pytest.approx(299.999)
    assert waits.median() == pytest.approx(10.0)
