"""Opus there and back, and what becomes of lost and damaged frames."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.audio import RATE, level, silence
from common.audio.opus import LOOKAHEAD, OpusDecoder, OpusEncoder, duration_of
from common.audio.payload import FRAME_MS, AudioError
from sender.audio.generated import clicks_and_voice

VOICE = clicks_and_voice(RATE // 5, 2 * RATE)


def coded(frame_ms: int = 60, kbps: float = 9.0) -> list[bytes]:
    encoder = OpusEncoder(kbps, frame_ms)
    size = encoder.frame
    return [encoder.encode(VOICE[i * size : (i + 1) * size]) for i in range(len(VOICE) // size)]


@pytest.mark.parametrize("frame_ms", FRAME_MS)
def test_speech_comes_back_after_the_look_ahead(frame_ms: int) -> None:
    packets = coded(frame_ms)
    decoder = OpusDecoder(frame_ms)
    got = np.concatenate([decoder.decode(packet) for packet in packets]).astype(np.float64)
    said = VOICE[: len(got)].astype(np.float64)
    # One value a millisecond: codecs of speech keep envelopes, not waves.
    envelopes = [np.sqrt(np.mean(x[: len(x) // 48 * 48].reshape(-1, 48) ** 2, axis=1)) for x in (said, got)]
    fits = [np.corrcoef(envelopes[0][:-40], envelopes[1][lag : lag - 40])[0, 1] for lag in range(30)]
    assert max(fits) > 0.8
    assert abs(int(np.argmax(fits)) - 1000 * LOOKAHEAD / RATE) <= 4


def test_the_rate_is_kept() -> None:
    for kbps in (6.0, 9.0, 16.0):
        packets = coded(kbps=kbps)
        assert 0.7 * kbps < 8 * sum(map(len, packets)) / (len(packets) * 60) < 1.1 * kbps


def test_packets_say_how_long_they_are() -> None:
    assert {duration_of(packet) for packet in coded(60)} == {2880}
    assert {duration_of(packet) for packet in coded(20)} == {960}
    for nothing in (b"", b"\x1b"):
        with pytest.raises(AudioError):
            duration_of(nothing)


@pytest.mark.parametrize("kbps", [9.0, 32.0])
def test_a_lost_frame_is_concealed_and_a_long_hole_of_speech_dies_away(kbps: float) -> None:
    packets = coded(kbps=kbps)
    decoder = OpusDecoder(60)
    assert not decoder.conceal().any()
    for packet in packets[:8]:
        last = decoder.decode(packet)
    hole = [decoder.conceal() for _ in range(20)]
    assert all(len(part) == decoder.frame for part in hole)
    assert level(hole[0]) > 0.1 * level(last) > 0
    assert kbps > 16 or level(hole[-1]) < 0.1 * level(hole[0])
    assert level(decoder.decode(packets[9])) > 0


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_the_one_error(data: bytes) -> None:
    decoder = OpusDecoder(60)
    with contextlib.suppress(AudioError):
        assert len(decoder.decode(data)) == decoder.frame
    assert len(decoder.decode(PACKET)) == decoder.frame
    assert len(decoder.conceal()) == decoder.frame


PACKET = coded()[5]


def test_wrong_settings_are_told() -> None:
    with pytest.raises(ValueError, match="kbps"):
        OpusEncoder(3.0)
    with pytest.raises(ValueError, match="frame_ms"):
        OpusEncoder(9.0, 50)
    with pytest.raises(ValueError, match="2880"):
        OpusEncoder(9.0).encode(silence(960))
