"""The thread behind a sink: bounded, never blocking the caller, errors contained."""

from __future__ import annotations

import asyncio
import threading
import time

from receiver.play.base import Shown, SinkError, ThreadedSink
from tests.receiver.play.pictures import shown
from tests.waiting import until


class Slow(ThreadedSink):
    """Holds every picture until it is let go."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.let_go = threading.Event()
        self.written: list[int] = []
        self.finished = 0
        self.error: Exception | None = None

    def write(self, shown: Shown) -> None:
        self.let_go.wait(5)
        if self.error is not None:
            raise self.error
        self.written.append(shown.number)

    def finish(self) -> None:
        self.finished += 1


async def test_a_blocked_sink_never_blocks_the_caller_and_keeps_only_the_newest() -> None:
    sink = Slow()
    await sink.start()
    begun = time.monotonic()
    for number in range(1000):
        sink.show(shown(number, 32, 32))
    assert time.monotonic() - begun < 2
    sink.let_go.set()
    await sink.close()
    assert sink.written[-2:] == [998, 999]
    assert len(sink.written) <= 3 and sink.dropped == 1000 - len(sink.written)
    assert sink.finished == 1 and sink.ended


async def test_a_reader_that_goes_away_ends_the_sink() -> None:
    sink = Slow()
    sink.error = BrokenPipeError()
    sink.let_go.set()
    await sink.start()
    sink.show(shown(0))
    await until(lambda: sink.ended)
    sink.show(shown(1))
    await sink.close()
    assert sink.finished == 1 and not sink.written and sink.failure is None


async def test_errors_of_a_sink_are_contained() -> None:
    for error in (RuntimeError("disk on fire"), SinkError("window: no display")):
        sink = Slow()
        sink.error = error
        sink.let_go.set()
        await sink.start()
        sink.show(shown(0))
        await until(lambda sink=sink: sink.ended)
        await sink.close()
        assert sink.finished == 1
        assert sink.failure is not None and str(error) in sink.failure


async def test_closing_an_unstarted_sink_is_fine() -> None:
    await asyncio.wait_for(Slow().close(), 1)
