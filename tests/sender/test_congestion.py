"""The control on simulated links (seconds of virtual time), and its parts at hand-written reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sender.congestion import CongestionControl, RateLimits, State
from sender.feedback import Sample, Update
from sender.losses import LossWatch
from sender.queueing import QueueDelay
from tests.bench.rate_scenarios import SCENARIOS, Scenario, mean_target, target

BY_KEY = {scenario.key: scenario for scenario in SCENARIOS}


def said(scenario: Scenario, seed: int = 1) -> list[str]:
    """The checks that failed."""
    return [
        f"{check.name}: {check.value:.3g}, {check.limit}"
        for check in scenario.run(seed).checks
        if not check.passed
    ]


@pytest.mark.parametrize("key", [scenario.key for scenario in SCENARIOS])
def test_scenario(key: str) -> None:
    assert said(BY_KEY[key]) == []


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = (BY_KEY["a"].run(3).traces[0].target for _ in range(2))
    assert first == second


def test_cap_and_minimum_hold_on_every_link() -> None:
    for key in "adefk":
        scenario = BY_KEY[key]
        for trace in scenario.run(2).traces:
            values = target(trace, 0, 120)
            assert scenario.limits.minimum <= min(values) and max(values) <= scenario.limits.cap


def test_random_loss_that_sets_in_costs_the_rate_for_a_test_alone() -> None:
    """Within 12 s of its beginning the rate is what it was."""
    trace = BY_KEY["l"].run(1).traces[0]
    assert mean_target(trace, 42, 60) == pytest.approx(200)
    assert min(target(trace, 25, 30)) == pytest.approx(200)


def update(
    sent_at: float, delay: float, *, kbps: float = 100.0, expected: int = 4, received: int = 4
) -> Update:
    """Four packets of 500 bytes a report, 40 ms apart, that each took `delay`."""
    samples = tuple(
        Sample(sent_at + i * 0.04, sent_at + i * 0.04 + delay, 500, round(kbps * 125 * (sent_at + i * 0.04)))
        for i in range(received)
    )
    return Update(
        samples, expected, received, 0, expected * 0.04, round(expected * 0.04 * kbps * 125), 0.04, ()
    )


def control(start: float = 100.0, cap: float = 1000.0, safe: float = 30.0) -> CongestionControl:
    return CongestionControl(RateLimits(start, cap=cap, safe=safe))


def test_loss_alone_changes_nothing_once_it_is_known() -> None:
    """Half of the packets lost from the start: growth, and no test."""
    ours = control(cap=200.0)
    for step in range(400):
        now = step * 0.16
        ours.update(update(now, 0.05, kbps=ours.kbps, received=2), 0.1, now + 0.2)
        ours.tick(False, now + 0.2)
    assert ours.kbps == pytest.approx(200.0)
    assert ours.cuts == 0


def test_a_standing_queue_lowers_the_rate_at_once() -> None:
    ours = control()
    for step in range(12):
        ours.update(update(step * 0.16, 0.05), 0.1, step * 0.16 + 0.2)
    before = ours.kbps
    ours.update(update(2.0, 0.35), 0.1, 2.3)
    assert ours.kbps < 0.7 * before
    assert ours.state is State.DRAINING


def test_no_growth_for_three_seconds_after_a_cut() -> None:
    ours = control()
    for step in range(12):
        ours.update(update(step * 0.16, 0.05), 0.1, step * 0.16 + 0.2)
    ours.update(update(2.0, 0.35), 0.1, 2.3)
    levels = []
    for step in range(40):
        now = 2.4 + step * 0.16
        ours.update(update(now, 0.05), 0.1, now + 0.1)
        ours.tick(False, now + 0.1)
        levels.append((now + 0.1, ours.kbps))
    settled = next(kbps for now, kbps in levels if now > 3.5)
    assert all(kbps <= settled for now, kbps in levels if 3.5 < now < 5.2)
    assert levels[-1][1] > settled


def test_growth_needs_use() -> None:
    """A quiet scene spends less than it may: the path has not shown that it carries more."""
    ours = control()
    for step in range(60):
        ours.update(update(step * 0.16, 0.05, kbps=30.0), 0.1, step * 0.16 + 0.2)
    assert ours.kbps == pytest.approx(100.0, rel=0.1)


def test_without_feedback_hold_then_down_to_the_safe_rate() -> None:
    ours = control(start=200.0, safe=40.0)
    ours.update(update(0.0, 0.05), 0.1, 0.2)
    ours.tick(True, 2.0)
    ours.tick(True, 4.9)
    assert ours.kbps == 200 and ours.state is State.FALLBACK
    for step in range(200):
        ours.tick(True, 5.0 + step * 0.1)
    assert ours.kbps == 40
    ours.update(update(30.0, 0.05), 0.1, 30.2)
    assert ours.state is not State.FALLBACK


def test_a_fixed_rate_is_fixed() -> None:
    ours = CongestionControl(RateLimits(80.0, fixed=True))
    for step in range(20):
        ours.update(update(step * 0.16, 0.05 + step * 0.1, received=1), 0.1, step * 0.16 + 0.2)
        ours.tick(True, step * 0.16 + 0.2)
    assert ours.kbps == 80 and ours.state is State.FIXED


@pytest.mark.parametrize(
    "limits", [(5.0, 8.0, 1000.0, 30.0), (60.0, 8.0, 50.0, 30.0), (60.0, 8.0, 1000.0, 2.0)]
)
def test_limits_are_checked(limits: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="rate"):
        RateLimits(*limits)


def test_queue_is_what_stands() -> None:
    queue = QueueDelay()
    queue.add(update(0.0, 0.05).samples, 100.0)
    assert queue.standing(-1.0) == pytest.approx(0.0)
    queue.add(
        [
            Sample(1 + i * 0.04, 1 + i * 0.04 + 0.05 + wait, 500, 0)
            for i, wait in enumerate([0.3, 0.04, 0.2, 0.1])
        ],
        100.0,
    )
    assert queue.standing(0.9) == pytest.approx(0.04)
    assert queue.newest(0.9) == pytest.approx(0.1)
    assert queue.standing(1.05) is None  # two packets tell nothing


def test_the_longest_wait() -> None:
    queue = QueueDelay()
    assert queue.longest() == 0.0
    queue.add([Sample(i, i + 0.05 + 0.02 * (i == 3), 500, 0) for i in range(6)], 100.0)
    assert queue.longest() == pytest.approx(0.02)


def test_a_larger_packet_is_no_queue() -> None:
    queue = QueueDelay()
    queue.add([Sample(i / 10, i / 10 + 0.05, 100, 0) for i in range(4)], 100.0)
    queue.add([Sample(1 + i / 10, 1 + i / 10 + 0.05 + 0.08, 1100, 0) for i in range(4)], 100.0)
    assert queue.standing(0.9) == pytest.approx(0.0)


def test_capacity_does_not_mind_random_loss() -> None:
    """Sent at 200 kbit/s through 100: every second packet is lost, the others come at the spacing of the bottleneck."""
    queue = QueueDelay()
    queue.add([Sample(i * 0.08, i * 0.16, 1000, i * 2000) for i in range(8)], 200.0)
    assert queue.capacity(-1.0) == pytest.approx(100.0)


def overflow(
    watch: LossWatch, kbps: float, capacity: float, own: float, begin: float, seconds: float
) -> float:
    """A shallow queue, losses spread evenly; returns the time."""
    now, owed = begin, 0.0
    while now < begin + seconds:
        kept = (1 - own) * min(1.0, capacity / kbps)
        owed += 10 * kept
        received = int(owed)
        owed -= received
        watch.add(Update((), 10, received, 10 - received, 0.2, round(kbps * 25), 0.04, ()), now, begin + 0.3)
        now += 0.2
    return now


@pytest.mark.parametrize("own", [0.0, 0.5])
def test_overflow_is_told_from_loss_of_the_link(own: float) -> None:
    watch = LossWatch()
    watch.usual = own
    now = overflow(watch, 90.0, 100.0, own, 0.0, 5.0)
    assert watch.suspect(90.0, 8.0, now) is None
    now = overflow(watch, 200.0, 100.0, own, now, 4.0)
    rate = watch.suspect(200.0, 8.0, now)
    assert rate is not None and rate < 100
    now = overflow(watch, rate, 100.0, own, now, 6.0)
    verdict = watch.verdict(now)
    assert verdict is not None and verdict.ceiling == pytest.approx(100.0, rel=0.2)


def test_new_loss_of_the_link_is_told_from_overflow() -> None:
    watch = LossWatch()
    now = overflow(watch, 100.0, 1000.0, 0.0, 0.0, 5.0)
    now = overflow(watch, 100.0, 1000.0, 0.4, now, 3.0)
    rate = watch.suspect(100.0, 8.0, now)
    assert rate is not None
    now = overflow(watch, rate, 1000.0, 0.4, now, 6.0)
    verdict = watch.verdict(now)
    assert verdict is not None and verdict.ceiling is None
    assert watch.usual == pytest.approx(0.4, abs=0.06)
    assert watch.suspect(100.0, 8.0, now + 1) is None


def test_what_is_lost_from_the_start_is_the_links_own_unless_a_queue_is_seen() -> None:
    calm, queued = LossWatch(), LossWatch()
    for step in range(12):
        said = Update((), 10, 5, 3, 0.2, 2500, 0.04, ())
        calm.add(said, 1 + step * 0.2, 0.0)
        queued.add(said, 1 + step * 0.2, 0.0, calm=step < 2)
    assert calm.usual == pytest.approx(0.5) and calm.suspect(100.0, 8.0, 3.5) is None
    assert queued.excess() > 0.3 and queued.suspect(100.0, 8.0, 3.5) is not None


def test_a_first_rate_above_a_link_without_a_queue_is_found_out_as_it_grows() -> None:
    """100 kbit/s are kept of 150: a third seems the link's own, until a higher rate loses more."""
    watch = LossWatch()
    now = overflow(watch, 150.0, 100.0, 0.0, 0.0, 5.0)
    assert watch.usual == pytest.approx(1 / 3, abs=0.05)
    now = overflow(watch, 250.0, 100.0, 0.0, now, 3.0)
    rate = watch.suspect(250.0, 8.0, now)
    assert rate is not None
    now = overflow(watch, rate, 100.0, 0.0, now, 7.0)
    verdict = watch.verdict(now)
    assert verdict is not None and verdict.ceiling == pytest.approx(150.0, rel=0.2)
    assert watch.usual < 0.2


