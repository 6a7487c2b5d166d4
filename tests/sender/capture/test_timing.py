from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sender.capture.timing import MAX_LATE, Backoff, Cadence, Ticker


def next_slot(ticker: Ticker, now: float) -> tuple[int, float]:
    """Number and due time, rounded."""
    slot, due = ticker.next(now)
    return slot, round(due, 6)


def test_slots_come_at_even_times() -> None:
    ticker = Ticker(10)
    for k in range(3):
        assert next_slot(ticker, 100 + 0.1 * k) == (k, round(100 + 0.1 * k, 6))
    assert ticker.skipped == 0


def test_a_little_late_is_caught_up_without_loss() -> None:
    ticker = Ticker(10)
    ticker.next(100.0)
    assert next_slot(ticker, 100.19) == (1, 100.1)
    assert next_slot(ticker, 100.2) == (2, 100.2)


def test_slots_that_are_over_are_skipped_and_counted() -> None:
    ticker = Ticker(10)
    ticker.next(100.0)
    assert next_slot(ticker, 100.45) == (4, 100.4)
    assert ticker.skipped == 3


def test_a_long_hold_up_moves_the_schedule() -> None:
    ticker = Ticker(10)
    ticker.next(100.0)
    assert next_slot(ticker, 100.1 + MAX_LATE + 50) == (1, round(100.1 + MAX_LATE + 50, 6))
    assert ticker.skipped == 0


def emitted(cadence: Cadence, times: list[float]) -> list[int]:
    return [slot for time in times for slot in cadence.slots(time)]


def test_a_camera_of_the_right_rate_passes_untouched() -> None:
    cadence = Cadence(15)
    jitter = [0.0, 0.01, -0.01, 0.012, -0.008]
    times = [k / 15 + jitter[k % 5] for k in range(300)]
    assert emitted(cadence, times) == list(range(300))
    assert (cadence.skipped, cadence.repeated) == (0, 0)


def test_a_fast_camera_is_thinned_out() -> None:
    cadence = Cadence(15)
    assert len(emitted(cadence, [k / 30 for k in range(300)])) == 150
    assert cadence.skipped == 150


def test_a_slow_camera_is_repeated() -> None:
    cadence = Cadence(15)
    slots = emitted(cadence, [k / 10 for k in range(100)])
    assert slots == list(range(len(slots)))
    assert abs(len(slots) - 150) <= 2
    assert cadence.repeated == len(slots) - 100


def test_a_stall_is_not_filled_with_repeats() -> None:
    cadence = Cadence(15)
    assert emitted(cadence, [0.0, 1 / 15, 60.0, 60.0 + 1 / 15]) == [0, 1, 2, 3]


@given(st.lists(st.floats(0, 2), max_size=80), st.floats(1, 60))
def test_slot_numbers_never_jump_or_repeat(pauses: list[float], fps: float) -> None:
    cadence = Cadence(fps)
    now = 50.0
    slots: list[int] = []
    for pause in pauses:
        now += pause
        new = cadence.slots(now)
        assert len(new) <= 3
        slots += new
    assert slots == list(range(len(slots)))


def test_pauses_grow_to_a_limit_and_start_again() -> None:
    backoff = Backoff(0.5, 10)
    assert [backoff.next() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next() == 0.5
