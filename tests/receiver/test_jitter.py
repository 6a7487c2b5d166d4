"""The playout clock at hand-written times."""

from __future__ import annotations

import pytest

from receiver.jitter import BUCKET_S, WINDOW_S, PlayoutClock


def feed(clock: PlayoutClock, start: float, end: float, transit: float, step: float = 0.05) -> None:
    """Packets whose media time is `transit` before their arrival, every `step` seconds."""
    count = round((end - start) / step)
    for i in range(count):
        now = start + i * step
        clock.observe(now - transit, now)


def test_display_is_the_fastest_transit_plus_the_delay() -> None:
    clock = PlayoutClock(0.3)
    clock.observe(10.0, 110.5)
    assert clock.display_time(10.0) == pytest.approx(110.8)
    clock.observe(10.1, 110.55)  # faster by 50 ms
    clock.observe(10.2, 110.9)  # late: no influence
    assert clock.display_time(11.0) == pytest.approx(11.0 + 100.45 + 0.3)
    assert clock.media_time(clock.display_time(7.25)) == pytest.approx(7.25)


def test_asking_before_the_first_packet_is_an_error() -> None:
    clock = PlayoutClock(0.1)
    with pytest.raises(RuntimeError, match="no packet"):
        clock.display_time(0.0)
    with pytest.raises(ValueError, match="delay"):
        PlayoutClock(-0.1)


def test_a_drifting_sender_is_followed_both_ways() -> None:
    for drift in (-200e-6, 200e-6):
        clock = PlayoutClock(0.3)
        for i in range(4000):  # 200 s
            now = i * 0.05
            clock.observe(now * (1 - drift), now + 0.02 * (i % 3))
        assert clock.base == pytest.approx(200 * drift, abs=WINDOW_S * abs(drift) + 0.002)
        assert clock.jumps == 0


def test_a_small_rise_of_the_path_is_slewed_not_jumped() -> None:
    clock = PlayoutClock(0.3)
    feed(clock, 0, 5, 0.0)
    feed(clock, 5, 14, 0.1)
    assert clock.base == pytest.approx(0.0, abs=1e-6)  # the old minimum is still in the window
    before = clock.base
    feed(clock, 14, 15.3, 0.1)
    assert before <= clock.base < 0.1
    feed(clock, 15.3, 25, 0.1)
    assert clock.base == pytest.approx(0.1)
    assert clock.jumps == 0


def test_a_path_longer_than_the_delay_is_adopted_within_two_seconds() -> None:
    clock = PlayoutClock(0.3)
    feed(clock, 0, 5, 0.0)
    feed(clock, 5, 5.9, 1.0)
    assert clock.base == pytest.approx(0.0)
    feed(clock, 5.9, 7, 1.0)
    assert clock.base == pytest.approx(1.0)
    assert clock.jumps == 1


def test_a_few_stragglers_after_a_silence_do_not_move_the_base() -> None:
    clock = PlayoutClock(0.3)
    feed(clock, 0, 5, 0.0)
    for now in (9.0, 9.1, 9.2):
        clock.observe(now - 2.0, now)
    assert clock.base == pytest.approx(0.0)


def test_memory_is_bounded_at_any_packet_rate() -> None:
    clock = PlayoutClock(0.3)
    for i in range(50_000):
        clock.observe(i * 0.001, i * 0.001)
    assert len(clock._minima) <= WINDOW_S / BUCKET_S + 2


@pytest.mark.parametrize("drift", [-400e-6, 400e-6])
def test_the_clocks_drift_on_through_a_silence(drift: float) -> None:
    clock = PlayoutClock(0.3)
    for i in range(1200):  # 60 s, then nothing for 100 s
        now = i * 0.05
        clock.observe(now * (1 + drift), now + 0.02 * (i % 3))
    assert clock.drift == pytest.approx(drift, rel=0.05)
    clock.observe(160 * (1 + drift), 160.04)  # not one of the fastest
    assert clock.base == pytest.approx(-160 * drift, abs=0.005)


def test_the_first_packets_after_a_silence_do_not_raise_the_base() -> None:
    clock = PlayoutClock(0.3)
    feed(clock, 0, 5, 0.0)
    feed(clock, 100, 100.9, 0.1)
    assert clock.base == pytest.approx(0.0)
    feed(clock, 100.9, 115, 0.1)
    assert clock.base == pytest.approx(0.1)


def test_a_queue_that_drains_is_not_taken_for_a_longer_path() -> None:
    clock = PlayoutClock(0.3)
    feed(clock, 0, 5, 0.0)
    for i in range(60):  # 5 s of packets in 1.5 s
        now = 10 + i * 0.025
        clock.observe(now - 5 + 5 * i / 60, now)
    assert clock.base == pytest.approx(0.0) and clock.jumps == 0
