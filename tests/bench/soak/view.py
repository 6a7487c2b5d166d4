"""What a viewer had in each phase of a soak. Pure: from what the receiver's metrics said at moments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from common.stats.scrape import Scrape, quantile
from tests.e2e.daemons import RX

LATENCY = RX + "capture_to_display_seconds"
MAX_LATENCY_GROWTH = 0.15  # s, of the median, from the calm at the start to the calm at the end
LEAST_FPS = 0.93  # of what is sent, shown in phases in which the receiver lives
LEAST_FRESH = 0.9  # of the pictures, not repeated, while nothing is lost


@dataclass(frozen=True, slots=True)
class Moment:
    """The receiver's metrics at one moment."""

    at: float  # s since the soak began
    phase: int
    figures: Scrape


@dataclass(frozen=True, slots=True)
class Row:
    """One phase; nan where the receiver was restarted in it, or nothing was shown."""

    name: str
    fps: float  # pictures shown a second
    repeated: float  # share of them
    concealed: float
    imagined: float  # share of the regions
    latency: float  # s, median from capture to display
    kbps: float  # received

    def cells(self) -> list[str]:
        """For the table."""
        shares = [f"{share:.3f}" for share in (self.repeated, self.concealed, self.imagined)]
        return [self.name, f"{self.fps:.2f}", *shares, f"{self.latency * 1000:.0f}", f"{self.kbps:.1f}"]


HEADER = ("phase", "shown fps", "repeated", "concealed", "imagined", "latency p50 ms", "kbit/s")


def rows(moments: Sequence[Moment], names: Sequence[str]) -> list[Row]:
    """One for each phase that has two moments of one receiver."""
    out = []
    for number, name in enumerate(names):
        own = _of_one_receiver([moment for moment in moments if moment.phase == number])
        if len(own) >= 2:
            out.append(_row(name, own[0], own[-1]))
    return out


def _of_one_receiver(moments: list[Moment]) -> list[Moment]:
    """The last moments, from where the counters began anew."""
    shown = [moment.figures.get(RX + "frames_shown_total") for moment in moments]
    first = 0
    for number in range(1, len(moments)):
        if not shown[number] >= shown[number - 1]:
            first = number
    return [
        moment for moment, count in zip(moments[first:], shown[first:], strict=True) if not math.isnan(count)
    ]


def _row(name: str, first: Moment, last: Moment) -> Row:
    def gained(figure: str) -> float:
        return last.figures.get(RX + figure) - first.figures.get(RX + figure)

    seconds, shown = max(1e-9, last.at - first.at), gained("frames_shown_total")
    each = max(1.0, shown)
    latency = quantile(0.5, last.figures, first.figures, LATENCY)
    return Row(
        name,
        shown / seconds,
        gained("frames_repeated_total") / each,
        gained("frames_concealed_total") / each,
        gained("regions_imagined_total") / max(1.0, gained("regions_total")),
        latency,
        gained("bytes_total") * 0.008 / seconds,
    )


def complaints(found: Sequence[Row], fps: float) -> list[str]:
    """What a viewer could not have."""
    out = [
        f"{row.name}: {row.fps:.2f} pictures a second shown, {fps:g} sent"
        for row in found
        if not row.fps >= LEAST_FPS * fps
    ]
    calm = [row for row in found if row.name.startswith("calm")]
    stale = [row for row in calm if row.repeated > 1 - LEAST_FRESH]
    out += [f"{row.name}: {row.repeated:.2f} of the pictures repeated" for row in stale]
    if len(calm) >= 2 and not calm[-1].latency <= calm[0].latency + MAX_LATENCY_GROWTH:
        out.append(f"latency grew from {calm[0].latency * 1000:.0f} to {calm[-1].latency * 1000:.0f} ms")
    return out
