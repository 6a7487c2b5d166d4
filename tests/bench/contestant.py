"""What a benchmark compares: something that turns a clip into packets, and what arrived of them into pictures.

Also the delay that all of them are held to. A picture is taken at one instant and shown `delay` later. The first of a
unit waits for the others of its unit; what is left of the delay is for the wire, which carries the wire rate and no
more. A unit that has not left by then is late, and lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from common.video import Picture

Arrived = NDArray[np.bool_]
Shown = list[list[Picture]]

RATE_TOLERANCE = 1.03  # true wire rate over the target up to which a contestant keeps its rate


@dataclass(frozen=True, slots=True)
class Encoded:
    """A clip as packets, in units that are sent and judged together.

    `unit_packets`: packets of each unit. `unit_bytes`: bytes of each unit on the wire, IP, UDP and our headers
    included."""

    unit_packets: tuple[int, ...]
    unit_bytes: tuple[int, ...]
    frames: int
    width: int
    height: int
    content: object  # the contestant's own

    @property
    def wire_bytes(self) -> int:
        """All bytes on the wire."""
        return sum(self.unit_bytes)


class Contestant(Protocol):
    """One row of the comparison: a codec with its protection. Knows nothing of the loss when it encodes."""

    @property
    def name(self) -> str:
        """The codec, for tables."""
        ...

    @property
    def code_rate(self) -> str:
        """Of its erasure code, as `1`, `3/4`, `1/2`; empty where it has none."""
        ...

    def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
        """The clip at a wire rate."""
        ...

    def decode(self, encoded: Encoded, arrived: list[Arrived]) -> Shown:
        """From the packets of each unit that arrived, one picture for each frame of the clip; in each of the ways
        that a player might choose, of which the one that looks best counts."""
        ...


class Link(Protocol):
    """What the packets of a unit meet on their way. The same seed, units and sizes give the same losses."""

    def send(self, unit: int, sizes: Sequence[int]) -> Arrived:
        """Which packets of a unit arrive, from the bytes of each on the wire. Called once a unit, in order."""
        ...


class Channel(Protocol):
    """Both directions of a link, as a contestant sees them that adapts to what the other end says."""

    def __call__(self, unit: int, packets: int, wire_bytes: int | None = None) -> Arrived:
        """Which of a unit's packets arrive in time. Called once a unit, in order. `wire_bytes`: of all of them
        together; without it they are taken to fill the unit's share of the wire rate."""
        ...

    def report(self, unit: int) -> bool:
        """Whether what the receiver says once it has a unit comes back. Called at most once a unit, in order."""
        ...


@runtime_checkable
class Adaptive(Protocol):
    """What a contestant has in addition that can use feedback."""

    def converse(
        self, pictures: list[Picture], fps: float, wire_kbps: float, channel: Channel, rtt_ms: float
    ) -> tuple[Encoded, Shown]:
        """The clip sent over `channel`, each unit knowing the reports that have come back by then, and what is shown.

        A report leaves the receiver when its unit is decoded and takes half of `rtt_ms`, as packets do."""
        ...


def unit_frames() -> int:
    """Frames of one access unit and of one FEC block: everyone waits equally long before sending."""
    return 4


def serialisation_seconds(delay_ms: float, fps: float) -> float:
    """What the delay leaves a unit for the wire, counted from its last picture. ValueError where that is nothing."""
    left = delay_ms / 1000 - (unit_frames() - 1) / fps
    if left <= 0:
        raise ValueError(
            f"a delay of {delay_ms:g} ms is over before the {unit_frames()} pictures of a unit are taken"
            f" at {fps:g} frames/s"
        )
    return left


def late_units(unit_bytes: Sequence[int], fps: float, wire_kbps: float, delay_ms: float) -> list[bool]:
    """Which units cannot leave in time over a link of `wire_kbps` (and RATE_TOLERANCE): a leaky bucket.

    A sender knows that a unit will be late before it sends any of it, so such a unit does not hold up the next."""
    queue = Queue(fps, wire_kbps, delay_ms)
    return [queue.push(unit, size) is None for unit, size in enumerate(unit_bytes)]


class Queue:
    """The bytes that wait before the link. Times are in seconds; the last picture of unit 0 is taken at 0."""

    def __init__(self, fps: float, wire_kbps: float, delay_ms: float) -> None:
        self._period = unit_frames() / fps
        self._room = serialisation_seconds(delay_ms, fps)
        self._bytes_per_second = wire_kbps * 125 * RATE_TOLERANCE
        self._free_at = 0.0

    def push(self, unit: int, wire_bytes: int) -> tuple[float, float] | None:
        """When the first byte of a unit begins to leave and the last has left; nothing if it would be late."""
        ready = unit * self._period
        begin = max(ready, self._free_at)
        end = begin + wire_bytes / self._bytes_per_second
        if end > ready + self._room:
            return None
        self._free_at = end
        return begin, end
