"""Hands the newest item to any number of waiting tasks; whoever is slow misses items and never holds any back."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class FeedClosed(Exception):
    """The feed has ended."""


class Feed(Generic[T]):
    """One item of memory, however many readers.  Event loop thread only."""

    def __init__(self) -> None:
        self.latest: T | None = None
        self._version = 0
        self._closed = False
        self._changed = asyncio.Event()

    def publish(self, item: T) -> None:
        self.latest = item
        self._version += 1
        self._wake()

    def close(self) -> None:
        """All readers, present and future, get FeedClosed."""
        self._closed = True
        self._wake()

    async def after(self, version: int) -> tuple[int, T]:
        """The newest item with its version, as soon as that is above `version` (0: any item)."""
        while True:
            if self._closed:
                raise FeedClosed
            if self.latest is not None and self._version > version:
                return self._version, self.latest
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
