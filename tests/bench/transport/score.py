"""What a contestant did with the units of a window of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.transport.workload import Sink

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Score:
    """Shares are of what was handed over; latencies are of packets that came in time, ms."""

    units: int
    packets: int
    delivered: float  # packets that came in time
    usable: float  # units of which enough came in time
    late: int  # packets that came, but later
    latency_ms: tuple[float, ...] | None  # p50, p95, p99; None when nothing came
    freeze_s: float  # the longest run of units that are not usable, by their duration
    payload_bytes: int  # delivered


def score(sink: Sink, first: int, units: int, deadline: float) -> Score:
    """Units `first` .. `first + units - 1`; in time: at most `deadline` seconds after they were handed over."""
    workload, wanted = sink.workload, range(first, first + units)
    best: dict[tuple[int, int], float] = {}  # copies count once, the first one
    for piece, at in sink.pieces:
        if piece.unit in wanted:
            key, latency = (piece.unit, piece.place), at - piece.sent
            best[key] = min(latency, best.get(key, latency))
    timely = {key: latency for key, latency in best.items() if latency <= deadline}
    there = [0] * units
    for unit, _ in timely:
        there[unit - first] += 1
    usable = [count >= (workload.packets if sink.whole else 1) for count in there]
    packets = units * workload.packets
    return Score(
        units=units,
        packets=packets,
        delivered=len(timely) / max(packets, 1),
        usable=sum(usable) / max(units, 1),
        late=len(best) - len(timely),
        latency_ms=percentiles([1e3 * latency for latency in timely.values()]),
        freeze_s=longest_run(usable) * workload.duration,
        payload_bytes=len(timely) * workload.size,
    )


def percentiles(values: Sequence[float]) -> tuple[float, ...] | None:
    """The least value that so many percent do not exceed (nearest rank); None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return tuple(ordered[max(0, -(-len(ordered) * percent // 100) - 1)] for percent in PERCENTILES)


def longest_run(usable: Sequence[bool]) -> int:
    """Of units that are not usable."""
    longest = run = 0
    for good in usable:
        run = 0 if good else run + 1
        longest = max(longest, run)
    return longest
