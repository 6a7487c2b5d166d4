"""The mark of a lost signal, drawn into the picture: grey, dark, and the words "SIGNAL LOST 0:07".

Pure.  It is for sinks without an overlay of their own; nobody shall take an old picture for a live one, in a recording
either.  The letters are five by seven dots, which need no font file and stay readable in small pictures.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from common.font import HEIGHT, PITCH, text_mask
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
    columns = max(map(len, lines)) * PITCH + 3
    dots = np.zeros((len(lines) * (HEIGHT + 2) + 2, columns), np.bool_)
    for number, line in enumerate(lines):
        left = (columns - len(line) * PITCH + 1) // 2
        top = 2 + number * (HEIGHT + 2)
        dots[top : top + HEIGHT, left : left + len(line) * PITCH] = text_mask(line)
    return dots
