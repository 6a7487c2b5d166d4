"""From a decoded picture of a map to its labels: grey levels and palette entries by number, colours by the nearest."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from common.maps.base import VOID, Colour
from sender.maps.legend import UNKNOWN, Coding

GREY = ("gray", "gray10le", "gray12le", "gray16be", "gray16le")
BITS = ("monob", "monow")
SHADES = 5  # bits of each colour that are looked at; codecs lose the others anyway
FAR = 48.0
"""Colours further (of 442) from any of the legend's say nothing."""


class LabelReader:
    """Turns frames into labels. One thread."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._nearest: NDArray[np.uint8] | None = None

    def labels(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """(h, w), as large as the frame. Raises ValueError where the legend does not know what is in it."""
        kind = frame.format.name
        if kind == "pal8":
            return self._by_level(np.asarray(frame.to_ndarray()[0]))
        if kind in BITS:
            return self._by_level((frame.to_ndarray(format="gray") > 0).astype(np.uint8))
        if kind in GREY:
            return self._by_level(np.asarray(frame.to_ndarray()))
        return self._by_colour(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))

    def _by_level(self, levels: NDArray[np.generic]) -> NDArray[np.uint8]:
        if levels.dtype != np.uint8 and levels.size and int(levels.max()) > 255:
            raise ValueError(f"holds level {int(levels.max())}; labels are levels 0 to 255")
        found = self._coding.levels[levels.astype(np.uint8)]
        if found.size and found.min() == UNKNOWN:
            level = int(levels[found == UNKNOWN].flat[0])
            raise ValueError(
                f"holds level {level}, which is no class of the {len(self._coding.legend.classes)} of legend "
                f"{self._coding.legend.name}; give its classes with --maps.legend FILE"
            )
        return found.astype(np.uint8)

    def _by_colour(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self._coding.coloured:
            if (picture == picture[..., :1]).all():
                return self._by_level(picture[..., 0])
            raise ValueError(
                "holds colours, and no legend tells what they mean; give the colour of each class with "
                "--maps.legend FILE, or write the class numbers as grey levels"
            )
        if self._nearest is None:
            self._nearest = nearest_table(self._coding.legend.colours)
        red, green, blue = (picture[..., at].astype(np.uint16) >> (8 - SHADES) for at in range(3))
        return np.asarray(self._nearest[(red << 2 * SHADES) | (green << SHADES) | blue], np.uint8)


def nearest_table(colours: tuple[Colour, ...]) -> NDArray[np.uint8]:
    """The class of every colour cut to SHADES bits each; VOID where none is near. Raises ValueError for
    classes whose colours are the same when cut."""
    step = 1 << (8 - SHADES)
    middles = np.arange(1 << SHADES, dtype=np.float32) * step + (step - 1) / 2
    grid = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), -1).reshape(-1, 3)
    best = np.full(len(grid), FAR**2, np.float32)
    table = np.full(len(grid), VOID, np.uint8)
    for label, colour in enumerate(colours):
        distance = ((grid - np.asarray(colour, np.float32)) ** 2).sum(1)
        nearer = distance < best
        best[nearer], table[nearer] = distance[nearer], label
    # a class's own colour is its own, however near the middle of the cut another is
    owners: dict[int, int] = {}
    for label, (red, green, blue) in enumerate(colours):
        place = ((red // step) << 2 * SHADES) | ((green // step) << SHADES) | (blue // step)
        if place in owners:
            raise ValueError(f"colours: classes {owners[place]} and {label} are too alike to tell apart")
        owners[place] = label
        table[place] = label
    return table
