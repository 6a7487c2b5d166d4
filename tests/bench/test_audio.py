"""The bench of sound: its measures, and that it runs."""

from __future__ import annotations

import numpy as np

from common.audio import RATE
from proto.protection import Policy
from sender.audio.generated import clicks_and_voice
from sender.audio.units import AudioFormat
from tests.bench import audio
from tests.receiver.audio.link import NO_PARITY, Heard

SAID = clicks_and_voice(0, 3 * RATE)


def test_measures_of_the_same_of_noise_and_of_silence() -> None:
    same = audio.measures(SAID, Heard(SAID.copy(), 0.0))
    assert same[0] > 0.99 and same[1] < 0.1 and same[2] == 1.0
    noise = np.random.default_rng(1).normal(0, 2000, len(SAID)).astype(np.int16)
    other = audio.measures(SAID, Heard(noise, 0.0))
    assert other[0] < 0.5 and other[1] > 5.0
    half = SAID.copy()
    half[len(half) // 2 :] = 0
    assert 0.3 < audio.measures(SAID, Heard(half, 0.0))[2] < 0.7


def test_a_row_and_the_table() -> None:
    row = audio.row("one", AudioFormat(), NO_PARITY, SAID, 1)
    assert row.stoi[0] > row.stoi[-1] and row.lsd[0] < row.lsd[-1]
    assert 8.0 < row.wire_kbps < 13.0
    lines = audio.table([row]).splitlines()
    assert len(lines) == 3 and lines[2].startswith("| one | ")


def test_parity_is_paid_for() -> None:
    parity = audio.row("twice", AudioFormat(), 1.0, SAID, 1)
    bare = audio.row("once", AudioFormat(), Policy(max_overhead=0.0), SAID, 1)
    assert parity.wire_kbps > 1.6 * bare.wire_kbps
    assert parity.held[2] > bare.held[2]
