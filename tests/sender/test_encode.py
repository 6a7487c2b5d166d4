from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from common.codec.base import Budget, EncodedUnit
from common.handoff import DropOldest
from common.video import Frame, Picture, blank
from proto.packet import Segment
from proto.reassembler import Reassembler, ReceivedUnit
from proto.streams import VIDEO
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES, max_payload
from sender.encode import CodedUnit, EncodeStage
from sender.rate import RateController
from tests.fakes import FakeDecoder, FakeEncoder

FPS = 10.0
EPOCH = 1_800_000_000.0


def frame(index: int, at: float | None = None) -> Frame:
    captured = EPOCH + (index / FPS if at is None else at)
    return Frame(blank(64, 48, 30 + 5 * index), captured, index)


def drain(frames: DropOldest[Frame]) -> None:
    """Wait until the stage has taken everything."""
    while len(frames):
        time.sleep(0.001)


class Kept:
    """A record in memory."""

    def __init__(self) -> None:
        self.indices: list[tuple[int, int]] = []
        self.closed = False

    def write(self, unit: int, frames: Sequence[Frame]) -> None:
        self.indices += [(unit, frame.index) for frame in frames]

    def close(self) -> None:
        self.closed = True


class FakeControl:
    """What the receiver has told, and whether there are keys, as the test sets them."""

    def __init__(self) -> None:
        self.ready = True
        self.planned = 0
        self.told: list[tuple[int, tuple[bool, ...] | None]] = []

    def take_reports(self) -> list[tuple[int, tuple[bool, ...] | None]]:
        taken, self.told = self.told, []
        return taken

    def plan_packets(self) -> None:
        self.planned += 1


class Stage:
    """An encoding stage with a fake codec, run in the test's own thread."""

    def __init__(self) -> None:
        self.frames: DropOldest[Frame] = DropOldest()
        self.units: list[CodedUnit] = []
        self.seconds: list[str] = []
        self.kept = Kept()
        self.encoder = FakeEncoder(64, 48, FPS)
        self.control = FakeControl()
        limit = max_payload(MAX_DATAGRAM)
        self.rate = RateController(60, 4 / FPS, OVERHEAD_BYTES + IP_UDP_BYTES, limit)
        self.stage = EncodeStage(
            self.frames,
            self.encoder,
            self.control,
            self.rate,
            FPS,
            limit,
            self.units.append,
            stage_seconds=lambda stage, seconds: self.seconds.append(stage),
            records=[self.kept],
        )

    def run(self, *frames: Frame) -> list[CodedUnit]:
        """Feed the frames one after the other, none dropped, then end."""
        thread = threading.Thread(target=self.stage.run)
        thread.start()
        for item in frames:
            self.frames.put(item)
            drain(self.frames)
        self.frames.close()
        thread.join(10)
        return self.units


def received(segments: list[Segment]) -> ReceivedUnit:
    reassembler = Reassembler()
    numbers = {reassembler.push(segment, 0.0) for segment in segments}
    unit = reassembler.take(numbers.pop())
    assert unit is not None
    return unit


