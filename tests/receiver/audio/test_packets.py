"""Sound in recordings: packets follow the pictures' times."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.audio import RATE
from receiver.audio.block import BLOCK, BLOCK_S, SoundBlock
from receiver.audio.packets import SoundPackets
from sender.audio.generated import clicks_and_voice

SOUND = clicks_and_voice(0, RATE)


def block(number: int, captured_at: float) -> SoundBlock:
    at = number * BLOCK % (RATE - BLOCK)
    return SoundBlock(number, SOUND[at : at + BLOCK], 50.0 + number * BLOCK_S, captured_at, False)


def times(packets: SoundPackets, fps: float, seconds: float, drift: float = 0.0) -> list[float]:
    """Blocks by this clock, pictures by the sender's, which gains `drift`."""
    out: list[float] = []
    shown = 0
    for number in range(round(seconds / BLOCK_S)):
        captured = 900.0 + number * BLOCK_S * (1 + drift)
        while shown / fps <= captured - 900.0:
            packets.shown(shown / fps, 900.0 + shown / fps)
            shown += 1
        out += [time for _, time in packets.coded(block(number, captured))]
    return out


def test_packets_lie_close_together_where_the_pictures_are() -> None:
    packets = SoundPackets()
    found = times(packets, 15.0, 10.0)
    assert found[1:] == pytest.approx([n * BLOCK_S - 312 / RATE for n in range(1, 500)], abs=1e-6)


@pytest.mark.parametrize("drift", [1000e-6, -1000e-6])
def test_drift_is_made_up_for_by_whole_blocks(drift: float) -> None:
    packets = SoundPackets()
    found = times(packets, 15.0, 60.0, drift)
    assert np.diff(found)[1:] == pytest.approx([BLOCK_S] * (len(found) - 2), abs=1e-6)
    assert found[-1] == pytest.approx(60.0 * (1 + drift), abs=0.05)
    assert 1 <= packets.repeated + packets.left_out <= 4 and not (packets.repeated and packets.left_out)


def test_a_gap_stays_one_and_what_was_before_the_pictures_is_left_out() -> None:
    packets = SoundPackets()
    assert not packets.coded(block(0, 900.0))
    packets.shown(0.0, 900.0)
    assert not packets.coded(block(0, 899.9))
    assert packets.coded(block(1, 900.0))
    assert [time for _, time in packets.coded(block(2, 905.0))] == pytest.approx([5.0 - 312 / RATE])
    assert not packets.coded(block(3, math.nan))


def test_another_sender_s_time_is_taken_over_at_once() -> None:
    packets = SoundPackets()
    packets.shown(0.0, 900.0)
    assert packets.coded(block(0, 900.0))
    packets.shown(0.1, 77.0)
    (one,) = packets.coded(block(1, 77.0))[:1]
    assert one[1] == pytest.approx(0.02 - 312 / RATE, abs=1e-6)
