"""How much mean IoU, how many maps a unit and how much parity a link that loses packets is best given. Pure.

Of what the rate holds, parity is the part that lost units are worth: for each unit length that the delay allows, and
each code, the model below says what mean IoU remains. It was fitted on training data; tests.bench.structure_loss
measures what comes of it, and the sender spends its rate by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from common.codec.contour.syntax import MAX_FRAMES

MAX_WINDOW_S = 1.0  # of a protected stream
HEADER_BYTES = 65  # IP and UDP 28, ours 29, of a protected stream 4, of a part of a map 4
FLOOR = 0.85  # the mean IoU that `cost` is told for
SLOPE = 13.0  # of the logarithm of the bits, by mean IoU, on street scenes; tables hardly become cheaper below .85
LOWEST = 0.4  # mean IoU below which the model says nothing
BRIEF_S = 0.03  # units shorter than some times this cost more bits
HARM = 0.5  # mean IoU that lost units cost, by their share; .1 to .3 on street scenes once the first keys are there,
# and .8 where they are not: those have parity of their own (sender.contours.share.START_PARITY)
SHARE = 0.7  # of the delay for a window of units; its parity may take the rest
MOST_PARITY = 5  # symbols to a source symbol
LEAST_SPREAD_S = 0.05


@dataclass(frozen=True, slots=True)
class Protection:
    """What a stream of contours should be sent with."""

    floor: float  # mean IoU that the encoder aims at
    period: int  # maps in a unit
    window_s: float  # that share a code; one unit where that is longer
    spread_s: float  # over which its parity may leave
    overhead: float  # parity symbols to a source symbol
    residual: float  # share of the units that will be lost nevertheless


def protection(
    loss: float, rate: float, delay_s: float, fps: float, cost: float, highest: float = FLOOR
) -> Protection:
    """For a link that loses `loss` (0..1) of the packets and carries `rate` wire bytes a second of contours and parity,
    at `fps` maps a second. `delay_s`: from the capture of a unit's first map to when that is shown, less what the link
    takes. `cost`: payload bytes a second that a mean IoU of FLOOR takes, as `cost_of` tells. Raises ValueError."""
    for name, value, valid in (
        ("loss", loss, 0 <= loss <= 1),
        ("rate", rate, rate > 0),
        ("delay_s", delay_s, delay_s > 0),
        ("fps", fps, fps > 0),
        ("cost", cost, cost > 0),
    ):
        if not valid:
            raise ValueError(f"{name}: is out of range (got {value})")
    best: tuple[float, Protection] | None = None
    for period in range(1, MAX_FRAMES + 1):
        unit = period / fps
        if period > 1 and unit > delay_s:
            break
        window = max(unit, min(MAX_WINDOW_S, SHARE * delay_s))
        needed = max(1, int(window / unit + 1e-6))
        in_time = period == 1 or unit <= SHARE * delay_s + 1e-9
        for count in range(needed, needed * (1 + (MOST_PARITY if in_time else 0)) + 1):
            payload = rate * needed / count - HEADER_BYTES / unit
            if payload <= 0:
                break
            floor = FLOOR + math.log(payload / (cost * (1 + BRIEF_S / unit))) / SLOPE
            floor = min(highest, max(LOWEST, floor))
            residual = lost(needed, count, loss)
            score = floor - HARM * residual
            if best is None or score > best[0] + 1e-9:
                overhead = count / needed - 1
                spread = max(LEAST_SPREAD_S, delay_s - window)
                best = score, Protection(floor, period, min(MAX_WINDOW_S, window), spread, overhead, residual)
    if best is None:  # not even headers fit: long units, nothing beside them
        longest = max(1, min(MAX_FRAMES, int(delay_s * fps)))
        window = min(MAX_WINDOW_S, max(longest / fps, SHARE * delay_s))
        return Protection(LOWEST, longest, window, LEAST_SPREAD_S, 0.0, loss)
    return best[1]


def cost_of(payload: float, floor: float) -> float:
    """Payload bytes a second that a mean IoU of FLOOR would take, where `floor` takes `payload`."""
    return payload * math.exp(SLOPE * (FLOOR - floor))


def lost(needed: int, count: int, loss: float) -> float:
    """Share of source symbols that are neither received nor rebuilt, of a systematic code of so many symbols."""
    return sum(
        math.comb(count, arrived)
        * (1 - loss) ** arrived
        * loss ** (count - arrived)
        * (count - arrived)
        / count
        for arrived in range(needed)
    )
