"""A unit as coefficients: DCT over time, then over blocks of each picture; and back. Orthonormal, float32.

What is computed here decides how a picture looks, never how bits are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.video import Picture, from_planes, planes

BLOCKS = (16, 8, 8)  # side of a block of luma, blue, red: together one macroblock
MIDDLE = 128.0

Values = NDArray[np.float32]


class Scan(NamedTuple):
    """The order of the coefficients of a block of one side, and what lies around each."""

    order: NDArray[np.intp]  # place in the block, row by row
    above: tuple[
        int, ...
    ]  # number of the coefficient of the next lower frequency down; the count where there is none
    before: tuple[int, ...]  # likewise across
    band: tuple[int, ...]  # 0..9


@lru_cache(maxsize=4)
def scan(side: int) -> Scan:
    """Diagonals, low frequencies first."""
    places = sorted(
        ((row, column) for row in range(side) for column in range(side)),
        key=lambda place: (sum(place), place[1] if sum(place) % 2 else place[0]),
    )
    number = {place: index for index, place in enumerate(places)}
    none = side * side
    return Scan(
        np.array([row * side + column for row, column in places]),
        tuple(number.get((row - 1, column), none) for row, column in places),
        tuple(number.get((row, column - 1), none) for row, column in places),
        tuple(min(9, r + c if r + c < 6 else 6 + (r + c - 6) // 3) for r, c in places),
    )


@lru_cache(maxsize=64)
def basis(count: int) -> Values:
    """(frequency, sample) of the orthonormal DCT-II."""
    frequency, sample = np.indices((count, count))
    rows = np.cos(np.pi * (sample + 0.5) * frequency / count) * np.sqrt(2 / count)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


def grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of macroblocks."""
    return -(-height // BLOCKS[0]), -(-width // BLOCKS[0])


def forward(pictures: Sequence[Picture]) -> list[Values]:
    """Of T pictures: for each plane (T, rows, columns, coefficients in the order of `scan`)."""
    return [
        over_time(_blocks(np.stack(plane).astype(np.float32) - MIDDLE, side))
        for plane, side in zip(zip(*map(planes, pictures), strict=True), BLOCKS, strict=True)
    ]


def over_time(frames: Values) -> Values:
    """Spatial coefficients of each picture -> those of time, the mean first."""
    return np.asarray(np.tensordot(basis(len(frames)), frames, 1), np.float32)


def from_time(coefficients: Values) -> Values:
    """Inverse of `over_time`."""
    return np.asarray(np.tensordot(basis(len(coefficients)).T, coefficients, 1), np.float32)


def _blocks(stack: Values, side: int) -> Values:
    count, height, width = stack.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(stack, ((0, 0), (0, rows * side - height), (0, columns * side - width)), mode="edge")
    cut = padded.reshape(count, rows, side, columns, side).transpose(0, 1, 3, 2, 4)
    turn = basis(side)
    return np.asarray((turn @ cut @ turn.T).reshape(count, rows, columns, side * side)[..., scan(side).order])


def to_pictures(frames: Sequence[Values], width: int, height: int, strength: float) -> list[Picture]:
    """Pictures from the spatial coefficients of each: for each plane (T, rows, columns, coefficients). Steps between
    blocks below `strength` times a side of 16 are smoothed."""
    shown = []
    for values, side, share in zip(frames, BLOCKS, (1, 2, 2), strict=True):
        count, rows, columns, _ = values.shape
        ordered = np.empty_like(values)
        ordered[..., scan(side).order] = values
        turn = basis(side)
        cut = turn.T @ ordered.reshape(count, rows, columns, side, side) @ turn
        whole = cut.transpose(0, 1, 3, 2, 4).reshape(count, rows * side, columns * side)
        plane = np.asarray(whole, np.float32)
        _smooth(plane, side, strength * BLOCKS[0] / side)
        _smooth(plane.swapaxes(1, 2), side, strength * BLOCKS[0] / side)
        plane = plane[:, : height // share, : width // share]
        shown.append(np.clip(np.rint(plane + MIDDLE), 0, 255).astype(np.uint8))
    return [from_planes(*parts) for parts in zip(*shown, strict=True)]


def _smooth(planes_: Values, side: int, strength: float) -> None:
    """Spreads the steps between blocks, along the last axis, over half a block to either side; in place."""
    ends = planes_[:, :, side::side], planes_[:, :, side - 1 : -1 : side]
    step = ends[0] - ends[1]
    step = np.where(np.abs(step) < strength, step, 0) / 2
    reach = side // 2
    for distance in range(reach):
        part = step * np.float32(1 - (distance + 0.5) / reach)
        planes_[:, :, side + distance :: side] -= part
        planes_[:, :, side - 1 - distance : -1 - distance : side] += part
