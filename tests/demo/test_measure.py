from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.demo import measure
from tests.demo.logs import Packet, Sent, SentIndex, ShownLine
from tests.demo.measure import Change, Window

TRUST = np.zeros((2, 2), np.uint8)


def tick(number: int, unit: int, offset: int, at: float, repeated: bool = False) -> ShownLine:
    return ShownLine(number, unit, offset, at, 1.0, (1.0, 0.0, 0.0), False, repeated, TRUST)


def sent(count: int, first_unit: int = 0, at: float = 100.0) -> list[Sent]:
    return [Sent(n, first_unit + n // 4, n % 4, at + n / 10) for n in range(count)]


def changes(moves: str, start: float = 0.0, step: float = 0.1) -> list[Change]:
    return [Change(start + n * step, 5.0 if letter == "x" else 0.0) for n, letter in enumerate(moves)]


def test_distinct_pictures_count_once() -> None:
    lines = [tick(0, 0, 0, 1.0), tick(1, 0, 0, 1.1, True), tick(2, 0, 1, 1.2), tick(3, 0, 1, 1.3)]
    assert [line.number for line in measure.fresh(lines)] == [0, 2]


def test_window_is_half_open() -> None:
    lines = [tick(n, 0, n, 10.0 + n) for n in range(5)]
    assert [line.number for line in measure.in_window(lines, Window(10.0, 3.0))] == [0, 1, 2]


def test_latency_is_matched_by_unit_and_offset() -> None:
    lines = [tick(0, 1, 2, 101.0), tick(1, 9, 0, 102.0)]
    assert measure.latencies_ms(lines, SentIndex(sent(8))) == pytest.approx([400.0])


def test_made_up_pictures_have_a_frame_but_no_latency() -> None:
    log = sent(8)
    index = SentIndex(log)
    # The receiver numbered it as of a unit that was sent later.
    line = replace(tick(0, 1, 3, 100.6), concealed=True, captured_at=100.12)
    assert index.shown(line) is log[1]
    assert index.shown(replace(line, captured_at=105.0)) is None
    assert measure.latencies_ms([line], index) == []


def test_unit_numbers_may_have_wrapped() -> None:
    index = SentIndex(sent(8, first_unit=65535))
    found = index.of(0, 1)
    assert found is not None and found.number == 5


def test_frames_sent_in_the_window_of_the_first_shown() -> None:
    log = sent(100)
    assert measure.frames_sent(log, log[20], 3.0) == 30
    assert measure.frames_sent(log, None, 3.0) == 0


def test_wire_rate_over_whole_units() -> None:
    packets = [Packet(0.05 + n * 0.1, 125, 1) for n in range(200)]
    assert measure.wire_kbps(packets, Window(0.0, 10.1), 0.4) == pytest.approx(10.0)
    assert math.isnan(measure.wire_kbps(packets, Window(0.0, 0.3), 0.4))


def test_loss_counts_packets_without_copies() -> None:
    packets = [Packet(float(n), 100, int(n % 4 > 0)) for n in range(40)]
    assert measure.loss(packets, Window(0.0, 20.0)) == 0.25
    assert math.isnan(measure.loss(packets, Window(100.0, 1.0)))


def test_a_frozen_picture_counts_while_the_sent_one_moves() -> None:
    shown = changes("x" * 10 + "-" * 14 + "x" * 10)
    stood = measure.standstills(shown, changes("x" * 40), 0.2, end=3.4)
    assert measure.frozen_seconds(stood) == pytest.approx(1.5)
    assert measure.longest(stood) == pytest.approx(1.5)
    assert measure.longest([]) == 0


def test_a_still_source_is_no_freeze() -> None:
    shown = changes("x" * 10 + "-" * 14 + "x" * 10)
    source = changes("x" * 8 + "-" * 14 + "x" * 12)
    assert measure.frozen_seconds(measure.standstills(shown, source, 0.2, end=3.4)) == 0


def test_a_gap_in_the_ticks_and_a_stop_at_the_end_are_freezes() -> None:
    shown = changes("x" * 5) + changes("x" * 5, start=2.4)
    stood = measure.standstills(shown, changes("x" * 60), 0.0, end=5.0)
    assert measure.frozen_seconds(stood) == pytest.approx(2.0 + 2.2)


def test_percentiles() -> None:
    assert measure.percentiles([1.0, 2.0, 3.0], 50, 95) == {"p50": 2.0, "p95": 2.9}
    assert math.isnan(measure.percentiles([], 50)["p50"])


def test_frames_never_shown_are_those_between_the_first_and_last_shown() -> None:
    log = sent(12)
    lines = [tick(0, 0, 2, 1.0), tick(1, 0, 3, 1.1), tick(2, 2, 0, 1.2), tick(3, 7, 0, 1.3)]
    assert measure.never_shown(lines, log, SentIndex(log)) == 4
    assert measure.never_shown([], log, SentIndex(log)) == 0


def test_longest_concealed_run() -> None:
    lines = [tick(n, 0, n % 4, 1.0 + n / 10) for n in range(8)]
    concealed = [replace(line, arrived=0.0) if line.number in (1, 3, 4, 5, 7) else line for line in lines]
    assert measure.longest_concealed(concealed, 10.0) == pytest.approx(0.3)


def test_pictures_are_new_again_when_something_captured_after_the_break_arrives() -> None:
    log, outage = sent(40), Window(100.8, 1.0)
    lines = [tick(n, n // 4, n % 4, 100.5 + n / 10) for n in range(40)]
    lost = [replace(line, arrived=0.0) if 2 <= line.unit <= 4 else line for line in lines]
    assert measure.new_again(lost, SentIndex(log), outage) == pytest.approx(102.5)  # units 0 and 1 are older
    assert measure.new_again(lost[:20], SentIndex(log), outage) is None


def test_an_outage_is_charged_with_the_standstills_that_it_meets() -> None:
    stood = [(100.0, 100.9), (101.0, 102.5), (103.0, 105.0)]
    figures = measure.outage_figures(Window(101.0, 1.0), Window(100.0, 8.0), stood, 102.5)
    assert figures == {"start_s": 1.0, "seconds": 1.0, "longest_freeze_s": 1.5, "new_after_s": 0.5}
    never = measure.outage_figures(Window(101.0, 1.0), Window(100.0, 8.0), stood, None)
    assert (never["longest_freeze_s"], never["new_after_s"]) == (2.0, None)
