"""The map of classes over the picture: outlines or a tint, and its legend.  Pure."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from common.codec.base import IMAGINED, RECEIVED
from common.maps.base import VOID, Legend
from receiver.contours.figures import shares
from receiver.contours.store import ShownMap
from receiver.play.osd.canvas import BACKING, LINE, PAD, WHITE, Canvas, Colour, Rgba, text_width

BLOCK = 16
HATCH = 12
"""Pixels from one line to the next."""

HATCHED: Colour = (255, 255, 255, 150)
CROSSED: Colour = (255, 255, 255, 151)
"""In a legend: what is held over, and what has been for long."""

FINE_SIDE = 400
"""Of maps with a longer side the outlines are twice as wide."""

UNKNOWN: Colour = (90, 98, 108, 255)
BLACK: Colour = (8, 10, 14, 255)
STEP, LEAST, MOST, USUAL = 10, 10, 100, 50
"""Of the tint's strength, per cent."""

Entry = tuple[str, Colour]


class MapMode(StrEnum):
    """How the map is shown; the key C goes from one to the next."""

    OFF = "off"
    OUTLINES = "outlines"
    TINT = "tint"

    @property
    def next(self) -> MapMode:
        order = list(MapMode)
        return order[(order.index(self) + 1) % len(order)]


def paint(shown: ShownMap, mode: MapMode, strength: int = USUAL) -> Rgba:
    """One pixel with alpha for each of the map's; what is held over is hatched, what is for long cross-hatched.
    `strength`: of the tint, per cent."""
    table = _table(shown.legend, round(255 * strength / 100) if mode is MapMode.TINT else 0)
    pixels: Rgba = table[shown.labels]
    _hatch(pixels, shown.trust)
    if mode is MapMode.OUTLINES:
        lines = _borders(shown.labels)
        pixels[lines] = table[shown.labels[lines]]
        pixels[lines, 3] = 255
    return pixels


def entries(shown: ShownMap) -> tuple[Entry, ...]:
    """Name and colour of the classes that are seen, in the legend's order, and how much of it is not new."""
    counts = cv2.calcHist([shown.labels], [0], None, [256], [0, 256])[:, 0]
    legend = shown.legend
    seen: list[Entry] = [
        (name, (*colour, 255))
        for name, colour, count in zip(legend.classes, legend.colours, counts, strict=False)
        if count
    ]
    if counts[len(legend.classes) :].any():
        seen.append(("not known", UNKNOWN))
    for share, name, look in zip(shares(shown.trust), ("held over", "lost"), (HATCHED, CROSSED), strict=True):
        if share:
            seen.append((f"{name} {max(1, round(100 * share))} %", look))
    return tuple(seen)


def list_entries(canvas: Canvas, seen: tuple[Entry, ...], right: int, top: int, bottom: int) -> None:
    """A list with its upper right corner at (right, top); what does not fit above `bottom` is told as a number."""
    room = max(1, (bottom - top) // LINE)
    shown = seen if len(seen) <= room else seen[: room - 1]
    rest = len(seen) - len(shown)
    rows: list[Entry] = [*shown, *([(f"+{rest} more", UNKNOWN)] if rest else [])]
    width = max(text_width(name) for name, _ in rows) + 15
    left = right - width
    canvas.box(left - PAD, top - PAD, width + 2 * PAD, len(rows) * LINE + PAD, BACKING)
    for number, (name, colour) in enumerate(rows):
        y = top + number * LINE
        swatch(canvas, left, y, colour)
        canvas.text(left + 13, y, name, backing=None)


def swatch(canvas: Canvas, x: int, y: int, colour: Colour) -> None:
    """A sample of a colour, 8 x 7 dots; of what is held over one with a line, of what is lost one with two."""
    canvas.box(x, y, 8, 7, WHITE)
    canvas.box(x + 1, y + 1, 6, 5, (*colour[:3], 255))
    for step in range(5):
        if colour in (HATCHED, CROSSED):
            canvas.box(x + 1 + step, y + 5 - step, 1, 1, BLACK)
        if colour == CROSSED:
            canvas.box(x + 1 + step, y + 1 + step, 1, 1, BLACK)


def _table(legend: Legend, alpha: int) -> npt.NDArray[np.uint8]:
    table = np.zeros((VOID + 1, 4), np.uint8)
    table[: len(legend.colours), :3] = legend.colours
    table[: len(legend.colours), 3] = alpha
    return table


def _borders(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Pixels on either side of a line between two classes."""
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    found = np.zeros(labels.shape, np.bool_)
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    if max(labels.shape) > FINE_SIDE:
        found = cv2.dilate(found.view(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    return found


def _hatch(pixels: Rgba, trust: npt.NDArray[np.uint8]) -> None:
    if not trust.size or not trust.any():
        return
    height, width = pixels.shape[:2]
    fine = trust.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
    y, x = np.ogrid[: fine.shape[0], : fine.shape[1]]
    lines = ((x + y) % HATCH < 2) & (fine != RECEIVED)
    lines |= ((x - y) % HATCH < 2) & (fine == IMAGINED)
    pixels[: fine.shape[0], : fine.shape[1]][lines] = HATCHED
