"""Units that are one packet and last for seconds: latency, loss, late ones and silence, in virtual time."""

from __future__ import annotations

import numpy as np
import pytest

from common.codec.base import StreamInfo
from receiver.play.base import SignalState
from tests.receiver.virtual import START, TRANSIT_S, Path, VirtualReceiver


def info(frames: int) -> StreamInfo:
    return StreamInfo("fake", 16, 16, 10.0, frames, whole=True)


@pytest.mark.parametrize("frames", [8, 12, 20])
def test_what_is_shown_is_hardly_older_than_a_unit(frames: int) -> None:
    link = VirtualReceiver(Path(packets=1, info=info(frames), encode=lambda unit: 0.1), 60)
    link.run(40.0)
    latencies = link.latencies(10.0, 40.0)
    assert frames / 10 + 0.1 + TRANSIT_S < np.median(latencies) < frames / 10 + 0.1 + TRANSIT_S + 0.15
    assert np.ptp(latencies) < 0.1
    shown = link.between(10.0, 40.0)
    assert 295 <= len(shown) <= 305 and all(seen.live for seen in shown)


def test_a_unit_that_comes_late_is_shown_from_where_it_belongs() -> None:
    link = VirtualReceiver(Path(packets=1, info=info(20), encode=lambda unit: 0.9 if unit == 8 else 0.1), 30)
    link.run(40.0)
    late = [seen.shown for seen in link.seen if seen.shown.unit == 8]
    assert sum(shown.concealed for shown in late) in range(5, 17)  # not all of it
    assert sum(not shown.concealed and not shown.repeated for shown in late) >= 8


def test_loss_costs_its_own_time_alone_and_pictures_keep_their_pace() -> None:
    link = VirtualReceiver(Path(packets=1, loss=0.3, info=info(12), seed=3), 100)
    link.run(110.0)
    shown = link.between(10.0, 110.0)
    assert 980 <= len(shown) <= 1020
    assert 0.6 < np.mean([seen.live for seen in shown]) < 0.8
    latencies = link.latencies(10.0, 110.0)
    assert min(latencies) > 1.2 and max(latencies) < 1.6


def test_slow_encoding_for_a_while_makes_everything_later_at_once() -> None:
    """Not a unit after the other too late for seconds."""
    link = VirtualReceiver(Path(packets=1, info=info(12), encode=lambda unit: 0.7 if unit > 10 else 0.1), 60)
    link.run(60.0)
    assert all(seen.live for seen in link.between(17.0, 60.0))


def test_a_path_that_is_longer_for_good_is_followed_though_packets_are_few() -> None:
    """By more than any playout delay."""
    link = VirtualReceiver(Path(packets=1, info=info(8), encode=lambda unit: 2.6 if unit > 4 else 0.1), 80)
    link.run(60.0)
    assert link.player.path_jumps == 1
    assert all(seen.live for seen in link.between(20.0, 60.0))
    assert max(link.latencies(20.0, 60.0)) < 0.8 + 2.6 + 0.6


def test_gaps_between_packets_are_no_loss_of_signal() -> None:
    link = VirtualReceiver(Path(packets=1, loss=0.3, info=info(20), seed=5), 100)
    link.run(200.0)
    assert link.player.signal_losses <= 2
    link = VirtualReceiver(Path(packets=1, info=info(20), outages=((50.0, 70.0),)), 100)
    link.run(62.0)
    assert link.player.state is SignalState.LOST


def test_what_comes_beside_pictures_is_a_signal_too() -> None:
    link = VirtualReceiver(Path(packets=1, info=info(12), outages=((20.0, 60.0),)), 60)
    link.after_step = lambda: link.player.alive(link.now)
    link.run(50.0)
    assert link.player.signal_losses == 0 and link.now > START
