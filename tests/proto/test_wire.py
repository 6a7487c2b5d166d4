"""Sizes and wrap-safe arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto import wire

u16 = st.integers(0, 0xFFFF)


def test_overhead_stays_within_32_bytes() -> None:
    assert wire.OVERHEAD_BYTES == 29
    assert wire.max_payload() == 1171
    assert wire.max_payload(30) == 1


@pytest.mark.parametrize("limit", [0, 29, 1473])
def test_max_payload_refuses_limits_out_of_range(limit: int) -> None:
    with pytest.raises(ValueError, match=r"datagram_limit: must be 30\.\.1472 bytes"):
        wire.max_payload(limit)


def test_seq16_delta_at_hand_picked_places() -> None:
    assert wire.seq16_delta(5, 3) == 2
    assert wire.seq16_delta(3, 5) == -2
    assert wire.seq16_delta(0, 65535) == 1
    assert wire.seq16_delta(65535, 0) == -1
    assert wire.seq16_delta(0x8000, 0) == -0x8000


@given(st.integers(-(2**40), 2**40), st.integers(-0x8000, 0x7FFF))
def test_unwrap16_restores_every_number_near_the_reference(reference: int, offset: int) -> None:
    assert wire.unwrap16((reference + offset) & 0xFFFF, reference) == reference + offset


@given(st.integers(-(2**40), 2**40), u16)
def test_unwrap16_forward_restores_every_number_ahead(reference: int, offset: int) -> None:
    assert wire.unwrap16_forward((reference + offset) & 0xFFFF, reference) == reference + offset


@given(st.floats(1.6e9, 2.2e9), st.floats(-1.0, 250.0))
def test_latest_time_restores_the_epoch_time_of_a_timestamp(captured: float, age: float) -> None:
    stamp = wire.to_ticks(captured) * wire.TICK_SECONDS
    assert wire.latest_time(stamp, captured + age, slack=1.01) == pytest.approx(captured, abs=0.0021)


def test_latest_time_tolerates_a_sender_clock_that_is_ahead() -> None:
    stamp = wire.to_ticks(1_800_000_000.0) * wire.TICK_SECONDS
    assert wire.latest_time(stamp, 1_800_000_000.0 - 0.9) == pytest.approx(1_800_000_000.0, abs=0.0021)
    behind = wire.latest_time(stamp, 1_800_000_000.0 - 1.1)
    assert behind == pytest.approx(1_800_000_000.0 - wire.TIMESTAMP_SPAN, abs=0.0021)


def test_wire_error_is_a_value_error_with_a_reason() -> None:
    error = wire.WireError(wire.Reason.FORGED, "the tag does not verify")
    assert isinstance(error, ValueError)
    assert error.reason == "forged"
    assert str(error) == "the tag does not verify"
