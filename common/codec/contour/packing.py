"""How much fits a payload."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

from common.codec.contour.syntax import End, Key, Record

SLACK = 0.03  # of the room, that may be left where one more attempt would be needed to use it
ATTEMPTS = 4  # payloads that are made in search of the largest, once one fits
NEAR = 1.15  # of the room: what may turn out to fit after all

T = TypeVar("T")


def cost(record: Record) -> float:
    """About how many bits a record takes."""
    if isinstance(record, Key):
        return 34.0 + 7.5 * len(record.points)
    return 8.0 if isinstance(record, End) else 18.0 + 7.0 * len(record.shifts)


def most(
    make: Callable[[Sequence[T]], bytes], ranked: Sequence[T], costs: Sequence[float], room: int
) -> tuple[int, bytes]:
    """About how many of the first ones a payload of `room` bytes holds, and that payload; `costs` (> 0) tells how
    large they are relative to each other, in about bits. Coding is dear: few are made."""
    sums = [0.0, *accumulate(costs)]
    low, high = 0, len(ranked) + 1  # so many fit, so many do not
    best: bytes | None = None
    scale, made = 1 / 8, 0  # bytes in a unit of cost
    tried = len(ranked) if sums[-1] * scale <= NEAR * room else bisect_right(sums, room / scale) - 1
    while True:
        tried = min(max(tried, low + (best is not None)), high - 1)
        data, made = make(ranked[:tried]), made + 1
        if len(data) <= room:
            low, best = tried, data
        elif tried == 0:
            return 0, data
        else:
            high = tried
        full = best is not None and (len(best) >= (1 - SLACK) * room or made >= ATTEMPTS)
        if best is not None and (low + 1 == high or full):
            return low, best
        if sums[tried]:
            scale = max(len(data), 1) / sums[tried]
        tried = bisect_right(sums, (1 - SLACK / 2) * room / scale) - 1
        if made > 2 * ATTEMPTS:
            tried = (low + high) // 2
