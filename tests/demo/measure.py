"""The figures of summary.json from logs and pictures. Pure: times and lines in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tests.demo.logs import Packet, Sent, SentIndex, ShownLine

STILL = 0.1  # mean absolute luma difference below which two pictures count as the same
EDGE_S = 0.15
FREEZE_S = 1.0  # a stretch at least this long counts as frozen


@dataclass(frozen=True, slots=True)
class Window:
    """The measured stretch of a run: `start` is when the first picture was shown, seconds since the epoch."""

    start: float
    seconds: float

    @property
    def end(self) -> float:
        return self.start + self.seconds

    def holds(self, time: float) -> bool:
        """Whether something at this time counts."""
        return self.start <= time < self.end


def percentiles(values: Sequence[float], *wanted: int) -> dict[str, float]:
    """{"p50": ...}; nan without values."""
    if not values:
        return {f"p{number}": math.nan for number in wanted}
    return {f"p{number}": round(float(np.percentile(values, number)), 1) for number in wanted}


def in_window(shown: Sequence[ShownLine], window: Window) -> list[ShownLine]:
    """The ticks that count."""
    return [line for line in shown if window.holds(line.shown_at)]


def fresh(shown: Sequence[ShownLine]) -> list[ShownLine]:
    """The first tick of each distinct picture."""
    seen: set[tuple[int, int]] = set()
    result = []
    for line in shown:
        if not line.repeated and (line.unit, line.offset) not in seen:
            seen.add((line.unit, line.offset))
            result.append(line)
    return result


def latencies_ms(shown: Sequence[ShownLine], index: SentIndex) -> list[float]:
    """From capture at the sender to display, of every distinct picture that was really sent; one that the receiver made
    up has none."""
    real = (line for line in fresh(shown) if not line.concealed)
    pairs = ((line, index.of(line.unit, line.offset)) for line in real)
    return [1e3 * (line.shown_at - sent.captured_at) for line, sent in pairs if sent is not None]


def never_shown(shown: Sequence[ShownLine], sent: Sequence[Sent], index: SentIndex) -> int:
    """Frames sent between the first and the last one shown that were not shown at all."""
    found = {match.number for line in fresh(shown) if (match := index.shown(line))}
    return sum(min(found) <= line.number <= max(found) for line in sent) - len(found) if found else 0


def longest_concealed(shown: Sequence[ShownLine], fps: float) -> float:
    """Seconds of the longest run of ticks to which no packet contributed."""
    longest = run = 0
    for line in shown:
        run = run + 1 if line.arrived == 0 else 0
        longest = max(longest, run)
    return longest / fps


def frames_sent(sent: Sequence[Sent], first: Sent | None, seconds: float) -> int:
    """Frames captured in the window that begins with the first frame shown."""
    if first is None:
        return 0
    window = Window(first.captured_at, seconds)
    return sum(window.holds(line.captured_at) for line in sent)


def wire_kbps(packets: Sequence[Packet], window: Window, unit_seconds: float) -> float:
    """Wire rate as the sender emits it, over the whole access units that fit into the window."""
    units = int(window.seconds / unit_seconds + 1e-9)
    if units < 1:
        return math.nan
    whole = Window(window.start, units * unit_seconds)
    return sum(packet.wire_bytes for packet in packets if whole.holds(packet.at)) * 8e-3 / whole.seconds


def loss(packets: Sequence[Packet], window: Window) -> float:
    """Share of the packets emitted in the window that the link lost."""
    gone = [packet.copies == 0 for packet in packets if window.holds(packet.at)]
    return sum(gone) / len(gone) if gone else math.nan


@dataclass(frozen=True, slots=True)
class Change:
    """How much a picture differs from the one before: mean absolute luma difference, at a time."""

    at: float
    difference: float

    @property
    def moves(self) -> bool:
        return self.difference >= STILL


def standstills(
    shown: Sequence[Change], sent: Sequence[Change], delay: float, end: float
) -> list[tuple[float, float]]:
    """From when until when the shown picture stood, though the sent one moved.

    `shown` has a line for each tick, `sent` one for each frame at its capture; `delay` is how much later frames
    are shown than captured. The last stretch lasts until `end`.
    """
    if not shown:
        return []
    times = [shown[0].at, *(change.at for change in shown[1:] if change.moves), end]
    moved = [change.at + delay for change in sent if change.moves]
    return [stretch for stretch in pairwise(times) if _any_inside(moved, *stretch)]


def _any_inside(times: Sequence[float], since: float, until: float) -> bool:
    """Whether one lies well inside: the delay of single pictures differs a little."""
    margin = min(EDGE_S, (until - since) / 4)
    return any(since + margin < time < until - margin for time in times)


def longest(stood: Sequence[tuple[float, float]]) -> float:
    """The longest stretch in seconds, 0 without any."""
    return max((until - since for since, until in stood), default=0.0)


def frozen_seconds(stood: Sequence[tuple[float, float]]) -> float:
    """The sum of the stretches of at least FREEZE_S."""
    return sum((until - since for since, until in stood if until - since >= FREEZE_S), 0.0)


def new_again(shown: Sequence[ShownLine], index: SentIndex, outage: Window) -> float | None:
    """When the first picture was shown that was captured after the link broke off and of which something arrived."""
    for line in shown:
        sent = index.of(line.unit, line.offset)
        if line.arrived > 0 and sent is not None and sent.captured_at >= outage.start:
            return line.shown_at
    return None


def outage_figures(
    outage: Window, window: Window, stood: Sequence[tuple[float, float]], again: float | None
) -> dict[str, float | None]:
    """What an outage did to the picture; `again`: see new_again."""
    over = window.end if again is None else again
    met = [(since, until) for since, until in stood if since < over and until > outage.start]
    return {
        "start_s": round(outage.start - window.start, 3),
        "seconds": outage.seconds,
        "longest_freeze_s": round(longest(met), 3),
        "new_after_s": None if again is None else round(again - outage.end, 3),
    }
