"""How figures are written in the terminal: short, with their unit, a dash for what is not known.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

NONE = "-"
BARS = "▁▂▃▄▅▆▇█"


def written(value: float, unit: str) -> str:
    """The figure with its unit: `bit/s`, `share`, `s` (a short time), `span` (a long one), `bytes`, or one as it is."""
    if not math.isfinite(value):
        return NONE
    match unit:
        case "bit/s":
            return f"{value / 1e6:.2f} Mbit/s" if value >= 1e6 else f"{value / 1e3:.1f} kbit/s"
        case "share":
            return "<0.1 %" if 0 < value < 0.001 else f"{value * 100:.1f} %"
        case "s":
            return (
                f"{value * 1000:.1f} ms"
                if value < 0.1
                else f"{value * 1000:.0f} ms"
                if value < 10
                else f"{value:.1f} s"
            )
        case "span":
            return span(value)
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "":
            return count(value)
        case _:
            return f"{value:.1f} {unit}" if abs(value) < 1000 else f"{count(value)} {unit}"


def count(value: float) -> str:
    """A number of things, thousands set apart."""
    return f"{value:,.0f}".replace(",", " ")


def span(seconds: float) -> str:
    """A time as days and a clock: 0:07:05, 3 d 4:05:06."""
    total = max(0, int(seconds))
    days, hours, minutes = total // 86400, total // 3600 % 24, total // 60 % 60
    return (f"{days} d " if days else "") + f"{hours}:{minutes:02}:{total % 60:02}"


def sparkline(values: Sequence[float], width: int, top: float | None = None) -> str:
    """The last `width` values as bars, newest on the right, blank where there is none; `top`: the value of a full bar,
    None: the largest of them."""
    shown = list(values)[-width:] if width > 0 else []
    known = [value for value in shown if math.isfinite(value)]
    most = max(known, default=0.0) if top is None else top
    bars = "".join(
        " "
        if not math.isfinite(value)
        else BARS[min(len(BARS) - 1, max(0, int(value / most * len(BARS))))]
        if most > 0
        else BARS[0]
        for value in shown
    )
    return bars.rjust(width)
