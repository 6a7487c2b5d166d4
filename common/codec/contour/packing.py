"""How much fits a payload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def most(make: Callable[[Sequence[T]], bytes], ranked: Sequence[T], room: int) -> tuple[int, bytes]:
    """How many of the first ones a payload of `room` bytes holds, and that payload."""
    data = make(ranked)
    if len(data) <= room:
        return len(ranked), data
    low, high = 0, len(ranked) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(make(ranked[:middle])) <= room else (low, middle - 1)
    return low, make(ranked[:low])
