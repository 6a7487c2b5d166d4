"""Payloads of reliable streams: round trips, hostile bytes, and what each rule refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.reliable_packet import (
    MAX_MESSAGE_BYTES,
    Acknowledgement,
    Announcement,
    Messages,
    check_length,
    kind,
    longest_message,
)
from proto.wire import Reason, WireError

PARSERS = (Messages, Acknowledgement, Announcement)
u16 = st.integers(0, 0xFFFF)
content = st.binary(max_size=60)
entries = st.dictionaries(st.integers(0, 63), content, min_size=1, max_size=6).map(
    lambda given: tuple(sorted(given.items()))
)


@given(
    st.one_of(
        st.builds(Messages, u16, u16, entries),
        st.builds(Acknowledgement, u16, st.integers(0, 2**63 - 1), u16, u16),
        st.builds(Announcement, st.integers(0, 255), u16, content),
    )
)
def test_round_trip(packet: Messages | Acknowledgement | Announcement) -> None:
    assert type(packet).parse(bytes(packet)) == packet
    assert PARSERS[kind(bytes(packet))] is type(packet)


@given(
    st.integers(0, 2),
    st.one_of(
        st.binary(max_size=1100),
        st.builds(lambda k, b: bytes([k]) + b, st.integers(0, 2), st.binary(min_size=1, max_size=20)),
    ),
)
def test_parse_raises_only_wire_error(which: int, payload: bytes) -> None:
    try:
        packet = PARSERS[which].parse(payload)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.MALFORMED, Reason.OVERSIZED}
    else:
        assert bytes(packet) == payload


@pytest.mark.parametrize(
    ("which", "payload", "reason"),
    [
        (0, b"", Reason.SHORT),
        (0, b"\x03" + bytes(9), Reason.MALFORMED),
        (0, b"\x01" + bytes(9), Reason.MALFORMED),
        (0, bytes(4), Reason.SHORT),
        (0, bytes(5), Reason.MALFORMED),  # no message
        (0, bytes(7), Reason.SHORT),  # half a header
        (0, bytes(7) + b"\x02x", Reason.SHORT),
        (0, bytes(5) + b"\x40\0\0", Reason.MALFORMED),
        (0, bytes(5) + bytes(6), Reason.MALFORMED),  # the same id twice
        (0, bytes(6) + b"\x04\x01" + bytes(MAX_MESSAGE_BYTES + 1), Reason.OVERSIZED),
        (1, b"\x01" + bytes(13), Reason.SHORT),
        (1, b"\x01" + bytes(15), Reason.OVERSIZED),
        (1, b"\x01\0\0\x80" + bytes(11), Reason.MALFORMED),
        (2, b"\x02\0\0", Reason.SHORT),
        (2, b"\x02" + bytes(3 + MAX_MESSAGE_BYTES + 1), Reason.OVERSIZED),
    ],
)
def test_what_breaks_the_rules_is_refused(which: int, payload: bytes, reason: Reason) -> None:
    with pytest.raises(WireError) as caught:
        PARSERS[which].parse(payload)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "packet",
    [
        Messages(0x10000, 0, ((0, b""),)),
        Messages(0, -1, ((0, b""),)),
        Messages(0, 0, ()),
        Messages(0, 0, ((64, b""),)),
        Messages(0, 0, ((1, b""), (0, b""))),
        Messages(0, 0, ((0, bytes(MAX_MESSAGE_BYTES + 1)),)),
        Acknowledgement(0, 1 << 63, 0, 0),
        Acknowledgement(0, 0, 0, 0x10000),
        Announcement(256, 0, b""),
        Announcement(0, 0x10000, b""),
    ],
)
def test_fields_out_of_range_are_not_written(packet: Messages | Acknowledgement | Announcement) -> None:
    with pytest.raises(WireError):
        bytes(packet)


def test_a_message_too_long_is_named() -> None:
    assert longest_message(30, 8) == 22
    assert longest_message(1171, 8) == MAX_MESSAGE_BYTES
    check_length(bytes(22), 22)
    with pytest.raises(ValueError, match="at most 22 bytes"):
        check_length(bytes(23), 22)
    with pytest.raises(ValueError, match="payload_limit"):
        longest_message(8, 8)
