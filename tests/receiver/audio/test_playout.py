"""Sound in step with its pictures: losses, drift, delays that change, outages; in virtual time."""

from __future__ import annotations

import pytest

from common.audio import RATE, Samples, level
from common.audio.payload import AudioPayload, split_time
from receiver.audio.block import BLOCK
from receiver.audio.playout import AudioPlayout, Pace
from receiver.jitter import PlayoutClock
from sender.audio.generated import clicks_and_voice
from sender.audio.units import AudioFormat
from tests.receiver.audio.link import EPOCH, Link, click_times, parity, play

SECONDS = 10
SAID = clicks_and_voice(0, SECONDS * RATE)
LIP_SYNC = 0.040


def errors(samples: Samples, drift: float = 0.0) -> list[float]:
    """How far each click that was heard is from its whole second, by the sender's clock."""
    return [abs(c * (1 + drift) - round(c * (1 + drift))) for c in click_times(samples) if c > 0.5]


@pytest.mark.parametrize("format", [AudioFormat(), AudioFormat(8, 20, 100, False), AudioFormat(16, 40, 200)])
def test_clicks_are_heard_when_they_are_seen(format: AudioFormat) -> None:
    heard = play(SAID, format, Link())
    off = errors(heard.samples)
    assert len(off) >= SECONDS - 2 and max(off) < 0.005
    assert heard.playout.jumps == heard.playout.late == heard.playout.damaged == 0
    assert heard.playout.muted_seconds == 0


@pytest.mark.parametrize("loss", [0.3, 0.6])
def test_losses_leave_sound_in_step(loss: float) -> None:
    heard = play(SAID, AudioFormat(), Link(loss=loss, jitter=0.05))
    off = errors(heard.samples)
    assert len(off) >= 3 and max(off) < 0.010
    gone = heard.playout.concealed_seconds + heard.playout.muted_seconds
    assert 0.5 * loss * SECONDS < gone < 1.5 * loss * SECONDS


@pytest.mark.parametrize("drift", [500e-6, -500e-6])
def test_the_sender_s_clock_is_followed_without_a_jump(drift: float) -> None:
    heard = play(SAID, AudioFormat(), Link(drift=drift))
    off = errors(heard.samples, drift)
    assert len(off) >= SECONDS - 2 and max(off) < 0.006
    assert heard.playout.jumps == 0
    assert max(map(abs, heard.offsets)) < 0.003


def test_a_delay_that_grows_and_shrinks_is_followed_within_lip_sync() -> None:
    def delay(now: float) -> float:
        return 0.7 + 0.2 * min(max(now - 3.0, 0.0), 1.5) - 0.02 * max(now - 6.0, 0.0)

    heard = play(SAID, AudioFormat(), Link(playout=delay))
    assert max(map(abs, heard.offsets)) <= LIP_SYNC
    assert 5 <= heard.playout.jumps <= 40
    assert heard.playout.late == 0


def test_a_path_that_is_longer_at_once_moves_sound_at_once() -> None:
    heard = play(SAID, AudioFormat(), Link(playout=lambda now: 0.7 if now < 4 else 1.0))
    assert max(map(abs, heard.offsets)) < 0.005
    assert heard.playout.jumps == 1


def test_sound_is_silent_in_an_outage_and_back_after_it() -> None:
    heard = play(SAID, AudioFormat(), Link(outage=(4.0, 7.0)))
    samples = heard.samples
    assert level(samples[int(4.5 * RATE) : int(6.5 * RATE)]) < 1e-4
    assert level(samples[int(7.5 * RATE) : int(9.5 * RATE)]) > 0.5 * level(samples[RATE : 3 * RATE])
    assert max(errors(samples)) < 0.005


def test_parity_brings_back_what_was_lost() -> None:
    bare = play(SAID, AudioFormat(), Link(loss=0.3))
    kept = play(SAID, AudioFormat(), Link(loss=0.3, policy=parity(0.3, 1.0)))
    assert kept.playout.concealed_seconds < 0.5 * bare.playout.concealed_seconds


def test_what_comes_too_late_is_counted() -> None:
    heard = play(SAID[: 3 * RATE], AudioFormat(), Link(playout=lambda now: 0.2))
    assert heard.playout.late > 10
    assert heard.playout.margin is not None and heard.playout.margin < 0


def test_another_sender_begins_anew_and_counts_go_on() -> None:
    clock = PlayoutClock(0.5)
    clock.observe(100.0, 0.0)
    playout = AudioPlayout()
    frame = play(SAID[:RATE], AudioFormat(), Link()).playout
    assert frame.units > 0
    timestamp, phase = split_time(EPOCH)
    data = bytes(AudioPayload(60, (b"\x58" * 20,), 1, phase))
    assert playout.push(data, timestamp + (100.0 - EPOCH % 262.144), clock, 0.0) == pytest.approx(
        100.0, abs=1e-4
    )
    playout.block(clock, 0.5)
    concealed = playout.concealed_seconds + playout.damaged
    playout.reset()
    samples, nothing = playout.block(clock, 0.52)
    assert len(samples) == BLOCK and nothing and playout.line is None
    assert playout.concealed_seconds + playout.damaged >= concealed


def test_nonsense_and_other_time_bases_are_refused_and_counted() -> None:
    clock = PlayoutClock(0.5)
    clock.observe(100.0, 0.0)
    playout = AudioPlayout()
    assert playout.push(b"\xff nonsense", 100.0, clock, 0.0) is None
    data = bytes(AudioPayload(60, (b"\x58" * 20,)))
    assert playout.push(data, 160.0, clock, 0.0) is None
    assert (playout.malformed, playout.strange, playout.units) == (1, 1, 0)
    assert playout.push(data, 100.0 + 262.144 * 3, clock, 0.0) == pytest.approx(100.0, abs=1e-3)


def test_no_more_frames_wait_than_may() -> None:
    clock = PlayoutClock(0.5)
    clock.observe(100.0, 0.0)
    playout = AudioPlayout()
    for number in range(2000):
        data = bytes(AudioPayload(20, (b"\x48" * 9,) * 24, 1 + number % 4))
        playout.push(data, 100.0 + 0.0021 * number, clock, 0.0)
    assert playout.line is not None and len(playout.line._frames) <= 200


def test_blocks_are_due_every_20_ms_and_a_stall_is_left_out() -> None:
    pace = Pace()
    assert not pace.take(5.0)
    pace.begin(5.0)
    assert [number for number, _ in pace.take(5.05)] == [0, 1, 2]
    due = pace.take(8.0)
    assert len(due) <= 2 and due[0][0] > 140
    assert due[-1][1] == pytest.approx(8.0, abs=0.021)
