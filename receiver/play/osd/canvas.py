"""A small picture with alpha that text is drawn on.  Pure.

It is drawn in dots, each of which the window shows as a square of whole pixels: letters stay sharp at every size of the
window, and a large window costs no more than a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from common.font import HEIGHT, PITCH, text_mask

Rgba = npt.NDArray[np.uint8]
"""(H, W, 4): red, green, blue, alpha; alpha is not multiplied in."""
Colour = tuple[int, int, int, int]

WHITE: Colour = (255, 255, 255, 255)
DIM: Colour = (196, 206, 216, 255)
GREEN: Colour = (120, 235, 140, 255)
AMBER: Colour = (255, 200, 70, 255)
RED: Colour = (255, 96, 84, 255)
BACKING: Colour = (8, 10, 14, 165)
"""Behind every letter: white is read on it over bright, dark and busy pictures alike."""
PANEL: Colour = (8, 10, 14, 225)
"""Behind text that covers other text."""
PAD = 2
"""Dots of backing around a line."""

LINE = HEIGHT + 3
"""Dots from one line of text to the next."""

Mask = npt.NDArray[np.bool_]


class Canvas:
    """`pixels` is the result.  What lies outside is cut off, so that any text fits on any canvas."""

    def __init__(self, width: int, height: int) -> None:
        """`width`, `height`: in dots, at least 1."""
        self.width, self.height = width, height
        self.pixels: Rgba = np.zeros((height, width, 4), np.uint8)

    def text(
        self,
        x: int,
        y: int,
        text: str,
        colour: Colour = WHITE,
        dot: int = 1,
        backing: Colour | None = BACKING,
    ) -> None:
        """One line; (x, y): the upper left dot of its first letter; `backing`: None where there is one already."""
        if not text:
            return
        if backing is not None:
            self.box(x - PAD, y - PAD, text_width(text, dot) + 2 * PAD, HEIGHT * dot + 2 * PAD, backing)
        self._paint(x, y, _letters(text, dot), colour)

    def box(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        """A filled rectangle that replaces what is there."""
        self.pixels[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = colour

    def bars(self, x: int, y: int, height: int, values: Sequence[float], top: float, colour: Colour) -> None:
        """A bar one dot wide for each value; one of `top` or more is `height` dots high, nan leaves a gap."""
        self.box(x, y + height, len(values), 1, DIM)
        for column, value in enumerate(values):
            if value == value and top > 0:  # not nan
                dots = max(1, round(height * min(1.0, max(0.0, value / top))))
                self.box(x + column, y + height - dots, 1, dots, colour)

    def disc(self, x: int, y: int, width: int, colour: Colour) -> None:
        """A filled circle with its upper left corner at (x, y)."""
        far = np.abs(np.arange(width) - (width - 1) / 2) ** 2
        self._paint(x, y, far[:, None] + far <= (width / 2) ** 2, colour)

    def _paint(self, x: int, y: int, mask: Mask, colour: Colour) -> None:
        top, left = max(0, -y), max(0, -x)
        area = self.pixels[max(0, y) : max(0, y + mask.shape[0]), max(0, x) : max(0, x + mask.shape[1])]
        area[mask[top : top + area.shape[0], left : left + area.shape[1]]] = colour


def text_width(text: str, dot: int = 1) -> int:
    """Dots from the first to the last column of the text."""
    return max(0, len(text) * PITCH - 1) * dot


@lru_cache(maxsize=256)
def _letters(text: str, dot: int) -> Mask:
    return text_mask(text, dot)
