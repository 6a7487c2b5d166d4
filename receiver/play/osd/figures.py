"""How each figure is written on the display: a label, few digits with their unit, a colour that warns.  Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from receiver.play.osd.canvas import AMBER, RED, WHITE, Colour

NONE = "-"


@dataclass(frozen=True, slots=True)
class Item:
    """One figure of receiver.status."""

    key: str
    label: str
    write: Callable[[float], str]
    amber: float = math.inf
    """From this value on it is a warning."""
    red: float = math.inf

    def made(self, figures: Mapping[str, object], labelled: bool = True) -> tuple[str, Colour]:
        """(text, colour); a dash where the figure is missing or no number."""
        value = figures.get(self.key)
        known = isinstance(value, int | float) and math.isfinite(value)
        number = float(value) if known and isinstance(value, int | float) else math.nan
        text = self.write(number) if known else NONE
        colour = RED if number >= self.red else AMBER if number >= self.amber else WHITE
        return (f"{self.label} {text}" if labelled and self.label else text), colour


def rate(kbps: float) -> str:
    if kbps >= 10_000:
        return f"{kbps / 1000:.1f} MBIT/S"
    return f"{kbps:.1f} KBIT/S" if kbps < 100 else f"{kbps:.0f} KBIT/S"


def share(value: float) -> str:
    """Per cent; a little is never shown as nothing."""
    return "<1 %" if 0 < value < 0.01 else f"{value * 100:.0f} %"


def milliseconds(value: float) -> str:
    return f"{value:.0f} MS" if abs(value) < 10_000 else f"{value / 1000:.1f} S"


LATENCY = Item("latency_ms", "LATENCY", milliseconds)
LOSS = Item("loss", "LOSS", share, 0.7, 0.9)
IMAGINED_SHARE = Item("imagined", "IMAGINED", share, 0.2, 0.5)

SHORT = (
    Item("rate_kbps", "", rate),
    LOSS,
    Item("latency_ms", "", milliseconds),
    IMAGINED_SHARE,
)
"""The small level."""

TABLE = (
    Item("rate_kbps", "RATE", rate),
    LOSS,
    Item("recovered", "RECOVERED", share),
    IMAGINED_SHARE,
    LATENCY,
    Item("playout_delay_ms", "PLAYOUT", milliseconds),
    Item("fps_shown", "FPS", lambda value: f"{value:.1f}"),
    Item("frozen_seconds", "FROZEN", lambda value: f"{value:.1f} S"),
    Item("drift_ppm", "DRIFT", lambda value: f"{value:+.0f} PPM"),
)
"""The full level."""

MAP_TABLE = (
    Item("contours_kbps", "CONTOURS", rate),
    Item("map_age_ms", "MAP AGE", milliseconds, 1000, 2000),
    Item("map_held", "MAP HELD", share, 0.3, 0.7),
    Item("map_lost", "MAP LOST", share, 0.1, 0.5),
)
"""Added to it while there is a map of classes."""
