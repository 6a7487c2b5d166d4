"""The state of the signal at hand-written times."""

from __future__ import annotations

from receiver.play.base import SignalState
from receiver.watch import SignalWatch

LOST_AFTER, PATIENCE = 2.0, 3.0


def live() -> SignalWatch:
    """On show since 10.3; its last packet, of unit 3, came at 11."""
    watch = SignalWatch(LOST_AFTER)
    watch.arrived((1, 0), 10.0)
    assert watch.look(10.1, PATIENCE) is SignalState.WAITING
    assert watch.shown((1, 0), True) is SignalState.LIVE
    watch.arrived((1, 3), 11.0)
    return watch


def test_waiting_lasts_until_the_first_picture() -> None:
    watch = SignalWatch(LOST_AFTER)
    assert watch.look(5.0, PATIENCE) is SignalState.WAITING and watch.silence(5.0) == 0.0


def test_silence_is_counted_from_the_last_packet() -> None:
    watch = live()
    assert watch.look(12.9, PATIENCE) is SignalState.LIVE and watch.silence(12.9) == 0.0
    assert watch.look(13.0, PATIENCE) is SignalState.LOST and watch.silence(18.0) == 7.0


def test_the_old_picture_stays_marked_until_a_new_one_is_shown() -> None:
    watch = live()
    watch.look(13.0, PATIENCE)
    watch.arrived((1, 40), 20.0)
    assert watch.look(20.1, PATIENCE) is SignalState.LOST and watch.silence(20.1) == 20.1 - 11.0
    assert watch.shown((1, 39), False) is SignalState.LOST  # concealed
    assert watch.shown((1, 3), True) is SignalState.LOST  # from before the outage
    assert watch.shown((1, 40), True) is SignalState.LIVE and watch.silence(20.4) == 0.0


def test_a_new_run_of_the_sender_ends_the_loss() -> None:
    watch = live()
    watch.look(13.0, PATIENCE)
    watch.arrived((2, 0), 20.0)
    assert watch.shown((2, 0), True) is SignalState.LIVE


def test_a_single_packet_without_a_picture_is_no_signal() -> None:
    watch = live()
    watch.look(13.0, PATIENCE)
    watch.arrived((1, 40), 20.0)
    assert watch.look(22.0, PATIENCE) is SignalState.LOST
    assert watch.shown((1, 40), True) is SignalState.LOST
    assert watch.look(24.0, PATIENCE) is SignalState.LOST and watch.silence(24.0) == 13.0


def test_packets_that_give_no_picture_count_as_a_signal_in_the_end() -> None:
    watch = live()
    watch.look(13.0, PATIENCE)
    for i in range(31):
        watch.arrived((1, 40 + i), 20.0 + i / 10)
    assert watch.look(22.9, PATIENCE) is SignalState.LOST
    assert watch.look(23.0, PATIENCE) is SignalState.LIVE
