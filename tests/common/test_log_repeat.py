from __future__ import annotations

import logging
import threading

from common.log_repeat import BURST, MAX_EVENTS, RepeatFilter
from tests.fakes import ManualClock


def record(event: str, level: int = logging.WARNING, name: str = "x", **fields: object) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "", 0, "%s", (event,), None)
    made.__dict__.update(event=event, fields=fields)
    return made


class Log:
    def __init__(self, timer: bool = False) -> None:
        self.clock = ManualClock()
        self.lines: list[tuple[str, int | None]] = []
        self.filter = RepeatFilter(self._write, clock=self.clock, timer=timer, window=10.0)

    def add(self, made: logging.LogRecord) -> None:
        if self.filter.filter(made):
            self._write(made)

    def _write(self, made: logging.LogRecord) -> None:
        self.lines.append((made.getMessage(), getattr(made, "fields", {}).get("repeated")))


def test_equal_records_become_one_and_their_number() -> None:
    log = Log()
    for _ in range(1000):
        log.add(record("lost", peer="a"))
        log.clock.advance(0.001)
    assert log.lines == [("lost", None)]
    log.clock.advance(10)
    log.add(record("other"))
    assert log.lines == [("lost", None), ("lost", 999), ("other", None)]


def test_an_event_after_its_window_is_new() -> None:
    log = Log()
    for _ in range(3):
        log.add(record("lost"))
        log.clock.advance(11)
    assert log.lines == [("lost", None)] * 3


def test_level_component_and_fields_make_a_difference() -> None:
    log = Log()
    log.add(record("lost", peer="a"))
    log.add(record("lost", peer="b"))
    log.add(record("lost", logging.ERROR))
    log.add(record("lost", name="y"))
    assert log.lines == [("lost", None)] * 4


def test_a_flood_with_changing_fields_is_cut_too() -> None:
    log = Log()
    for number in range(5000):
        log.add(record("lost", number=number))
    log.filter.flush()
    assert log.lines == [("lost", None)] * BURST + [("lost", 5000 - BURST)]


def test_events_of_libraries_are_known_by_their_format() -> None:
    log = Log()
    for number in range(100):
        log.add(logging.LogRecord("lib", logging.ERROR, "", 0, "frame %d", (number,), None))
    assert len(log.lines) == BURST
    log.add(logging.LogRecord("lib", logging.ERROR, "", 0, ValueError("no text"), (), None))
    assert log.lines[-1] == ("no text", None)


def test_memory_is_bounded_and_nothing_is_forgotten() -> None:
    log = Log()
    for number in range(10 * MAX_EVENTS):
        log.add(record(f"event {number}"))
        log.add(record(f"event {number}"))
    assert len(log.filter) <= MAX_EVENTS
    log.filter.flush()
    assert sum(repeated or 0 for _, repeated in log.lines) == 10 * MAX_EVENTS


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_values_that_cannot_be_shown_hurt_nobody() -> None:
    log = Log()
    log.add(record("lost", value=Unshowable()))
    assert log.lines == [("lost", None)]


def test_a_timer_tells_what_no_later_record_would() -> None:
    told = threading.Event()
    lines: list[logging.LogRecord] = []

    def emit(made: logging.LogRecord) -> None:
        lines.append(made)
        told.set()

    repeats = RepeatFilter(emit, window=0.05)
    assert [repeats.filter(record("lost")) for _ in range(3)] == [True, False, False]
    assert told.wait(10)
    assert vars(lines[0])["fields"] == {"repeated": 2}
