"""The rate controller at hand-written spendings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.rate import RateController


def controller(kbps: float = 60.0) -> RateController:
    return RateController(kbps, unit_duration=4 / 15, packet_overhead=57, max_payload=1171)


def test_share_of_a_unit() -> None:
    assert controller().share == pytest.approx(2000.0)


def test_overspending_is_taken_back_from_the_next_unit() -> None:
    rate = controller()
    rate.spent(2300)
    assert rate.budget().wire_bytes == pytest.approx(1700.0)


def test_correction_is_bounded() -> None:
    rate = controller()
    rate.spent(20_000)
    assert rate.budget().wire_bytes == pytest.approx(1000.0)


def test_old_underspending_is_forgotten() -> None:
    rate = controller()
    for _ in range(100):
        rate.spent(10)
    for _ in range(8):
        rate.spent(round(rate.budget().wire_bytes))
    assert rate.budget().wire_bytes == pytest.approx(2000.0, rel=0.01)


@given(st.lists(st.floats(0.88, 1.1), min_size=60, max_size=120))
def test_any_four_seconds_are_within_ten_percent(misfits: list[float]) -> None:
    """An encoder that misses its budget by -12..+10 % a unit still holds the rate over every 4 s (15 units)."""
    rate = controller()
    spent = []
    for misfit in misfits:
        spent.append(round(rate.budget().wire_bytes * misfit))
        rate.spent(spent[-1])
    for start in range(len(spent) - 15):
        assert sum(spent[start : start + 15]) == pytest.approx(15 * 2000, rel=0.10)


def test_below_the_codecs_floor_only_what_fits_is_sent() -> None:
    rate = controller(10)  # 333 bytes a unit
    assert rate.admit([150, 150, 150, 150]) == 2
    assert rate.admit([500, 500]) == 1
    assert rate.admit([200, 200]) == 2  # a usual misfit is the account's business
    spent = []
    for _ in range(60):
        sizes = [160] * 4
        spent.append(sum(sizes[: rate.admit(sizes)]))
        rate.spent(spent[-1])
    for start in range(60 - 15):
        assert sum(spent[start : start + 15]) == pytest.approx(15 * 333.3, rel=0.10)


def test_zero_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="rate"):
        controller(0)


def test_symbols_are_sent_in_sufficient_number_or_not_at_all() -> None:
    """Two views, then symbols of which three are needed: 2, 5 or 6 packets are of use, 3 and 4 are not."""
    rate = controller(30)  # 1000 bytes a unit
    steps = (1, 2, 5, 6)
    assert rate.admit([230] * 6, steps) == 2
    assert rate.admit([190] * 7, (1, 2, 5, 6, 7)) == 5
    assert rate.admit([150] * 6, steps) == 6
    assert rate.admit([600] * 4, (3, 4)) == 3  # no view: what is of use, whatever it costs


def test_a_new_target_holds_at_once() -> None:
    rate = controller(60)
    rate.set_target(15)
    assert rate.share == pytest.approx(500.0)
    assert rate.admit([250] * 8) == 2
    with pytest.raises(ValueError, match="rate"):
        rate.set_target(0)


def test_what_is_sent_beside_media_is_paid_for_once() -> None:
    rate = controller()
    rate.charge(150)
    rate.charge(150)
    assert rate.budget().wire_bytes == pytest.approx(2000.0)  # the unit that is being encoded keeps its share
    rate.spent(2000)
    assert rate.budget().wire_bytes == pytest.approx(1700.0)
    rate.spent(1700)
    assert rate.budget().wire_bytes == pytest.approx(2000.0)


@given(st.lists(st.integers(0, 900), min_size=40, max_size=60))
def test_media_and_what_goes_beside_it_hold_the_rate_together(beside: list[int]) -> None:
    """At up to 45 % of the rate beside media, the sum over any 4 s (15 units) is within a tenth of the target."""
    rate = controller()
    spent = []
    for extra in beside:
        rate.charge(extra)
        spent.append(round(rate.budget().wire_bytes) + extra)
        rate.spent(spent[-1] - extra)
    for start in range(1, len(spent) - 15):
        assert sum(spent[start : start + 15]) == pytest.approx(15 * 2000, rel=0.10)


def test_what_is_always_sent_beside_media_is_made_room_for_up_to_three_quarters() -> None:
    for beside, allowed in ((0.3, 1.0), (0.7, 1.0), (0.9, 1.16)):
        rate = RateController(20.0, 0.5, packet_overhead=57, max_payload=1000)
        total = 0.0
        for number in range(200):
            extra = round(beside * rate.share)
            wire = rate.budget().wire_bytes
            assert wire >= 0.24 * rate.share
            rate.charge(extra)
            rate.spent(round(wire))
            total += (wire + extra) * (number >= 20)
        assert 0.98 <= total / (180 * rate.share) <= allowed + 0.01