def test_units_of_four_frames_come_out_in_segments() -> None:
    harness = Stage()
    units = harness.run(*[frame(index) for index in range(10)])
    assert [unit.unit for unit in units] == [0, 1]
    assert units[0].duration == pytest.approx(0.4)
    assert units[0].wire_bytes == sum(len(s) + IP_UDP_BYTES for s in units[0].segments)
    assert {segment.stream for segment in units[0].segments} == {VIDEO.id}
    decoded = FakeDecoder().decode(received(units[1].segments))
    assert [int(picture[0, 0]) for picture in decoded.pictures] == [30 + 5 * index for index in range(4, 8)]
    stage = harness.stage
    assert (stage.units, stage.frames_encoded, stage.frames_incomplete, stage.quality) == (2, 8, 2, 1)
    assert harness.kept.indices == [(index // 4, index) for index in range(8)]
    assert harness.kept.closed
    assert set(harness.seconds) == {"encode"}
    assert harness.control.planned == 2


def test_the_unit_carries_the_capture_time_of_its_first_frame() -> None:
    unit = received(Stage().run(*[frame(index) for index in range(4)])[0].segments)
    assert unit.timestamp % 262.144 == pytest.approx(EPOCH % 262.144, abs=0.003)


def test_a_unit_that_waited_through_a_stall_belongs_to_the_time_after_it() -> None:
    frames = [frame(0), frame(1), frame(2, at=60.0), frame(3, at=60.1)]
    unit = received(Stage().run(*frames)[0].segments)
    assert unit.timestamp % 262.144 == pytest.approx((EPOCH + 60.1 - 0.3) % 262.144, abs=0.003)


def test_the_budget_follows_what_was_spent() -> None:
    harness = Stage()
    units = harness.run(*[frame(index) for index in range(8)])
    first, second = harness.encoder.budgets
    share = 60_000 / 8 * 0.4
    assert first.wire_bytes == pytest.approx(share)
    assert second.wire_bytes > share > units[0].wire_bytes
    assert first.packet_overhead == OVERHEAD_BYTES + IP_UDP_BYTES


def test_a_target_that_fell_while_a_unit_was_encoded_cuts_it() -> None:
    harness = Stage()

    class Falling(FakeEncoder):
        def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
            encoded = super().encode(pictures, unit, budget)
            harness.rate.set_target(8.0 * encoded.wire_bytes / 2 / 1000 / (4 / FPS))
            return encoded

    harness.stage._encoder = Falling(64, 48, FPS)
    (unit,) = harness.run(*[frame(index) for index in range(4)])
    assert (len(unit.segments), {segment.count for segment in unit.segments}) == (2, {2})
    assert harness.stage.packets_withheld == 2


def test_without_keys_nothing_is_encoded_and_unit_numbers_wait() -> None:
    harness = Stage()
    harness.control.ready = False
    assert harness.run(*[frame(index) for index in range(9)]) == []
    assert harness.encoder.budgets == []
    assert (harness.stage.frames_withheld, harness.stage.frames_incomplete) == (8, 1)
    later = Stage()
    later.control.ready = False
    later.stage._encode([frame(index) for index in range(4)])
    later.control.ready = True
    later.stage._encode([frame(index) for index in range(4, 8)])
    assert [unit.unit for unit in later.units] == [0]


def test_what_the_receiver_told_reaches_the_encoder_before_the_next_unit() -> None:
    told: list[object] = []

    class Listening(FakeEncoder):
        def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
            told.append((unit, arrived))

        def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
            told.append("encode")
            return super().encode(pictures, unit, budget)

    harness = Stage()
    harness.stage._encoder = Listening(64, 48, FPS)
    harness.control.told = [(7, (True, False)), (8, None)]
    harness.run(*[frame(index) for index in range(8)])
    assert told == [(7, (True, False)), (8, None), "encode", "encode"]


def test_an_encoder_that_is_too_slow_loses_the_oldest_frames() -> None:
    """While one unit is being encoded only the two newest frames are kept; the others are counted."""
    entered, release = threading.Event(), threading.Event()

    class Slow(FakeEncoder):
        def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
            entered.set()
            assert release.wait(10)
            return super().encode(pictures, unit, budget)

    harness = Stage()
    harness.stage._encoder = Slow(64, 48, FPS)
    thread = threading.Thread(target=harness.stage.run)
    thread.start()
    for index in range(4):
        harness.frames.put(frame(index))
        drain(harness.frames)
    assert entered.wait(10)
    for index in range(4, 14):
        harness.frames.put(frame(index))
    assert (len(harness.frames), harness.frames.dropped) == (2, 8)
    release.set()
    drain(harness.frames)
    for index in range(14, 16):
        harness.frames.put(frame(index))
    harness.frames.close()
    thread.join(10)
    assert harness.kept.indices[4:] == [(1, 12), (1, 13), (1, 14), (1, 15)]


def test_a_full_disk_ends_the_record_and_not_the_transmission() -> None:
    class Full(Kept):
        def write(self, unit: int, frames: Sequence[Frame]) -> None:
            super().write(unit, frames)
            raise OSError(28, "No space left on device")

    harness = Stage()
    full = Full()
    harness.stage._records.insert(0, full)
    assert len(harness.run(*[frame(index) for index in range(8)])) == 2
    assert (len(full.indices), full.closed) == (4, True)
    assert len(harness.kept.indices) == 8


def test_a_disk_that_is_full_at_the_end_is_no_crash() -> None:
    class Full(Kept):
        def close(self) -> None:
            raise OSError(28, "No space left on device")

    harness = Stage()
    harness.stage._records.insert(0, Full())
    harness.run(*[frame(index) for index in range(4)])
    assert harness.kept.closed


def test_an_error_of_the_encoder_ends_the_stage_and_closes_the_records() -> None:
    harness = Stage()
    for index in range(2):
        harness.frames.put(Frame(np.zeros((6, 4), np.uint8), EPOCH, index))

    class Broken(FakeEncoder):
        def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
            raise RuntimeError("no network")

    harness.stage._encoder = Broken(64, 48, FPS, frames_per_unit=2)
    with pytest.raises(RuntimeError, match="no network"):
        harness.stage.run()
    assert harness.kept.closed
