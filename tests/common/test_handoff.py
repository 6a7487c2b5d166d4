from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.handoff import DropOldest


def test_the_oldest_goes_and_is_counted() -> None:
    queue: DropOldest[int] = DropOldest(2)
    assert [queue.put(item) for item in (1, 2, 3, 4)] == [None, None, 1, 2]
    assert queue.dropped == 2
    assert queue.accepted == 4
    assert [queue.get(0), queue.get(0), queue.get(0)] == [3, 4, None]


@pytest.mark.parametrize("capacity", [0, 33])
def test_capacity_is_limited(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity must be 1 to 32"):
        DropOldest(capacity)


def test_close_lets_the_rest_be_taken() -> None:
    queue: DropOldest[int] = DropOldest()
    queue.put(1)
    queue.close()
    assert not queue.closed
    assert queue.put(2) == 2
    assert queue.get() == 1
    assert queue.get() is None
    assert queue.closed


def test_close_wakes_a_waiting_thread() -> None:
    queue: DropOldest[int] = DropOldest()
    got: list[int | None] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    queue.close()
    thread.join(5)
    assert got == [None]


def test_get_waits_for_a_put_from_another_thread() -> None:
    queue: DropOldest[int] = DropOldest()
    threading.Timer(0.05, queue.put, [7]).start()
    begun = time.monotonic()
    assert queue.get(5) == 7
    assert time.monotonic() - begun < 4


def test_clear_does_not_count_as_dropped() -> None:
    queue: DropOldest[int] = DropOldest()
    queue.put(1)
    assert queue.clear() == 1
    assert (len(queue), queue.dropped) == (0, 0)


@given(st.lists(st.one_of(st.integers(), st.none()), max_size=60), st.sampled_from([1, 2]))
def test_what_is_not_dropped_comes_out_in_order(steps: list[int | None], capacity: int) -> None:
    """None takes, a number puts: the queue equals a list that is cut at the front."""
    queue: DropOldest[int] = DropOldest(capacity)
    model: list[int] = []
    dropped = 0
    for step in steps:
        if step is None:
            assert queue.get(0) == (model.pop(0) if model else None)
        else:
            queue.put(step)
            model.append(step)
            if len(model) > capacity:
                model.pop(0)
                dropped += 1
    assert (len(queue), queue.dropped) == (len(model), dropped)
