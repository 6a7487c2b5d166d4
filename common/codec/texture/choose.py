"""Which levels a unit sends at a given step: those that are worth their bits, over what receivers may have already.

Rate-distortion optimised quantisation over the few coefficients that are not small; bits are those of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.codec.contour.coder import ONE
from common.codec.texture import syntax, tables
from common.codec.texture.past import step_of
from common.codec.texture.syntax import (
    AROUND,
    BANDS,
    FRESH,
    HELD,
    KINDS,
    LARGE,
    SKIPPED,
    TIME,
    TIMES,
    ZERO,
    Levels,
)
from common.codec.texture.transform import BLOCKS, Values, scan

CALM_WORTH, MOVING_WORTH = 0.15, 0.068
"""Squared steps that a bit must bring: where all stands, as what is saved makes finer what stays; where all moves."""
MOVING = 4.0  # change from which on bits are cheaper, by its inverse
LEAST = 0.55  # steps below which a coefficient is not looked at
ROUNDING = 0.38
BLOCK_BITS, LATER_BITS = 2.5, 1.5  # of a block that has anything; more where its time is not the first
MEAN_BITS = (5.0, 2.0, 2.0)
HELD_BITS = 0.5
STALE = 1.5  # how much worse than nothing a past is that is not there
ROUNDS = 2


class Held(NamedTuple):
    """For each plane (rows, columns, coefficients): what a receiver shows that has everything, and the chance that
    another one lacks it."""

    last: Sequence[Values]
    lacking: Sequence[Values]


class Choice(NamedTuple):
    """Levels as arrays: `modes` (rows, columns), for each plane (T, rows, columns, coefficients) and, of the means,
    (rows, columns)."""

    modes: NDArray[np.int_]
    values: list[NDArray[np.int32]]
    sent: list[NDArray[np.bool_]]

    def levels(self) -> Levels:
        """As the syntax takes them."""
        return Levels(
            self.modes.tolist(),
            [v.tolist() for v in self.values],
            [s.astype(int).tolist() for s in self.sent],
        )


@lru_cache(maxsize=1)
def bits() -> NDArray[np.float64]:
    """(kind, time, band, around): bits of a coefficient that is not 0, over those of a 0, sign and end included."""
    zero = np.array(tables.zeros()[ZERO:LARGE], float).reshape(KINDS, TIMES, BANDS, AROUND) / ONE
    return np.asarray(np.log2(zero / (1 - zero)) + 1.7)


_CLASS = np.array([*syntax.QUANTISED, *[AROUND - 1] * 90])


def worth_of(change: float) -> float:
    """Squared steps that a bit must bring, by the mean change of a sample, see encoder.change."""
    return max(MOVING_WORTH, CALM_WORTH * min(1.0, MOVING / max(change, 1e-6)))


def choose(coefficients: Sequence[Values], number: int, held: Held, worth: float = CALM_WORTH) -> Choice:
    """The levels of a unit at step `number`; `worth`: squared steps that a bit must bring."""
    rows, columns = coefficients[0].shape[1:3]
    root = np.sqrt(len(coefficients[0]))
    fresh, kept = np.zeros((rows, columns)), np.zeros((rows, columns))  # cost of time 0 in squared steps
    parts = []
    for plane, values in enumerate(coefficients):
        step = step_of(number, plane)
        scaled = values / np.float32(step)
        past = np.asarray(held.last[plane] * np.float32(root / step))
        first, lacking = scaled[0], held.lacking[plane]
        unsent = lacking * STALE * first**2 + (1 - lacking) * (first - past) ** 2
        levels, gains, holding = _plane(scaled, unsent, int(plane > 0), worth)
        fresh += (first[..., 1:] ** 2).sum(-1) - gains + worth * MEAN_BITS[plane] + 1 / 12
        mean = np.rint(first[..., 0])
        mean_gain = unsent[..., 0] - (first[..., 0] - mean) ** 2 - worth * MEAN_BITS[plane]
        kept += unsent.sum(-1) - holding[1] - np.maximum(0, mean_gain)
        parts.append((levels, holding[0], mean.astype(np.int32), mean_gain > 0))
    holds = kept + worth * HELD_BITS < fresh
    return _merge(parts, holds)


def fewer(choice: Choice, times: int, kept: int) -> Choice:
    """The lowest temporal and spatial frequencies alone; with none of either nothing is sent."""
    if not (times and kept):
        nothing = [np.zeros_like(values) for values in choice.values]
        unsent = [np.zeros_like(sent) for sent in choice.sent]
        return Choice(np.full_like(choice.modes, SKIPPED), nothing, unsent)
    values = [one.copy() for one in choice.values]
    for one in values:
        one[times:] = 0
        one[..., kept:] = 0
    return Choice(choice.modes, values, choice.sent)


def _merge(
    parts: Sequence[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]],
    holds: NDArray[np.bool_],
) -> Choice:
    values, sent = [], []
    said = np.zeros(holds.shape, bool)
    for levels, first, mean, mean_sent in parts:
        levels[0][holds] = first[holds]
        send = ~holds | mean_sent
        levels[0, ..., 0] = np.where(send, mean, 0)
        said |= send | (levels != 0).any(axis=(0, 3))
        values.append(levels)
        sent.append(send)
    modes = np.where(holds, np.where(said, HELD, SKIPPED), FRESH)
    return Choice(modes, values, sent)


def _plane(
    scaled: Values, unsent: Values, kind: int, worth: float
) -> tuple[NDArray[np.int32], NDArray[np.float64], tuple[NDArray[np.int32], NDArray[np.float64]]]:
    """Levels without a past and what they gain at time 0 (rows, columns); and (levels of time 0, gain) with one."""
    magnitude = np.abs(scaled)
    size = np.maximum(1, np.floor(magnitude + ROUNDING))
    candidates = magnitude > LEAST
    candidates[0, ..., 0] = False
    at = np.nonzero(candidates)
    a, level = magnitude[at], size[at]
    gain = a**2 - (level - a) ** 2
    chosen, first = _select(scaled.shape, at, level, gain, kind, worth)
    levels = np.zeros(scaled.shape, np.int32)
    levels[at] = np.where(chosen > 0, np.sign(scaled[at]) * level, 0)
    zero = at[0] == 0
    gains = np.zeros(scaled.shape[1:3])
    np.add.at(gains, (at[1][zero], at[2][zero]), np.maximum(0, first)[zero])
    # time 0 over what is held
    place = tuple(axis[zero] for axis in at[1:])
    saved = unsent[place] - (level[zero] - a[zero]) ** 2
    keep, more = _select(scaled.shape, tuple(axis[zero] for axis in at), level[zero], saved, kind, worth)
    over = np.zeros(scaled.shape[1:], np.int32)
    over[place] = np.where(keep > 0, np.sign(scaled[0][place]) * level[zero], 0)
    holding = np.zeros(scaled.shape[1:3])
    np.add.at(holding, place[:2], np.maximum(0, more))
    return levels, gains, (over, holding)


def _select(
    shape: tuple[int, ...],
    at: tuple[NDArray[np.intp], ...],
    level: Values,
    gain: Values,
    kind: int,
    worth: float,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which candidates are worth it, and by how much, bits paid."""
    time, row, column, k = at
    around = scan(BLOCKS[kind])
    above, before = np.array(around.above)[k], np.array(around.before)[k]
    prices = bits()[kind, np.array(TIME)[time], np.array(around.band)[k]]
    padded = np.zeros((shape[0] + 1, shape[1] + 1, shape[2] + 1, shape[3] + 1), np.int16)
    left = gain - worth * (prices[:, 0] + 3 * np.log2(level))
    chosen = gain > worth * 6
    for _ in range(ROUNDS):
        padded[time + 1, row + 1, column + 1, k] = np.where(chosen, level, 0)
        sums = padded[time + 1, row, column + 1, k] + padded[time + 1, row + 1, column, k]
        sums = sums + 2 * padded[time, row + 1, column + 1, k]
        sums += padded[time + 1, row + 1, column + 1, above] + padded[time + 1, row + 1, column + 1, before]
        price = prices[np.arange(len(prices)), _CLASS[np.minimum(sums, len(_CLASS) - 1)]]
        left = gain - worth * (price + 3 * np.log2(level))
        chosen = left > 0
        blocks = np.zeros(shape[:3])
        np.add.at(blocks, (time, row, column), np.maximum(0, left))
        chosen &= blocks[time, row, column] > worth * (BLOCK_BITS + LATER_BITS * (time > 0))
    return chosen, np.where(chosen, left, 0.0)
