"""The mark of a lost signal, drawn into the picture: grey, dark, and the words "SIGNAL LOST 0:07".

Pure.  It is for sinks without an overlay of their own; nobody shall take an old picture for a live one, in a recording
either.  The letters are five by seven dots, which need no font file and stay readable in small pictures.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from common.video import BLACK_LUMA, NEUTRAL_CHROMA, Picture, picture_size
from receiver.play.base import Shown, SignalState

TEXT_LUMA = 235
"""White of limited range."""

BRIGHTNESS, BEHIND_TEXT = 0.5, 0.2
"""What is left of the luma above black, in the picture and in the bar that the words stand on."""

WORDS = ("SIGNAL", "LOST")
WIDTH_SHARE, HEIGHT_SHARE = 0.8, 0.5
"""The words fill at most these shares of the picture."""

Dots = npt.NDArray[np.bool_]

COLUMNS, ROWS = 5, 7
GLYPHS = {  # seven rows of five dots, each row a number of base 32, the left dot its highest bit
    " ": (0, 0, 0, 0, 0, 0, 0),
    ":": (0, 4, 4, 0, 4, 4, 0),
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    "A": (14, 17, 17, 31, 17, 17, 17),
    "G": (14, 17, 16, 23, 17, 17, 15),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "L": (16, 16, 16, 16, 16, 16, 31),
    "N": (17, 25, 21, 19, 17, 17, 17),
    "O": (14, 17, 17, 17, 17, 17, 14),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "T": (31, 4, 4, 4, 4, 4, 4),
}


def marked(shown: Shown) -> Picture:
    """The picture as a sink without an overlay shows it: marked when the signal is lost, else as it is."""
    return mark(shown.picture, shown.silence) if shown.state is SignalState.LOST else shown.picture


def mark(picture: Picture, silence: float) -> Picture:
    """A new picture of the same size that tells the signal is lost; `silence`: seconds since the last packet."""
    width, height = picture_size(picture)
    out = np.full_like(picture, NEUTRAL_CHROMA)
    bright = np.maximum(picture[:height], BLACK_LUMA) - BLACK_LUMA
    luma = out[:height]
    luma[:] = BLACK_LUMA + bright * BRIGHTNESS
    dots = words(width, height, clock(silence))
    if dots is not None:
        rows, columns = dots.shape
        top, left = (height - rows) // 2, (width - columns) // 2
        place = luma[top : top + rows, left : left + columns]
        place[:] = BLACK_LUMA + bright[top : top + rows, left : left + columns] * BEHIND_TEXT
        place[dots] = TEXT_LUMA
    return out


def clock(seconds: float) -> str:
    """Seconds as minutes:seconds, with hours before them when there are any: 0:07, 12:34, 1:02:03."""
    total = max(0, int(seconds))
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@lru_cache(maxsize=8)
def words(width: int, height: int, time: str) -> Dots | None:
    """The words on a bar, on more lines where that doubles their size; None when the picture is too small for them."""
    one, two, three = (" ".join((*WORDS, time)),), (" ".join(WORDS), time), (*WORDS, time)
    best: Dots | None = None
    size = 0
    for lines in (one, two, three):
        dots = _lines(lines)
        scale = min(int(width * WIDTH_SHARE) // dots.shape[1], int(height * HEIGHT_SHARE) // dots.shape[0])
        if scale >= max(1, 2 * size):
            best, size = dots.repeat(scale, 0).repeat(scale, 1), scale
    return best


def _lines(lines: tuple[str, ...]) -> Dots:
    """The lines centred under each other, with a margin of two dots."""
    columns = max(len(line) for line in lines) * (COLUMNS + 1) + 3
    dots = np.zeros((len(lines) * (ROWS + 2) + 2, columns), np.bool_)
    for number, line in enumerate(lines):
        left = (columns - len(line) * (COLUMNS + 1) + 1) // 2
        top = 2 + number * (ROWS + 2)
        for character in line:
            rows = np.array(GLYPHS[character], np.uint8)[:, None]
            dots[top : top + ROWS, left : left + COLUMNS] = rows >> np.arange(COLUMNS - 1, -1, -1) & 1
            left += COLUMNS + 1
    return dots
