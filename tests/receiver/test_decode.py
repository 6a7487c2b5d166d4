"""The decode worker: damaged units are concealed, a broken decoder is replaced, nothing escapes."""

from __future__ import annotations

import queue
from collections.abc import Callable

import pytest

from common.codec.base import CodecError, DecodedUnit, ReferenceMissingError, Segments, UnitDecoder
from proto.reassembler import ReceivedUnit
from receiver.decode import DecodeWorker, Job, Outcome
from receiver.playout import Conceal, Decode
from tests.fakes import FakeDecoder, FakeEncoder
from tests.receiver.link import BUDGET, scene


def unit(number: int, size: int = 64) -> ReceivedUnit:
    encoder = FakeEncoder(size, size, 15.0)
    payloads = encoder.encode([scene(i, size, size) for i in range(4)], number, BUDGET).payloads
    return ReceivedUnit(number, 10.0, len(payloads), tuple(payloads))


def job(received: ReceivedUnit | None, generation: int = 1) -> Job:
    step = Conceal(7, 10.0, 4) if received is None else Decode(received.unit, 10.0, 0)
    return Job(generation, step, received)


class Bench:
    """A worker and a way to wait for its outcomes."""

    def __init__(self, create: Callable[[], UnitDecoder]) -> None:
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        self.worker = DecodeWorker(create, self.outcomes.put)

    def do(self, job: Job) -> Outcome:
        self.worker.submit(job)
        return self.outcomes.get(timeout=5)


class Brittle(FakeDecoder):
    """Breaks down on unit 13, and unit 12 refers to one that is not there."""

    def decode(self, received: Segments | None) -> DecodedUnit:
        if received is not None and received.unit == 13:
            raise ZeroDivisionError("a bug")
        if received is not None and received.unit == 12:
            raise ReferenceMissingError("refers to the one before")
        return super().decode(received)


@pytest.fixture
def created() -> list[str]:
    return []


@pytest.fixture
def bench(created: list[str]) -> Bench:
    def create() -> UnitDecoder:
        created.append("decoder")
        return Brittle()

    return Bench(create)


def test_units_are_decoded_and_concealed_in_one_decoder(bench: Bench, created: list[str]) -> None:
    bench.worker.prepare()
    bench.worker.start()
    first = bench.do(job(unit(0)))
    assert first.unit is not None and len(first.unit.pictures) == 4 and first.seconds > 0
    concealed = bench.do(job(None))
    assert concealed.unit is not None and concealed.unit.arrived == 0
    assert created == ["decoder"]
    bench.worker.close()
    assert not bench.worker.alive


def test_a_damaged_unit_is_concealed_and_counted(bench: Bench) -> None:
    bench.worker.start()
    bench.do(job(unit(0)))
    damaged = ReceivedUnit(1, 10.0, 2, (b"rubbish", None))
    outcome = bench.do(job(damaged))
    assert outcome.unit is not None and outcome.unit.arrived == 0
    assert bench.worker.damaged == 1 and bench.worker.failures == 0
    bench.worker.close()


def test_a_unit_without_what_it_refers_to_is_concealed_and_told_but_not_damaged(bench: Bench) -> None:
    bench.worker.start()
    bench.do(job(unit(0)))
    outcome = bench.do(job(unit(12)))
    assert outcome.unit is not None and outcome.unit.arrived == 0 and outcome.refused
    assert (bench.worker.unreferenced, bench.worker.damaged, bench.worker.failures) == (1, 0, 0)
    bench.worker.close()


def test_nothing_to_conceal_from_gives_no_unit(bench: Bench) -> None:
    bench.worker.start()
    assert bench.do(job(ReceivedUnit(0, 10.0, 1, (b"rubbish",)))).unit is None
    assert bench.do(job(unit(1))).unit is not None
    bench.worker.close()


def test_a_decoder_that_breaks_down_is_replaced(bench: Bench, created: list[str]) -> None:
    bench.worker.start()
    bench.do(job(unit(0)))
    assert bench.do(job(unit(13))).unit is None
    assert bench.worker.failures == 1
    assert bench.do(job(unit(14))).unit is not None
    assert len(created) == 2
    bench.worker.close()


def test_every_run_of_a_sender_has_its_own_decoder_and_old_ones_go(bench: Bench, created: list[str]) -> None:
    bench.worker.start()
    for generation in range(1, 6):
        bench.do(job(unit(0), generation))
    assert len(created) == 5 and len(bench.worker._decoders) == 2
    bench.worker.close()


def test_a_job_that_has_to_go_is_answered(bench: Bench) -> None:
    for generation in range(1, 4):  # nobody takes them: the thread does not run yet
        bench.worker.submit(job(unit(0), generation))
    dropped = bench.outcomes.get(timeout=5)
    assert dropped.job.generation == 1 and dropped.unit is None
    bench.worker.start()
    assert [bench.outcomes.get(timeout=5).job.generation for _ in range(2)] == [2, 3]
    bench.worker.close()


def test_a_codec_that_cannot_be_loaded_later_is_contained() -> None:
    def create() -> UnitDecoder:
        raise CodecError("no such profile")

    bench = Bench(create)
    bench.worker.start()
    assert bench.do(job(unit(0))).unit is None
    bench.worker.close()
