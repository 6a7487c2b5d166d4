from __future__ import annotations

import asyncio
import threading

import pytest

from sender.worker import Worker


async def test_the_end_is_waited_for() -> None:
    done: list[str] = []
    worker = Worker("work", lambda: done.append(threading.current_thread().name))
    worker.start()
    await asyncio.wait_for(worker.wait(), 5)
    assert done == ["work"]
    assert worker.join(5)


async def test_an_error_comes_out() -> None:
    def work() -> None:
        raise KeyError("broken")

    worker = Worker("work", work)
    worker.start()
    with pytest.raises(KeyError, match="broken"):
        await asyncio.wait_for(worker.wait(), 5)


async def test_a_thread_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def work() -> None:
        release.wait(10)

    worker = Worker("work", work)
    assert worker.join(0.01)
    worker.start()
    assert not await asyncio.to_thread(worker.join, 0.05)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(worker.wait(), 0.05)
    release.set()
    await asyncio.wait_for(worker.wait(), 5)
