"""Calls that do not return are given up and made again."""

from __future__ import annotations

import threading
import time

import pytest

from common.patience import MOST_STUCK, TRIES, Patience, StuckError


def test_what_is_called_returns_or_raises() -> None:
    patience = Patience("a library", 30.0)
    assert patience.call(lambda: 7) == 7
    with pytest.raises(ValueError, match="nothing"):
        patience.call(lambda: int("nothing"))
    assert patience.stuck == 0


def test_a_call_that_does_not_return_is_made_again(caplog: pytest.LogCaptureFixture) -> None:
    patience, free, calls = Patience("a library", 0.1), threading.Event(), list[int]()

    def work() -> str:
        calls.append(1)
        if len(calls) == 1:
            free.wait(30)
        return "done"

    assert patience.call(work) == "done"
    assert len(calls) == 2 and patience.stuck == 1
    assert [record.__dict__["fields"]["library"] for record in caplog.records] == ["a library"]
    free.set()
    deadline = time.monotonic() + 10
    while patience.stuck and time.monotonic() < deadline:
        time.sleep(0.01)
    assert patience.stuck == 0  # it did return at last


def test_it_ends_where_nothing_returns_and_leaves_few_threads() -> None:
    patience, free = Patience("a library", 0.02), threading.Event()
    begun = list[int]()

    def work() -> None:
        begun.append(1)
        free.wait(60)

    try:
        with pytest.raises(StuckError, match="start the program again"):
            patience.call(work)
        assert len(begun) == TRIES
        for _ in range(2 * MOST_STUCK):
            with pytest.raises(StuckError):
                patience.call(work)
        assert patience.stuck == len(begun) == MOST_STUCK
    finally:
        free.set()
