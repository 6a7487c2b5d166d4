"""One run of a sender: joining anywhere, geometry from any packet, time of day from 16 bits."""

from __future__ import annotations

import math

import pytest

from proto.packet import Segment
from proto.reassembler import Reassembler
from proto.wire import TICK_SECONDS, TIMESTAMP_SPAN, latest_time
from receiver.delay import AUTOMATIC, DelayBounds
from receiver.playout import Decode, Wait
from receiver.program import CLOCK_TOLERANCE_S, JOIN_WAIT_S, Program
from tests.fakes import FakeEncoder, fake_describe
from tests.receiver.link import BUDGET, scene

UNIT = 4 / 15


class Link:
    """Pushes segments of fake units into a program's reassembler."""

    def __init__(self, bounds: DelayBounds = AUTOMATIC) -> None:
        self.reassembler = Reassembler(16)
        self.program = Program(1, self.reassembler, fake_describe, bounds)
        self._encoder = FakeEncoder(64, 64, 15.0, segments=4)

    def push(self, unit: int, index: int, now: float, payload: bytes | None = None) -> None:
        pictures = [scene(i, 64, 64) for i in range(4)]
        payloads = self._encoder.encode(pictures, unit, BUDGET).payloads
        ticks = round((500.0 + unit * UNIT) / TICK_SECONDS) & 0xFFFF
        body = payloads[index] if payload is None else payload
        segment = Segment(1, unit & 0xFFFF, index, len(payloads), ticks, body)
        self.program.arrived(self.reassembler.push(segment, now), now, 1_800_000_000.0 + now)


def test_nothing_is_planned_before_a_packet() -> None:
    assert Link().program.plan(1.0) == Wait(math.inf)


def test_joining_with_a_single_packet_of_a_unit() -> None:
    link = Link()
    link.push(7, 2, 1.0)
    step = link.program.plan(1.0)
    assert isinstance(step, Wait) and step.until == pytest.approx(1.0 + JOIN_WAIT_S)
    step = link.program.plan(1.0 + JOIN_WAIT_S)
    assert isinstance(step, Decode) and step.unit == 7
    assert link.program.info is not None and link.program.info.width == 64
    received = link.program.take(7)
    assert received is not None and received.received == 1


def test_a_complete_first_unit_is_opened_at_once() -> None:
    link = Link()
    for index in range(4):
        link.push(0, index, 1.0 + index * 0.01)
    step = link.program.plan(1.03)
    assert isinstance(step, Decode) and step.unit == 0
    assert link.program.clock.delay == pytest.approx(0.8 * UNIT + 0.06)


def test_a_fixed_delay_stays() -> None:
    link = Link(DelayBounds.exactly(0.5))
    for index in range(4):
        link.push(0, index, 1.0)
    link.program.plan(1.0)
    for unit in range(1, 6):
        link.push(unit, 0, 1.0 + unit * UNIT)
    assert link.program.clock.delay == 0.5


def test_a_first_unit_that_cannot_be_read_is_passed_over() -> None:
    link = Link()
    for index in range(4):
        link.push(0, index, 1.0, payload=b"rubbish")
    assert isinstance(link.program.plan(1.1), Wait)
    assert link.program.damaged == 1
    for index in range(4):
        link.push(1, index, 1.3)
    step = link.program.plan(1.3)
    assert isinstance(step, Decode) and step.unit == 1


def test_what_has_piled_up_before_a_takeover_is_passed_over() -> None:
    link = Link()
    pictures = [scene(i, 64, 64) for i in range(4)]
    for unit in range(12):  # of a run that is not on show: its program does not exist yet
        payload = FakeEncoder(64, 64, 15.0, segments=4).encode(pictures, unit, BUDGET).payloads[0]
        ticks = round((500.0 + unit * UNIT) / TICK_SECONDS) & 0xFFFF
        link.reassembler.push(Segment(1, unit, 0, 4, ticks, payload), unit * UNIT)
    link.push(12, 0, 12 * UNIT)
    now = 12 * UNIT + JOIN_WAIT_S
    step = link.program.plan(now)
    assert isinstance(step, Decode) and step.unit in (11, 12)


def test_a_retired_program_takes_nothing_any_more() -> None:
    link = Link()
    for index in range(4):
        link.push(0, index, 1.0)
    step = link.program.plan(1.0)
    assert isinstance(step, Decode)
    link.program.take(0)
    assert link.program.playout is not None
    link.program.playout.decoded(step, [], 0.01, 1.01)
    for index in range(4):
        link.push(1, index, 1.2)
    link.program.retired = True
    assert isinstance(link.program.plan(1.2), Wait)


@pytest.mark.parametrize("age", [0.0, 0.05, 1.0, 200.0, -0.02, -4.0])
def test_capture_time_is_found_within_the_wrap(age: float) -> None:
    wall = 1_800_000_123.456
    captured = wall - age
    wrapped = captured % TIMESTAMP_SPAN
    assert latest_time(wrapped, wall, CLOCK_TOLERANCE_S) == pytest.approx(captured, abs=1e-5)


def test_capture_time_counts_on_from_the_first_unit() -> None:
    link = Link()
    link.push(0, 0, 1.0)
    first = link.program.captured_at(link.reassembler.timestamp(0) or 0.0)
    assert abs((first - 500.0 + TIMESTAMP_SPAN / 2) % TIMESTAMP_SPAN - TIMESTAMP_SPAN / 2) <= TICK_SECONDS
    assert 0 <= 1_800_000_006.0 - first < TIMESTAMP_SPAN
