"""The report builder at hand-written arrivals."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.report import PlayoutState, Report
from receiver.reports import ACTIVE_S, SHORTEST_S, SILENT_S, LossRuns, PathTally, Reporter, Transit

A, B = b"sessA1", b"sessB2"


def feed(
    reporter: Reporter, loss: float, seconds: float, begin: float = 0.0, *, session: bytes = A
) -> list[float]:
    """200 kbit/s of 1000 bytes from `begin`; returns when reports were sent."""
    rng, out = random.Random(7), []
    for counter in range(int(seconds * 25)):
        now = begin + counter / 25
        if rng.random() >= loss:
            reporter.packet(session, counter, 1000, now)
            reporter.media(counter // 6 * 0.24, now)
        if counter % 6 == 5:
            reporter.unit_closed(counter // 6, 6, [True] * 6, now)
        if reporter.due(now):
            out.append(now)
            reporter.build(now)
    return out


def test_a_report_tells_what_arrived_and_when() -> None:
    reporter = Reporter()
    for counter, now in [(10, 5.0), (11, 5.1), (14, 5.25)]:
        reporter.packet(A, counter, 500, now)
    reporter.unit_closed(3, 4, [True, False, True, True], 5.3)
    reporter.unit_closed(4, 4, [False] * 4, 5.3)
    reporter.playout(PlayoutState.PLAYING, 8, 9, 0.35)
    report = Report.parse(reporter.build(5.3))
    assert (report.session, report.newest, report.packets, report.wire_bytes) == (0x7365, 14, 3, 1500)
    assert (report.clock_ms, report.age_ms) == (5300, 50)
    assert [(e.step, e.milliseconds) for e in report.earlier] == [(3, 150), (1, 250)]
    assert [(u.unit, u.arrived) for u in report.units] == [(4, ()), (3, (True, False, True, True))]
    assert (report.state, report.shown, report.due, report.playout_delay_ms) == (
        PlayoutState.PLAYING,
        8,
        9,
        350,
    )


def test_nothing_is_reported_before_the_first_packet_and_after_silence() -> None:
    reporter = Reporter()
    assert reporter.next_time(0.0) is None
    with pytest.raises(RuntimeError):
        reporter.build(0.0)
    reporter.packet(A, 0, 100, 1.0)
    assert reporter.due(1.0)
    assert not reporter.due(1.0 + SILENT_S + 0.1)


@pytest.mark.parametrize("loss", [0.0, 0.5, 0.9])
def test_reports_keep_their_distance_and_their_share(loss: float) -> None:
    reporter, size = Reporter(), 0
    rng, last = random.Random(3), -1.0
    for counter in range(25 * 60):
        now = counter / 25
        if rng.random() >= loss:
            reporter.packet(A, counter, 1000, now)
            reporter.media(counter // 6 * 0.24, now)
        if reporter.due(now):
            assert now - last >= SHORTEST_S - 1e-9
            size, last = size + len(reporter.build(now)) + 57, now
    assert size <= (0.05 if loss == 0 else 0.1) * 25_000 * 60 * 1.1
    assert reporter.number >= 58  # one a second at least


def test_fewer_reports_while_nothing_changes() -> None:
    times = feed(Reporter(), 0.0, 30.0)
    early = sum(now < 5 for now in times)
    late = sum(now >= 25 for now in times)
    assert early >= 1.3 * late
    assert late >= 5


def test_a_longer_transit_makes_reports_more_frequent() -> None:
    reporter = Reporter()
    feed(reporter, 0.0, 20.0)
    steady = reporter.interval
    reporter.packet(A, 500, 1000, 20.0)
    reporter.media(19.92, 20.0)
    reporter.packet(A, 501, 1000, 20.04)
    reporter.media(19.93, 20.04)
    reporter.build(20.05)
    assert reporter.interval < 0.7 * steady
    for counter in range(int(ACTIVE_S * 25) + 50):
        reporter.packet(A, 502 + counter, 1000, 20.08 + counter / 25)
        reporter.media(19.93, 20.08 + counter / 25)
    reporter.build(20.08 + ACTIVE_S + 2)
    assert reporter.interval == pytest.approx(steady, rel=0.3)


def test_a_new_state_is_told_at_once() -> None:
    reporter = Reporter()
    feed(reporter, 0.0, 20.0)
    last = Report.parse(reporter.build(20.0)).number
    reporter.playout(PlayoutState.LOST, 1, 1, 0.3)
    assert not reporter.due(20.0 + SHORTEST_S / 2)
    assert reporter.due(20.0 + SHORTEST_S + 1e-9)
    assert Report.parse(reporter.build(20.2)).number == last + 1


def test_another_session_starts_the_counts_and_the_former_is_over() -> None:
    reporter = Reporter()
    for counter in range(5):
        reporter.packet(A, counter, 100, counter / 10)
    reporter.packet(B, 0, 100, 0.6)
    reporter.packet(A, 5, 100, 0.7)
    report = Report.parse(reporter.build(0.8))
    assert (report.session, report.newest, report.packets) == (int.from_bytes(B[:2], "big"), 0, 1)


def test_a_sender_that_goes_back_to_its_former_keys_is_followed() -> None:
    reporter = Reporter()
    for counter in range(5):
        reporter.packet(A, counter, 100, counter / 10)
    reporter.packet(B, 7, 100, 0.6)
    for counter in (5, 6, 7, 8):
        reporter.packet(A, counter, 100, 0.6 + counter / 10)
    reporter.packet(B, 6, 100, 1.5)  # a straggler now
    reporter.packet(B, 8, 100, 1.5)  # likewise
    report = Report.parse(reporter.build(1.5))
    assert (report.session, report.newest, report.packets) == (int.from_bytes(A[:2], "big"), 8, 4)


def test_heavy_loss_repeats_more_units() -> None:
    quiet, lossy = Reporter(), Reporter()
    feed(quiet, 0.0, 10.0)
    feed(lossy, 0.7, 10.0)
    few, many = (len(Report.parse(r.build(10.0)).units) for r in (quiet, lossy))
    assert few < many <= 16


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 2), st.booleans()), max_size=60))
def test_whatever_arrives_can_be_told(packets: list[tuple[int, float, bool]]) -> None:
    reporter, now = Reporter(), 1e6
    for counter, pause, other in packets:
        now += pause
        reporter.packet(B if other else A, counter, 1500, now)
        reporter.media(now - pause, now)
        reporter.unit_closed(counter, 255, [counter % 3 == i % 3 for i in range(255)], now)
        payload = reporter.build(now)
        assert len(payload) <= 300
        assert Report.parse(payload).units


@given(st.lists(st.integers(1, 40), max_size=40))
def test_runs_are_counted_by_length(gaps: list[int]) -> None:
    """After the reordering span has passed, there is one run for each gap."""
    tally = PathTally()
    runs, counter = LossRuns(0, tally), 0
    for gap in gaps:
        counter += gap
        runs.add(counter)
    for _ in range(17):
        counter += 1
        runs.add(counter)
    lost = [gap - 1 for gap in gaps if gap > 1]
    edges = [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 99)]
    expected = [sum(low <= length <= high for length in lost) for low, high in edges]
    # The runs are separated by one packet at least, so none merge.
    assert runs.counts == tally.runs == expected
    assert tally.lost == sum(lost) and tally.reordered == 0


def test_losses_are_counted_on_over_sessions() -> None:
    reporter = Reporter()
    for session in (b"abcdef", b"ghijkl"):
        for counter in [0, 1, 3, 4, 9, 8, *range(10, 40)]:
            reporter.packet(session, counter, 100, 0.01 * counter)
    assert reporter.tally.runs == [2, 0, 2, 0, 0, 0]
    assert (reporter.tally.lost, reporter.tally.reordered) == (2 * 4, 2)


def test_jitter_is_not_known_before_a_unit() -> None:
    reporter = Reporter()
    assert reporter.jitter is None and reporter.gradient is None
    reporter.media(1.0, 5.0)
    reporter.media(1.25, 5.26)
    assert reporter.jitter == pytest.approx(0.01 / 16)
    assert reporter.gradient == pytest.approx(0.04 / 4)


def test_a_late_packet_is_no_loss() -> None:
    runs = LossRuns(0)
    for counter in [1, 3, 2, *range(4, 40)]:
        runs.add(counter)
    assert runs.counts == [0] * 6


def test_transit_sees_a_growing_queue() -> None:
    transit = Transit()
    for unit in range(40):
        assert not transit.add(unit * 0.25, unit * 0.25 + 5.0)
    assert transit.jitter == pytest.approx(0.0, abs=1e-9)
    assert transit.add(10.0, 15.2)
    for unit in range(1, 20):
        transit.add(10.0 + unit * 0.25, 15.2 + unit * 0.275)
    assert transit.gradient == pytest.approx(0.1, abs=0.03)
