"""Some macroblocks of a unit finer, the others not at all: what stands still is finished piece by piece.

With one step for all, a unit of what stands sends next to nothing at the finest step that fits, as all of it is known
so well already, and does not hold what a finer one would add."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.codec.texture.choose import STALE, Choice, Held, choose
from common.codec.texture.past import step_of
from common.codec.texture.syntax import FRESH, SKIPPED
from common.codec.texture.transform import Values

JUMPS = (2, 5, 9, 13, 18)  # numbers of steps below the one that fits, that are tried
LEVEL_BITS, BLOCK_BITS = 5.0, 6.0  # of a level of 1, and of a macroblock; roughly: bytes are written to see
FULL = 0.93  # of the room, that is near enough
TRIES = 4  # writings of one step

Written = Callable[[Choice], tuple[bytes, bool]]
"""The bytes of a choice, and whether a decoder takes it."""


class Fit(NamedTuple):
    """What may be sent: the number of the step, levels, bytes."""

    number: int
    choice: Choice
    body: bytes


def finer(
    coefficients: Sequence[Values],
    held: Held,
    worth: float,
    whole: Fit,
    room: float,
    written: Written,
    begin: int,
) -> tuple[Fit, int]:
    """Whichever saves more squared error: `whole`, or the macroblocks that bring most for their bits at a finer step.
    `begin`: the place in JUMPS around which is tried; returns the place that was best."""
    saved, _ = gains(coefficients, whole.number, held, whole.choice)
    best, found, place = float(saved.sum()), whole, 0
    for at in range(max(0, begin - 1), min(len(JUMPS), begin + 2)):
        number = whole.number - JUMPS[at]
        if number < 0:
            break
        gain, fit = _some(coefficients, number, held, worth, room, written)
        if fit is not None and gain > best:
            best, found, place = gain, fit, at
    return found, place


def _some(
    coefficients: Sequence[Values], number: int, held: Held, worth: float, room: float, written: Written
) -> tuple[float, Fit | None]:
    """The macroblocks that bring most at a step, as many as fit, and the squared error that they save."""
    choice = choose(coefficients, number, held, worth)
    gain, bits = gains(coefficients, number, held, choice)
    order = np.argsort(-(gain / bits), axis=None)
    count = int(np.searchsorted(np.cumsum(bits.ravel()[order]), 8 * room))
    best, fit = 0.0, None
    for _ in range(TRIES):
        keep = np.zeros(gain.size, bool)
        keep[order[:count]] = True
        part = only(choice, keep.reshape(gain.shape))
        body, allowed = written(part)
        fits = allowed and len(body) <= room
        if fits and (fit is None or len(body) > len(fit.body)):
            best, fit = float(gain.ravel()[order[:count]].sum()), Fit(number, part, body)
        if count == 0 or (fits and (len(body) > FULL * room or count == gain.size)):
            break
        count = min(gain.size, int(count * room * (1 + FULL) / 2 / len(body)))
    return best, fit


def gains(
    coefficients: Sequence[Values], number: int, held: Held, choice: Choice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(rows, columns): squared error that each macroblock saves beside sending nothing of it, and about how many bits
    it takes."""
    root = np.sqrt(np.float32(len(coefficients[0])))
    fresh = (choice.modes == FRESH)[..., None]
    saved, bits = np.zeros(choice.modes.shape), np.full(choice.modes.shape, BLOCK_BITS)
    for plane, values in enumerate(coefficients):
        levels, lacking = choice.values[plane], held.lacking[plane]
        shown = levels * np.float32(step_of(number, plane))
        first = values[0]
        unsent = lacking * STALE * first**2 + (1 - lacking) * (first - held.last[plane] * root) ** 2
        sent = (levels[0] != 0) | fresh
        sent[..., 0] = choice.sent[plane]
        after = (first - shown[0]) ** 2
        saved += np.where(sent, unsent - after, 0).sum(-1)
        saved += (values[1:] ** 2 - (values[1:] - shown[1:]) ** 2).sum((0, 3))
        size = np.abs(levels)
        bits += ((size > 0) * (LEVEL_BITS + 2 * np.log2(np.maximum(size, 1)))).sum((0, 3))
    return saved, bits


def only(choice: Choice, keep: NDArray[np.bool_]) -> Choice:
    """These macroblocks (rows, columns) alone; nothing of the others is sent."""
    values = [np.where(keep[..., None], one, 0) for one in choice.values]
    sent = [one & keep for one in choice.sent]
    return Choice(np.where(keep, choice.modes, SKIPPED), values, sent)
