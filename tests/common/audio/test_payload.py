"""The payload of the audio stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.audio.payload import (
    FRAME_MS,
    MAX_FRAME_BYTES,
    MAX_FRAMES,
    AudioError,
    AudioPayload,
    join_time,
    split_time,
)
from proto.wire import TICK_SECONDS, to_ticks

payloads = st.builds(
    AudioPayload,
    st.sampled_from(FRAME_MS),
    st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8).map(tuple),
    st.integers(1, 4),
    st.integers(0, 255),
)


@given(payloads)
def test_a_payload_is_what_it_was(payload: AudioPayload) -> None:
    assert AudioPayload.parse(bytes(payload)) == payload


@given(st.binary(max_size=400))
def test_any_bytes_parse_or_raise_the_one_error(data: bytes) -> None:
    try:
        payload = AudioPayload.parse(data)
    except AudioError:
        return
    assert AudioPayload.parse(bytes(payload)) == payload


@given(payloads, st.data())
def test_what_is_cut_off_is_refused_or_has_fewer_frames(payload: AudioPayload, data: st.DataObject) -> None:
    whole = bytes(payload)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        parsed = AudioPayload.parse(cut)
    except AudioError:
        return
    assert parsed.frames == payload.frames[: len(parsed.frames)] and len(parsed.frames) < len(payload.frames)


def test_the_bytes_on_the_wire() -> None:
    payload = AudioPayload(60, (b"\x18abc", b"\x18" + bytes(299)), 2, 128)
    assert bytes(payload)[:8] == bytes((0b0010_0001, 128, 4)) + b"\x18abc" + bytes((252,))
    assert bytes(payload)[7:9] == bytes((252, 12))  # 4 * 12 + 252 = 300


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x20\x00",
        b"\x60\x00\x01\x18",  # another version
        b"\x30\x00\x01\x18",  # no such duration
        b"\x24\x00\x01\x18",  # reserved
        b"\x20\x00\x00",  # an empty frame
        b"\x20\x00\x02\x18",  # cut off
        b"\x20\x00\xfc",  # a length of two bytes cut off
        b"\x20\x00" + b"\x01\x18" * (MAX_FRAMES + 1),
    ],
)
def test_what_is_no_payload_is_refused(data: bytes) -> None:
    with pytest.raises(AudioError):
        AudioPayload.parse(data)


@pytest.mark.parametrize(
    "payload",
    [
        AudioPayload(50, (b"\x18",)),
        AudioPayload(60, ()),
        AudioPayload(60, (b"",)),
        AudioPayload(60, (bytes(MAX_FRAME_BYTES + 1),)),
        AudioPayload(60, (b"\x18",), 5),
        AudioPayload(60, (b"\x18",), 1, 256),
    ],
)
def test_what_would_be_refused_is_not_sent(payload: AudioPayload) -> None:
    with pytest.raises(AudioError):
        bytes(payload)


@given(st.floats(1.0e9, 3.0e9))
def test_a_time_survives_to_16_microseconds(captured_at: float) -> None:
    timestamp, phase = split_time(captured_at)
    assert abs(join_time(timestamp, phase) - captured_at) < 1e-5
    assert to_ticks(timestamp) == int(captured_at / TICK_SECONDS + 1e-9 + 0.5 / 256) & 0xFFFF or phase in (
        0,
        255,
    )
