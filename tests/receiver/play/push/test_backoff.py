"""Waiting longer and longer, never for ever."""

from __future__ import annotations

import random

from receiver.play.push.backoff import Backoff


def test_waits_double_up_to_the_most_with_jitter() -> None:
    backoff = Backoff(1.0, 30.0, rng=random.Random(1))
    waits = [backoff.failed() for _ in range(12)]
    for number, wait in enumerate(waits):
        most = min(30.0, 2.0**number)
        assert most / 2 <= wait <= most
    assert len({round(wait / min(30.0, 2.0**n), 3) for n, wait in enumerate(waits)}) > 6


def test_a_connection_that_lasted_begins_anew_and_a_short_one_does_not() -> None:
    backoff = Backoff(1.0, 30.0, settled=10.0, rng=random.Random(1))
    for _ in range(6):
        backoff.failed()
    assert backoff.failed(9.0) > 1.0
    assert backoff.failed(11.0) <= 1.0


def test_two_pushes_do_not_come_back_together() -> None:
    assert Backoff().failed() != Backoff().failed()
