"""Sinks that change while pictures go on."""

from __future__ import annotations

import asyncio

import pytest

from receiver.play.base import Shown, SinkError
from receiver.sinks import CHECK_S, Sinks


class FakeSink:
    """Takes its time to close."""

    dropped = 0
    failure: str | None = None

    def __init__(self, name: str) -> None:
        self.name, self.ended, self.opened, self.closed = name, False, 0, 0

    def show(self, shown: Shown) -> None:
        raise AssertionError

    async def start(self) -> None:
        if self.name == "bad":
            raise SinkError("bad: cannot be opened; mend it")
        self.opened += 1

    async def close(self) -> None:
        await asyncio.sleep(3 * CHECK_S)
        self.closed += 1


def sinks(*names: str) -> tuple[Sinks, list[FakeSink]]:
    made: list[FakeSink] = []

    def create(name: str) -> FakeSink:
        made.append(FakeSink(name))
        return made[-1]

    return Sinks(names, create), made


async def test_the_last_sink_may_be_exchanged_without_the_end_of_the_daemon() -> None:
    change, made = sinks("a")
    await change.start()
    ends = asyncio.create_task(change.until_ended())
    await change.change(["b"])
    await asyncio.sleep(2 * CHECK_S)
    assert not ends.done()
    assert [(sink.name, sink.opened, sink.closed) for sink in made] == [("a", 1, 1), ("b", 1, 0)]
    assert [sink.name for sink in change.all] == ["b"]
    made[1].ended = True
    await asyncio.wait_for(ends, 5)
    await change.close()
    assert made[1].closed == 1


async def test_one_that_cannot_be_opened_is_left_out_and_one_that_ended_comes_back() -> None:
    change, made = sinks("a", "b")
    await change.start()
    made[1].ended = True
    listed = change.all
    await change.change(["a", "bad", "b"])
    assert [sink.name for sink in listed] == ["a", "b"]  # the same list, for those who look at it
    assert [sink.name for sink in made] == ["a", "b", "bad", "b"]
    assert made[0].opened == 1 and made[1].closed == 1


async def test_a_broken_sink_is_told_at_the_end() -> None:
    change, made = sinks("a")
    await change.start()
    made[0].ended, made[0].failure = True, "a: disk full"
    with pytest.raises(SinkError, match="disk full"):
        await change.until_ended()


async def test_a_change_that_leaves_no_sink_does_not_end_the_daemon() -> None:
    change, made = sinks("a")
    await change.start()
    ends = asyncio.create_task(change.until_ended())
    await change.change(["bad"])
    await asyncio.sleep(2 * CHECK_S)
    assert not ends.done() and change.all == []
    await change.change(["b"])
    made[-1].ended = True
    await asyncio.wait_for(ends, 5)


async def test_a_change_before_the_start_opens_each_once() -> None:
    change, made = sinks("a")
    await change.change(["a", "b"])
    await change.start()
    assert [(sink.name, sink.opened) for sink in made] == [("a", 1), ("b", 1)]