def test_losses_that_are_gone_in_a_test_were_ours_though_it_ran_out_of_packets() -> None:
    watch = LossWatch()
    now = overflow(watch, 40.0, 100.0, 0.0, 0.0, 20.0)
    now = overflow(watch, 40.0, 31.0, 0.0, now, 2.6)
    assert watch.suspect(40.0, 8.0, now) is not None
    watch.add(Update((), 56, 54, 2, 7.0, 20_000, 0.04, ()), now + 7.0, 0.0)
    verdict = watch.verdict(now + 7.1)
    assert verdict is not None and verdict.ceiling == pytest.approx(31.0, rel=0.1)


def test_a_test_ends_in_time_without_reports() -> None:
    ours = control()
    now = 0.0
    while not ours.losses.testing and now < 20:
        said = update(now, 0.05, kbps=ours.kbps, received=4 if now < 10 else 1)
        ours.update(replace(said, runs=4 - said.received), 0.1, now + 0.2)
        now += 0.16
    lowered = ours.kbps
    ours.tick(False, now + 6.0)
    assert ours.losses.testing and ours.kbps == lowered < 700
    ours.tick(False, now + 7.5)
    assert ours.kbps == pytest.approx(1000.0)


def test_an_outage_is_no_loss() -> None:
    watch = LossWatch()
    now = overflow(watch, 100.0, 1000.0, 0.0, 0.0, 5.0)
    watch.add(Update((), 100, 2, 1, 2.0, 25_000, 2.0, ()), now, 0.0)
    assert watch.excess() == 0.0 and watch.usual == pytest.approx(0.0)
