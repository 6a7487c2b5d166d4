"""The map of classes over the picture: outlines or a tint, and its legend.  Pure."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from common.codec.base import IMAGINED, RECEIVED, RECOVERED
from common.maps.base import VOID, Legend
from receiver.contours.store import ShownMap
from receiver.play.osd.canvas import LINE, PAD, WHITE, Canvas, Colour, Rgba, text_width

BLOCK = 16
HATCH = 12
"""Pixels from one line to the next."""

HATCHED: Colour = (255, 255, 255, 150)
UNKNOWN: Colour = (90, 98, 108, 255)
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
    if mode is MapMode.OUTLINES:
        pixels[_borders(shown.labels), 3] = 255
    _hatch(pixels, shown.trust)
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
    for trust, name in ((RECOVERED, "held over"), (IMAGINED, "lost")):
        share = float((shown.trust == trust).mean()) if shown.trust.size else 0.0
        if share:
            seen.append((f"{name} {max(1, round(100 * share))} %", HATCHED))
    return tuple(seen)


def list_entries(canvas: Canvas, seen: tuple[Entry, ...], right: int, top: int, bottom: int) -> None:
    """A list with its upper right corner at (right, top); what does not fit above `bottom` is told as a number."""
    room = max(1, (bottom - top) // LINE)
    shown = seen if len(seen) <= room else seen[: room - 1]
    rest = len(seen) - len(shown)
    rows: list[Entry] = [*shown, *([(f"+{rest} more", UNKNOWN)] if rest else [])]
    width = max(text_width(name) for name, _ in rows) + 15
    left = right - width
    canvas.box(left - PAD, top - PAD, width + 2 * PAD, len(rows) * LINE + PAD, (8, 10, 14, 165))
    for number, (name, colour) in enumerate(rows):
        y = top + number * LINE
        canvas.box(left, y, 8, 7, WHITE)
        canvas.box(left + 1, y + 1, 6, 5, (*colour[:3], 255))
        if colour == HATCHED:
            for step in range(5):
                canvas.box(left + 1 + step, y + 5 - step, 1, 1, (8, 10, 14, 255))
        canvas.text(left + 13, y, name, backing=None)


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
