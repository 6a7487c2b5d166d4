"""The newest-wins hand-off to viewers."""

from __future__ import annotations

import asyncio

import pytest

from receiver.play.feed import Feed, FeedClosed


async def test_a_slow_reader_gets_the_newest_and_a_new_one_the_latest() -> None:
    feed: Feed[str] = Feed()
    waiting = asyncio.create_task(feed.after(0))
    await asyncio.sleep(0)
    for item in "abc":
        feed.publish(item)
    version, item = await waiting
    assert item == "c"
    assert await feed.after(0) == (version, "c")
    later = asyncio.create_task(feed.after(version))
    await asyncio.sleep(0.01)
    assert not later.done()
    feed.publish("d")
    assert (await later)[1] == "d"


async def test_closing_wakes_all_readers() -> None:
    feed: Feed[str] = Feed()
    readers = [asyncio.create_task(feed.after(0)) for _ in range(3)]
    await asyncio.sleep(0)
    feed.close()
    for reader in readers:
        with pytest.raises(FeedClosed):
            await reader
    with pytest.raises(FeedClosed):
        await feed.after(0)
