"""The bounded hand-off between two threads: at most a few items, and the oldest goes when it is full."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

CAPACITY = 2
"""Whoever is late wants the newest picture; a longer queue only adds delay."""

MAX_CAPACITY = 32
"""For who works on a whole unit at once: the frames of the next one come meanwhile."""


class DropOldest(Generic[T]):
    """A thread-safe queue of at most `capacity` items whose `put` never waits.

    When it is full the oldest item is thrown away and counted in `dropped`. Items must not be None,
    which is what `get` returns when there is nothing. The counters are plain ints that any thread may read.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if not 1 <= capacity <= MAX_CAPACITY:
            raise ValueError(f"capacity must be 1 to {MAX_CAPACITY}, not {capacity}")
        self.capacity = capacity
        self.dropped = 0
        self.accepted = 0
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> T | None:
        """Append `item`; return the item that had to go for it, else None. After `close` it goes itself."""
        with self._changed:
            if self._closed:
                self.dropped += 1
                return item
            victim: T | None = None
            if len(self._items) >= self.capacity:
                victim = self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self.accepted += 1
            self._changed.notify()
            return victim

    def get(self, timeout: float | None = None) -> T | None:
        """Take the oldest item, waiting up to `timeout` seconds (None: until there is one or `close`).

        Returns None when the time is over, or when the queue is closed and empty; `closed` tells which.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            return self._items.popleft() if self._items else None

    def clear(self) -> int:
        """Throw away what waits (not counted as dropped); return how many items that were."""
        with self._changed:
            count = len(self._items)
            self._items.clear()
            return count

    def close(self) -> None:
        """No more items: what waits can still be taken, then `get` returns None at once. Repeatable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Closed and nothing left to take."""
        with self._changed:
            return self._closed and not self._items

    def __len__(self) -> int:
        with self._changed:
            return len(self._items)
