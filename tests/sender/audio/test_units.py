"""From captured sound to units."""

from __future__ import annotations

import numpy as np
import pytest

from common.audio import RATE, Sound
from common.audio.opus import LOOKAHEAD
from common.audio.payload import AudioPayload, join_time
from sender.audio.generated import clicks_and_voice
from sender.audio.units import AudioFormat, AudioUnit, UnitMaker

PIECE = 960
EPOCH = 1_800_000_000.0


def made(format: AudioFormat, seconds: float = 3.0, drift: float = 0.0) -> list[AudioUnit]:
    sound = clicks_and_voice(0, round(seconds * RATE))
    maker = UnitMaker(format)
    units = []
    for number in range(len(sound) // PIECE):
        at = EPOCH + number * PIECE / RATE * (1 + drift)
        units += maker.push(Sound(sound[number * PIECE : (number + 1) * PIECE], at))
    return units


def begins(unit: AudioUnit) -> float:
    payload = AudioPayload.parse(unit.data)
    return join_time(unit.timestamp, payload.phase) - EPOCH + LOOKAHEAD / RATE


@pytest.mark.parametrize("interleave", [False, True])
def test_every_frame_is_in_one_unit_and_says_when_it_was_captured(interleave: bool) -> None:
    times = []
    for unit in made(AudioFormat(interleave=interleave)):
        payload = AudioPayload.parse(unit.data)
        assert payload.stride == (2 if interleave else 1)
        assert unit.duration == pytest.approx(0.06 * len(payload.frames))
        times += [begins(unit) + 0.06 * payload.stride * j for j in range(len(payload.frames))]
    times.sort()
    # All but those that wait for their packet to be full.
    assert times[:40] == pytest.approx([0.06 * n for n in range(40)], abs=1e-4)


def test_neighbours_are_never_in_the_same_packet_when_interleaved() -> None:
    homes: dict[int, int] = {}
    for number, unit in enumerate(made(AudioFormat())):
        for j in range(len(AudioPayload.parse(unit.data).frames)):
            homes[round((begins(unit) + 0.12 * j) / 0.06)] = number
    assert all(homes[n] != homes[n + 1] for n in range(40))


def test_clocks_that_drift_apart_are_followed_without_a_gap() -> None:
    maker_gaps = []
    for drift in (300e-6, -300e-6):
        units = made(AudioFormat(interleave=False), 20.0, drift)
        ends = begins(units[-1])
        assert ends == pytest.approx((len(units) - 1) * 0.24 * (1 + drift), abs=1e-3)
        maker_gaps.append(len(units))
    assert maker_gaps[0] == maker_gaps[1]


def test_a_gap_ends_the_units_and_begins_anew() -> None:
    maker = UnitMaker(AudioFormat())
    sound = clicks_and_voice(0, RATE)
    before = maker.push(Sound(sound, EPOCH))
    after = maker.push(Sound(sound, EPOCH + 5.0))
    assert maker.gaps == 1
    assert begins(after[0]) < 1.0 and begins(after[-1]) > 5.0
    frames = sum(len(AudioPayload.parse(unit.data).frames) for unit in before + after)
    assert frames >= 16 + 10


def test_the_rate_on_the_wire_is_told() -> None:
    for format in (AudioFormat(), AudioFormat(16, 20, 100), AudioFormat(6, 60, 480)):
        units = made(format, 6.0)
        told = format.wire_kbps
        seconds = sum(unit.duration for unit in units)
        sent = 8 * sum(len(unit.data) + 28 + 29 + 4 for unit in units) / seconds / 1000
        assert 0.75 * told < sent < 1.05 * told
    assert AudioFormat().latency == pytest.approx(0.42)
    assert AudioFormat(interleave=False).latency == pytest.approx(0.24)


def test_wrong_formats_are_told() -> None:
    for packet_ms in (40, 60 * 25):
        with pytest.raises(ValueError, match="packet_ms"):
            AudioFormat(packet_ms=packet_ms)


def test_the_test_sound_is_the_same_in_any_pieces_and_clicks_each_second() -> None:
    whole = clicks_and_voice(0, 2 * RATE)
    parts = [clicks_and_voice(begin, 7_000) for begin in range(0, 2 * RATE - 7_000, 7_000)]
    assert np.array_equal(np.concatenate(parts), whole[: len(parts) * 7_000])
    before, click = whole[RATE - 2_000 : RATE], whole[RATE : RATE + 1_000]
    assert np.abs(before).max() < 10 and np.abs(click).max() > 15_000
