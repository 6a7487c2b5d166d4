"""What reports tell of map units."""

from __future__ import annotations

from sender.contours.fates import MOST_WINDOWS, PATIENCE_S, Fates


def test_what_parity_brings_back_counts_as_arrived() -> None:
    fates = Fates()
    fates.sent(0, 10, (5, 0), 0.0)
    fates.sent(0, 11, (5, 1), 0.0)
    fates.sent(0, 14, None, 0.5)
    fates.sent(2, 12, (6, 0), 1.0)
    fates.sent(2, 15, (7, 0), 1.5)
    fates.arrived([10, 14, 12, 99])
    assert fates.take(0.6) == [(5, (True, True))]  # nothing more has to come
    assert fates.take(1.0 + PATIENCE_S - 0.1) == []
    assert fates.take(1.0 + PATIENCE_S) == [(6, (True,)), (7, (False,))]
    assert fates.take(100.0) == []


def test_who_is_told_soon_need_not_be_patient() -> None:
    fates = Fates()
    fates.sent(0, 1, (5, 0), 0.0)
    assert fates.take(0.7, 0.8) == []
    assert fates.take(0.8, 0.8) == [(5, (False,))]


def test_it_is_bounded_and_forgets_with_the_keys() -> None:
    fates = Fates()
    for number in range(3 * MOST_WINDOWS):
        fates.sent(number, number, (number, 0), 0.0)
    assert len(fates.take(100.0)) == MOST_WINDOWS
    fates.sent(1, 1, (1, 0), 0.0)
    fates.renew()
    assert fates.take(100.0) == []
