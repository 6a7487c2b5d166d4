"""The floor that a wire rate holds, found by encoding: what a sender's control of the rate comes to, with hindsight.

A sender steers its floor from unit to unit (sender.contours.share.Aim) and never lets a packet go beyond its rate. The
bench asks for one floor throughout instead, so that a short sequence is not a measurement of how fast that steering is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from common.codec.contour.protect_rule import SLOPE

STEP = 0.005  # of the floors that are tried: the same ones in every search, so that encodings are shared
LOWEST, HIGHEST = 0.3, 0.9
MOST = 6  # encodings of a search
BEYOND = 2  # more, above the lowest floor that does not fit: what an encoder sends jumps by some percent
CLOSE = 0.985  # of the rate: a floor that takes so much of it is the one


def highest_within(cost: Callable[[float], float], rate: float, begin: float) -> float | None:
    """The highest floor from LOWEST to HIGHEST that was found to cost no more than `rate`, of at most MOST + BEYOND + 1
    that are tried, `begin` first; None where not even LOWEST does. `cost` tells what a floor costs, in units of the
    rate; it need not rise with every step of the floor."""
    last = round((HIGHEST - LOWEST) / STEP)
    known: dict[int, float] = {}
    fits, over = -1, last + 1  # the highest step that is known to fit; the lowest above it that does not
    step = min(last, max(0, _step(begin)))
    while over - fits > 1 and len(known) < MOST:
        known[step] = cost(_floor(step))
        if known[step] <= rate:
            fits = step
            if known[step] >= CLOSE * rate:
                break
        else:
            over = step
        step = min(over - 1, max(fits + 1, _guess(known, rate)))
    for step in range(over + 1, min(over + 1 + BEYOND, last + 1)):
        if known.get(fits, 0.0) >= CLOSE * rate:
            break
        known[step] = known[step] if step in known else cost(_floor(step))
        fits = step if known[step] <= rate else fits
    if fits < 0 and 0 not in known and cost(LOWEST) <= rate:
        fits = 0
    return _floor(fits) if fits >= 0 else None


def _guess(known: dict[int, float], rate: float) -> int:
    """Where the logarithm of the cost would meet the rate, by the slope between the two nearest steps."""
    near = sorted(known, key=lambda one: abs(math.log(known[one] / rate)))[:2]
    slope = SLOPE * STEP
    if len(near) == 2 and known[near[0]] != known[near[1]]:
        found = math.log(known[near[0]] / known[near[1]]) / (near[0] - near[1])
        slope = found if found > 0 else slope
    distance = math.log(math.sqrt(CLOSE) * rate / known[near[0]]) / max(slope, 0.2 * SLOPE * STEP)
    return near[0] + round(distance)


def _step(floor: float) -> int:
    return round((floor - LOWEST) / STEP)


def _floor(step: int) -> float:
    return round(LOWEST + step * STEP, 3)
