"""The stream table."""

from __future__ import annotations

import pytest

from proto.streams import (
    CONTROL,
    REPORT,
    STREAMS,
    VIDEO,
    DeliveryClass,
    Direction,
    StreamSpec,
    lookup,
)
from proto.wire import Reason, WireError


def test_video_is_stream_1_and_tolerant() -> None:
    assert lookup(1) is VIDEO
    assert VIDEO.delivery is DeliveryClass.TOLERANT


def test_ids_and_names_are_unique() -> None:
    assert all(spec.id == stream for stream, spec in STREAMS.items())
    assert len({spec.name for spec in STREAMS.values()}) == len(STREAMS)


def test_an_unknown_stream_is_a_wire_error() -> None:
    with pytest.raises(WireError, match="stream 63 is not known") as caught:
        lookup(63)
    assert caught.value.reason is Reason.STREAM


def test_streams_run_one_way_or_both() -> None:
    assert lookup(0) is CONTROL
    assert lookup(0, Direction.BACK) is CONTROL
    assert lookup(2, Direction.BACK) is REPORT
    assert [spec.name for spec in STREAMS.values() if spec.segmented] == ["video", "audio", "contours"]
    for stream, direction in [(2, Direction.FORWARD), (1, Direction.BACK)]:
        with pytest.raises(WireError, match="does not run this way") as caught:
            lookup(stream, direction)
        assert caught.value.reason is Reason.STREAM


def test_an_id_must_fit_into_six_bits() -> None:
    with pytest.raises(ValueError, match=r"id: must be 0\.\.63 \(got 64\)"):
        StreamSpec(64, "too-far", DeliveryClass.RELIABLE)
