"""How long packets stand in queues, from when they left and when they arrived. Pure.

The two clocks need not agree: the smallest delay of the last 20 s stands for an empty path, what is above it for
queues (as in NADA, RFC 8698: d_queue = d_fwd - d_base, d_base being the smallest d_fwd). Of the delays of a short time
the smallest counts: a queue that never empties is congestion, one that does is a burst (CoDel, RFC 8289 section 3: the
minimum tells the standing queue).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sender.feedback import Sample

BASE_BUCKETS, BASE_BUCKET_S = 10, 2.0  # the base is forgotten after 20 s: clocks drift, routes change
WINDOW_S = 0.35  # of arrivals looked at: somewhat more than a unit, whose packets may stand in line
FEWEST = 4  # packets, or the window is longer
KEPT = 128


@dataclass(frozen=True, slots=True)
class Delayed:
    """A packet and how long it took beyond the smallest delay, in s."""

    sample: Sample
    queued: float


class QueueDelay:
    """Delays of one path. Owned by the congestion control."""

    def __init__(self) -> None:
        self._bases: deque[tuple[int, float, int]] = deque(maxlen=BASE_BUCKETS)  # (bucket, delay, bytes)
        self._recent: deque[Delayed] = deque(maxlen=KEPT)

    def add(self, samples: Iterable[Sample], kbps: float) -> None:
        """Packets arrived. `kbps`: rate of sending; what a packet's own bytes take at it is no queue, where it is
        larger than the packet with the smallest delay."""
        for sample in samples:
            delay = sample.arrived_at - sample.sent_at
            self._remember(sample.sent_at, delay, sample.wire_bytes)
            _, base, size = min(self._bases, key=lambda entry: entry[1])
            own = max(0, sample.wire_bytes - size) * 0.008 / kbps
            self._recent.append(Delayed(sample, max(0.0, delay - base - own)))

    def standing(self, since: float, stretch: float = 1.0) -> float | None:
        """Seconds that the queue has not fallen below lately; None with too few packets that left after `since`.

        `stretch` lengthens what is lately: with lost packets queues fill and empty by chance."""
        recent = self._lately(since, stretch)
        return min(entry.queued for entry in recent) if recent else None

    def newest(self, since: float, count: int = 2) -> float:
        """Seconds that each of the `count` newest packets waited at least; 0 with fewer that left after `since`."""
        last = [entry.queued for entry in self._recent if entry.sample.sent_at > since][-count:]
        return min(last) if len(last) == count else 0.0

    def longest(self) -> float:
        """Seconds that any of the last KEPT packets waited."""
        return max((entry.queued for entry in self._recent), default=0.0)

    def capacity(self, since: float, stretch: float = 1.0) -> float | None:
        """The rate of sending (kbit/s) that the path kept up with lately: bytes that were sent between two packets,
        over the time between their arrivals. Packets lost at random count on both sides, so that it is right whatever
        the loss is. None with too few packets that left after `since`."""
        recent = self._lately(since, stretch)
        if not recent:
            return None
        first, last = recent[0].sample, recent[-1].sample
        passed = last.arrived_at - first.arrived_at
        return (last.total - first.total) * 0.008 / passed if passed > 0 else None

    def arriving(self, since: float, stretch: float = 1.0) -> float | None:
        """The rate (kbit/s) at which packets came in lately."""
        recent = self._lately(since, stretch)
        if not recent:
            return None
        passed = recent[-1].sample.arrived_at - recent[0].sample.arrived_at
        return sum(entry.sample.wire_bytes for entry in recent[1:]) * 0.008 / passed if passed > 0 else None

    def rebase(self, queued: float) -> None:
        """What was taken for a queue of `queued` seconds is the path itself."""
        self._bases = deque(
            ((n, delay + queued, size) for n, delay, size in self._bases), maxlen=BASE_BUCKETS
        )
        self._recent.clear()

    def _remember(self, sent_at: float, delay: float, wire_bytes: int) -> None:
        bucket = int(sent_at // BASE_BUCKET_S)
        if self._bases and self._bases[-1][0] >= bucket:
            if delay < self._bases[-1][1]:
                self._bases[-1] = (self._bases[-1][0], delay, wire_bytes)
        else:
            self._bases.append((bucket, delay, wire_bytes))

    def _lately(self, since: float, stretch: float) -> list[Delayed]:
        """By arrival: the window, and FEWEST packets at least. Empty with fewer."""
        out: list[Delayed] = []
        for entry in reversed(self._recent):
            if entry.sample.sent_at <= since:
                break
            if len(out) >= FEWEST and out[0].sample.arrived_at - entry.sample.arrived_at > stretch * WINDOW_S:
                break
            out.append(entry)
        return out[::-1] if len(out) >= FEWEST else []
