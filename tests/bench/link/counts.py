"""What became of the packets, and how long they stood in the queue."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import accumulate

BIN_S = 1e-4
BINS = 100_000  # 10 s; longer waits count as that, for the median


@dataclass(slots=True)
class Waits:
    """A histogram of waits in bins of BIN_S, at most BINS of them."""

    longest: float = 0.0
    _bins: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float) -> None:
        """One packet's wait."""
        if seconds > self.longest:
            self.longest = seconds
        place = min(int(seconds / BIN_S), BINS)
        self._bins[place] = self._bins.get(place, 0) + 1

    def median(self) -> float:
        """The lower edge of its bin, 0 without packets."""
        places = sorted(self._bins)
        sums = list(accumulate(self._bins[place] for place in places))
        return next(
            (place * BIN_S for place, up_to in zip(places, sums, strict=True) if 2 * up_to >= sums[-1]), 0.0
        )


@dataclass(slots=True)
class Counts:
    """received = forwarded - duplicated + lost + damaged + outage + overflow."""

    received: int = 0
    forwarded: int = 0  # copies too
    lost: int = 0
    damaged: int = 0  # dropped for wrong symbols
    outage: int = 0
    overflow: int = 0
    duplicated: int = 0
    corrupted: int = 0  # forwarded, but not as they came
    reordered: int = 0
    wire_bytes: int = 0  # of what was received, with IP and UDP
    wire_bytes_out: int = 0  # of what was forwarded
    waits: Waits = field(default_factory=Waits)

    def told(self) -> dict[str, object]:
        """For JSON; with the share of packets that did not get through."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "waits"}
        gone = self.lost + self.damaged + self.outage + self.overflow
        queue = {"p50": round(1e3 * self.waits.median(), 1), "max": round(1e3 * self.waits.longest, 1)}
        return numbers | {"loss_observed": round(gone / max(1, self.received), 4), "queue_ms": queue}
