from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.report import RUN_BINS, Earlier, PlayoutState, Report, UnitMask, mask_bytes
from proto.wire import Reason, WireError

PLAIN = Report(7, 0xA1B2, PlayoutState.PLAYING, 1000, 480, 460_000, 123_456, 12, 200)
FULL = Report(
    7,
    0xA1B2,
    PlayoutState.PLAYING,
    1000,
    480,
    460_000,
    123_456,
    12,
    200,
    earlier=(Earlier(1, 48), Earlier(3, 192)),
    units=(UnitMask(1, (True, False, True)), UnitMask(0, ()), UnitMask(65535, (False,) * 8 + (True,), True)),
    runs=(120, 60, 30, 10, 2, 0),
    shown=118,
    due=120,
    playout_delay_ms=350,
    gradient=-4,
    jitter_ms=9,
)
FULL_HEX = (
    "01010007a1b2000003e8000001e00007 04e0 0001e240000c14"  # head
    "0105 0130 03c001"  # arrivals
    "020b 0001 00 03 05 02 00 03 09 0001"  # units
    "0306 783c1e0a0200 0406 0076 0078 015e 0504 fffc 0009"
).replace(" ", "")

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
masks = st.lists(
    st.tuples(st.integers(0, 100), st.lists(st.booleans(), max_size=16), st.booleans()), max_size=12
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    unit, units = draw(u16), []
    for step, arrived, refused in draw(masks):
        unit = (unit - step) & 0xFFFF
        units.append(UnitMask(unit, tuple(arrived), refused))
    earlier = draw(st.lists(st.builds(Earlier, st.integers(1, 16383), st.integers(0, 16383)), max_size=24))
    return Report(
        draw(u16),
        draw(u16),
        draw(st.sampled_from(PlayoutState)),
        draw(u32),
        draw(u32),
        draw(u32),
        draw(u32),
        draw(u16),
        10 * draw(st.integers(0, 255)),
        tuple(earlier),
        tuple(units),
        draw(st.tuples(*[st.integers(0, 255)] * RUN_BINS)),
        draw(u16),
        draw(u16.filter(bool)),
        draw(u16),
        draw(st.integers(-32768, 32767)),
        draw(u16),
    )


def test_vector() -> None:
    assert bytes(FULL).hex() == FULL_HEX
    assert Report.parse(bytes.fromhex(FULL_HEX)) == FULL


def test_the_least_report_is_its_head() -> None:
    assert len(bytes(PLAIN)) == 25
    assert Report.parse(bytes(PLAIN)) == PLAIN


@given(reports())
def test_round_trip(report: Report) -> None:
    assert Report.parse(bytes(report)) == report


@given(reports(), st.data())
def test_a_cut_report_is_short_or_a_smaller_one(report: Report, data: st.DataObject) -> None:
    whole = bytes(report)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        assert Report.parse(cut).newest == report.newest
    except WireError as error:
        assert error.reason is Reason.SHORT


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: bytes(PLAIN) + rest))
def test_garbage_costs_a_wire_error(payload: bytes) -> None:
    try:
        report = Report.parse(payload)
    except WireError as error:
        assert error.reason in (Reason.SHORT, Reason.MALFORMED)
        return
    assert len(report.units) <= 84 * (len(payload) // 255 + 1)
    assert all(len(mask.arrived) <= 255 for mask in report.units)


def test_unknown_fields_and_longer_ones_are_skipped() -> None:
    later = bytes(PLAIN) + bytes((99, 3, 1, 2, 3)) + bytes((4, 8, 0, 5, 0, 6, 0, 7, 9, 9))
    report = Report.parse(later)
    assert (report.shown, report.due, report.playout_delay_ms) == (5, 6, 7)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.SHORT),
        (bytes(PLAIN)[:-1], Reason.SHORT),
        (b"\x02" + bytes(PLAIN)[1:], Reason.MALFORMED),
        (bytes(PLAIN) + b"\x01", Reason.SHORT),
        (bytes(PLAIN) + b"\x01\x05\x01", Reason.SHORT),
        (bytes(PLAIN) + b"\x01\x02\x00\x01", Reason.MALFORMED),  # step 0
        (bytes(PLAIN) + b"\x01\x04\x80\x80\x01\x00", Reason.MALFORMED),  # three bytes
        (bytes(PLAIN) + b"\x02\x04\x00\x01\x00\x09", Reason.SHORT),  # nine packets, no bits
        (bytes(PLAIN) + b"\x04\x02\x00\x01", Reason.SHORT),
    ],
)
def test_what_is_refused(payload: bytes, reason: Reason) -> None:
    with pytest.raises(WireError) as caught:
        Report.parse(payload)
    assert caught.value.reason is reason


def test_numbers_out_of_range_are_not_sent() -> None:
    with pytest.raises(WireError):
        bytes(Report(1 << 16, 0, PlayoutState.WAITING, 0, 0, 0, 0, 0, 0))
    with pytest.raises(WireError):
        bytes(Report(0, 0, PlayoutState.WAITING, 0, 0, 0, 0, 0, 0, earlier=(Earlier(1, 20000),)))


def test_a_mask_needs_no_more_than_said() -> None:
    for count in (0, 1, 8, 9, 255):
        more = bytes(
            Report(0, 0, PlayoutState.WAITING, 0, 0, 0, 0, 0, 0, units=(UnitMask(5, (True,) * count),))
        )
        assert len(more) - len(bytes(PLAIN)) - 4 <= mask_bytes(count)
