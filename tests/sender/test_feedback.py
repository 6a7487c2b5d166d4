"""Reports against what was sent, at hand-written times."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.report import Earlier, PlayoutState, Report, UnitMask
from sender.feedback import MOST_SENT, Feedback

SESSION = b"\xa1\xb2cdef"


def feedback(packets: int = 40) -> Feedback:
    """A packet of 1000 bytes each 0.1 s from 10 s on, a unit each 4."""
    out = Feedback()
    for counter in range(packets):
        out.sent(SESSION, counter, 1000, 10 + counter / 10)
        if counter % 4 == 0:
            out.unit_sent(counter // 4, 4)
        out.segment_sent(counter // 4)
    return out


def report(number: int, newest: int, packets: int, clock_ms: int, **other: object) -> Report:
    """The newest came 20 ms before."""
    plain = Report(number, 0xA1B2, PlayoutState.PLAYING, newest, packets, packets * 1000, clock_ms, 20, 200)
    return replace(plain, **other)  # type: ignore[arg-type]


def test_rtt_samples_and_loss() -> None:
    told = feedback()
    first = told.report(report(0, 9, 10, 5000), 11.1)
    assert told.rtt == pytest.approx(11.1 - 10.9 - 0.02)
    assert first is not None and first.expected == 0
    second = told.report(report(1, 19, 15, 6000, earlier=(Earlier(2, 150), Earlier(8, 900))), 12.1)
    assert second is not None
    assert (second.expected, second.received, second.sent_bytes) == (10, 5, 10_000)
    assert second.sent_seconds == pytest.approx(1.0)
    assert [round(sample.arrived_at, 3) for sample in second.samples] == [5.83, 5.98]  # 9 is known already
    assert [sample.total for sample in second.samples] == [18_000, 20_000]
    assert told.loss(12.1) == pytest.approx(0.5)


def test_each_unit_is_told_once() -> None:
    told = feedback()
    masks = (UnitMask(2, ()), UnitMask(1, (True, False, True, True)), UnitMask(0, (True,) * 4, True))
    first = told.report(report(0, 11, 10, 5000, units=masks), 11.5)
    assert first is not None
    assert first.units == ((0, None), (1, (True, False, True, True)), (2, (False,) * 4))
    again = told.report(report(1, 12, 11, 5200, units=(UnitMask(3, (True,) * 4), *masks)), 11.7)
    assert again is not None and again.units == ((3, (True,) * 4),)


def test_a_late_report_still_tells_its_units() -> None:
    told = feedback()
    told.report(report(5, 12, 11, 5200), 11.7)
    late = told.report(report(4, 11, 10, 5000, units=(UnitMask(1, (True,) * 4),)), 11.8)
    assert late is not None and late.units and late.expected == 0 and not late.samples
    assert told.report(report(5, 12, 11, 5200), 11.9) is None
    assert told.stale == 2 and told.reports == 1


def test_reports_about_what_was_not_sent_are_ignored() -> None:
    told = feedback(10)
    assert told.report(report(0, 10, 10, 5000), 11.5) is None
    assert told.report(replace(report(1, 5, 5, 5000), session=7), 11.5) is None
    assert told.strange == 2 and told.rtt is None


def test_counts_and_clock_wrap() -> None:
    told = feedback()
    told.report(report(65535, 9, (1 << 32) - 2, (1 << 32) - 50), 11.1)
    update = told.report(report(0, 19, 6, 950), 12.1)
    assert update is not None and update.received == 8
    assert update.samples[-1].arrived_at == pytest.approx(((1 << 32) + 930) / 1000)


def test_lost_reports_cost_nothing() -> None:
    told = feedback()
    told.report(report(0, 3, 4, 5000), 10.6)
    update = told.report(report(9, 35, 20, 8200), 13.8)
    assert update is not None and (update.expected, update.received) == (32, 16)
    assert told.report_loss > 0.3


def test_a_new_session_is_measured_by_itself() -> None:
    told = feedback()
    told.report(report(0, 9, 10, 5000), 11.1)
    told.sent(b"zzother", 0, 1000, 14.0)
    assert told.report(report(1, 19, 15, 6000), 14.05) is None
    update = told.report(replace(report(2, 0, 1, 9000), session=int.from_bytes(b"zz", "big")), 14.1)
    assert update is not None and update.expected == 0 and len(update.samples) == 1


@pytest.mark.parametrize("clock_ms", [0, 7100, 3_000_000_000])
def test_a_restarted_receiver_numbers_from_zero_by_another_clock(clock_ms: int) -> None:
    told = feedback()
    for number in range(200, 210):
        told.report(
            report(number, number - 200, number - 199, 5000 + 100 * (number - 200)), 10 + number / 100
        )
    arrived = told._arrived_last
    for counter in range(3):
        told.sent(b"zzother", counter, 1000, 14.0 + counter / 10)
    zz = int.from_bytes(b"zz", "big")
    first = told.report(replace(report(0, 0, 1, clock_ms), session=zz), 14.1)
    second = told.report(replace(report(1, 2, 3, clock_ms + 200), session=zz), 14.3)
    assert first is not None and second is not None
    assert told.reports == 12
    assert 0.0 < first.samples[0].arrived_at - arrived < 4.0  # time has gone on by what passed here
    assert second.samples[0].arrived_at - first.samples[0].arrived_at == pytest.approx(0.2)
    assert told.report_loss < 0.5
    assert told.report(replace(report(1, 2, 3, clock_ms + 200), session=zz), 14.4) is None
    assert told.stale == 1


def test_dead_after_silence_and_not_before_the_first_report() -> None:
    told = feedback()
    assert not told.dead(1e6)
    for number in range(30):
        told.report(report(number, number, number + 1, 5000 + 100 * number), 11 + number / 10)
    assert told.report_loss < 0.1
    assert not told.dead(13.9 + 1.4)
    assert told.dead(13.9 + 1.6)


def test_residual_loss_is_of_units() -> None:
    told = feedback()
    told.report(report(0, 9, 10, 5000, due=10, shown=10), 11.1)
    told.report(report(1, 19, 15, 6000, due=20, shown=19), 12.1)
    assert told.residual_loss(12.1) == pytest.approx(0.1)


def test_a_unit_that_did_not_leave_whole_says_nothing_of_the_link() -> None:
    told = feedback(38)  # of unit 9, two packets were dropped on this side
    units = (UnitMask(9, (True, False, False, False)), UnitMask(8, (True, False, True, True)))
    update = told.report(report(0, 37, 30, 5000, units=units), 13.9)
    assert update is not None
    assert update.units == ((8, (True, False, True, True)), (9, ()))


def test_memory_is_bounded() -> None:
    told = Feedback()
    for counter in range(MOST_SENT + 100):
        told.sent(SESSION, counter, 100, counter / 1000)
        told.unit_sent(counter, 1)
    assert told.report(report(0, 50, 50, 5000), 20.0) is None
    assert told.report(report(1, MOST_SENT, 50, 5000), 20.0) is not None


@given(
    st.lists(
        st.tuples(*[st.integers(0, 0xFFFF)] * 2, *[st.integers(0, 0xFFFFFFFF)] * 3, st.integers(0, 60)),
        max_size=30,
    )
)
def test_no_report_breaks_it(reports: list[tuple[int, int, int, int, int, int]]) -> None:
    told = feedback()
    for at, (number, age, packets, clock, size, newest) in enumerate(reports):
        update = told.report(
            Report(number, 0xA1B2, PlayoutState.HOLDING, newest, packets, size, clock, age, 100), 14.0 + at
        )
        assert update is None or 0 <= update.received <= update.expected
    assert told.rtt is None or told.rtt >= 0


def fates(told: Feedback, number: int, newest: int, packets: int, at: float, **other: object) -> list[bool]:
    """What the report makes known of single packets."""
    update = told.report(report(number, newest, packets, round(at * 1000), **other), at)
    assert update is not None
    assert all(size == 1000 for size, _ in update.fates)
    return [arrived for _, arrived in update.fates]


def test_where_all_arrivals_are_listed_the_others_are_lost() -> None:
    told = feedback()
    assert fates(told, 0, 9, 10, 11.0) == []
    assert fates(told, 1, 14, 12, 11.6, earlier=(Earlier(3, 300),)) == []  # too young to be settled
    # Packets 10 to 14, of which 11 and 14 arrived; nothing is known of those before.
    assert fates(told, 2, 39, 30, 14.6) == [False, True, False, False, True]


def test_a_list_with_gaps_tells_nothing_of_single_packets() -> None:
    told = feedback()
    fates(told, 0, 9, 10, 11.0)
    assert fates(told, 1, 19, 15, 12.0, earlier=(Earlier(2, 150),)) == []  # 3 more arrived, who knows which
    assert fates(told, 2, 39, 30, 20.0) == []


def test_masks_of_units_tell_of_their_packets() -> None:
    told = feedback()
    masks = (UnitMask(2, ()), UnitMask(1, (True, False, True, True)), UnitMask(0, (True,) * 4, True))
    fates(told, 0, 19, 10, 12.0, units=masks)
    assert fates(told, 1, 39, 20, 17.0) == [True, False, True, True, False, False, False, False]


def test_packets_of_a_former_session_are_not_mistaken_for_others() -> None:
    told = feedback()
    told.report(report(0, 9, 10, 5000), 11.1)
    for counter in range(40):
        told.sent(b"zzother", counter, 500, 14.0 + counter / 100)
    zz = int.from_bytes(b"zz", "big")
    told.report(replace(report(1, 0, 1, 9000, units=(UnitMask(1, (False,) * 4),)), session=zz), 14.5)
    later = told.report(replace(report(2, 39, 1, 14000), session=zz), 20.0)
    assert later is not None and later.fates == ()
