"""What a receiver knows of the picture beyond the unit: the spatial coefficients of the picture shown last."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.codec.texture.syntax import FRESH, SKIPPED, Levels
from common.codec.texture.transform import BLOCKS, Values, forward, from_time
from common.video import Picture

STEP, STEPS_AN_OCTAVE = 4.0, 7  # quantiser step of number 0, and how many numbers double it
STEPS = 64
CHROMA = 0.65  # times the step of luma
CONTRADICTS = (
    1.5  # steps between what is sent and what was held, from which on the rest of the block is not believed
)


SMOOTH = 3.0  # quantiser steps of a mean, between two blocks, that are taken to be no edge


def smoothing(number: int, frames: int) -> float:
    """Largest step between two blocks of a unit of so many pictures that is smoothed, for each sample of a side."""
    return SMOOTH * step_of(number, 0) / math.sqrt(frames) / BLOCKS[0]


def step_of(number: int, plane: int) -> float:
    """Size of the quantiser's step."""
    return float(STEP * 2.0 ** (number / STEPS_AN_OCTAVE) * (CHROMA if plane else 1.0))


def qp_of_levels(number: int, frames: int) -> float:
    """H.265's quantiser parameter that leaves as large an error in each of so many pictures: between that of the step,
    where all moves, and 3 log2(frames) less, where it is a mean's and all of them share it."""
    return 4.0 + 6.0 * math.log2(step_of(number, 0)) - 1.5 * math.log2(frames)


@dataclass(slots=True)
class Past:
    """For each plane (rows, columns, coefficients) of the last picture. (rows, columns): `known`, of which macroblocks
    something has ever arrived; `doubtful`, which may have changed unnoticed, in units that are missing."""

    last: list[Values]
    known: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]

    @classmethod
    def nothing(cls, rows: int, columns: int) -> Past:
        """Before anything has arrived: grey."""
        nowhere = np.zeros((rows, columns), bool)
        last = [np.zeros((rows, columns, side * side), np.float32) for side in BLOCKS]
        return cls(last, nowhere, nowhere.copy())

    def copy(self) -> Past:
        """One that changes by itself."""
        return Past([values.copy() for values in self.last], self.known.copy(), self.doubtful.copy())

    def miss(self) -> None:
        """A unit is missing."""
        self.doubtful[:] = True

    def show(self, picture: Picture) -> None:
        """A picture that needs nothing of what was before."""
        self.last = [values[0] for values in forward([picture])]
        self.known[:], self.doubtful[:] = True, False

    def follow(self, unit: Levels, number: int) -> list[Values]:
        """Spatial coefficients of each picture of the unit; the last picture is the new past."""
        modes = np.array(unit.modes)
        levels = [np.array(values, np.float32) for values in unit.values]
        sent = [values[0] != 0 for values in levels]
        for said, means in zip(sent, unit.sent, strict=True):
            said[..., 0] = np.array(means, bool)
        root = np.sqrt(np.float32(len(levels[0])))
        for plane, values in enumerate(levels):
            values *= np.float32(step_of(number, plane))
        wrong = np.zeros(modes.shape, bool)
        for plane, values in enumerate(levels):
            apart = np.abs(values[0] - self.last[plane] * root) > CONTRADICTS * step_of(number, plane)
            wrong |= (sent[plane] & apart).any(-1)
        wrong &= self.doubtful
        frames = []
        for plane, values in enumerate(levels):
            held = self.last[plane] * root * (modes != FRESH)[..., None]
            held[wrong, 1:] = 0
            values[0] = np.where(sent[plane], values[0], held)
            spatial = from_time(values)
            self.last[plane] = spatial[-1].copy()
            frames.append(spatial)
        self.known |= modes != SKIPPED
        self.doubtful &= (modes != FRESH) & ~np.array(unit.sent[0], bool)
        return frames
