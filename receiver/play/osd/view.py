"""What the on-screen display shows, and where.  Pure: `draw` turns a `View` into a picture with alpha.

Figures are named and placed as on the displays that pilots know (WFB-ng, OpenIPC, DJI): state, sender and REC at the
top, the link at the bottom or, at the full level, in a table on the left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from common.codec.base import IMAGINED, RECOVERED
from common.font import HEIGHT, plain
from receiver.play.base import SignalState
from receiver.play.mark import clock
from receiver.play.osd.canvas import (
    AMBER,
    BACKING,
    DIM,
    GREEN,
    LINE,
    PAD,
    PANEL,
    RED,
    WHITE,
    Canvas,
    Colour,
    Rgba,
    text_width,
)
from receiver.play.osd.classes import Entry, list_entries
from receiver.play.osd.figures import MAP_TABLE, SHORT, TABLE, Item
from receiver.play.osd.tint import TINTS

MARGIN = 5
MAX_TEXT = 200
"""Letters of a text from outside; more would not fit anyway."""

KEYS = (
    ("T", "TRUST: TINT WHAT WAS NOT RECEIVED"),
    ("C", "CLASSES: OUTLINES, TINT, OFF"),
    ("+", "MORE OF THE TINT (-: LESS)"),
    ("O", "FIGURES: OFF, SMALL, FULL"),
    ("S", "SNAPSHOT TO A PNG FILE"),
    ("F", "FULL SCREEN"),
    ("H", "THIS HELP"),
    ("Q", "QUIT"),
)
LEGEND = ((RECOVERED, "RECOVERED"), (IMAGINED, "IMAGINED"))
HISTORIES = (("rate_kbps", "RATE", 0.0), ("loss", "LOSS", 1.0))
"""Key, label, and the value of a full bar (0: the largest of them)."""
HISTORY_LENGTH = 60
BAR_HEIGHT = 12


class Level(StrEnum):
    """How much is shown; the key O goes from one to the next."""

    OFF = "off"
    SMALL = "small"
    FULL = "full"

    @property
    def next(self) -> Level:
        order = list(Level)
        return order[(order.index(self) + 1) % len(order)]


@dataclass(frozen=True, slots=True)
class View:
    """All that a drawing depends on."""

    level: Level
    state: SignalState = SignalState.WAITING
    silence: float = 0.0
    """Seconds since the last packet when the signal is lost."""
    figures: Mapping[str, object] = field(default_factory=dict)
    """What receiver.status tells; whatever is missing is left out or shown as a dash."""
    picture: str = ""
    """Size and nominal rate, such as `256X256 15`."""
    overlay: bool = False
    classes: tuple[Entry, ...] = ()
    """Of the map of classes, as far as it is shown."""
    help: bool = False
    mute: bool = False
    """The window plays no sound."""
    notice: str = ""
    """An answer to a key, shown for a while."""
    address: str = ""
    """Where the receiver listens, told while nothing comes."""
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """One value a second, oldest first, by key of HISTORIES."""


def dot_size(width: int, height: int, scale: float = 1.0) -> int:
    """Pixels of a dot in a window of so many pixels: letters are about a thirtieth of its height."""
    return max(1, round(min(width, height * 4 / 3) / 380 * scale))


def draw(view: View, width: int, height: int) -> Rgba:
    """The display for a window of `width` x `height` dots."""
    canvas = Canvas(max(1, width), max(1, height))
    if view.state is SignalState.WAITING:
        _waiting(canvas, view)
    if view.level is not Level.OFF:
        _top(canvas, view)
        bottom = _bottom(canvas, view)
        if view.level is Level.FULL and view.state is not SignalState.LOST:
            _table(canvas, view)
    else:
        bottom = canvas.height - MARGIN
    if view.state is SignalState.LIVE:
        top = _legend(canvas, bottom) if view.overlay else bottom
        if view.classes:
            list_entries(canvas, view.classes, canvas.width - MARGIN, MARGIN + LINE + 5, top - PAD)
    if view.help:
        _help(canvas)
    if view.notice:
        _centred(canvas, canvas.height * 3 // 4, view.notice, AMBER)
    return canvas.pixels


def _waiting(canvas: Canvas, view: View) -> None:
    dot = 2 if text_width("WAITING FOR SIGNAL", 2) + 2 * MARGIN <= canvas.width else 1
    top = canvas.height // 2 - LINE * dot
    _centred(canvas, top, "WAITING FOR SIGNAL", WHITE, dot)
    lines = [f"LISTENING AT UDP {view.address}"] if view.address else []
    for number, line in enumerate([*lines, "H: KEYS"]):
        _centred(canvas, top + LINE * dot + 4 + number * LINE, line, DIM)


def _top(canvas: Canvas, view: View) -> None:
    """State and sender on the left, what is wrong with the sound and REC on the right."""
    text, colour = {
        SignalState.WAITING: ("NO SIGNAL", AMBER),
        SignalState.LIVE: ("LIVE", GREEN),
        SignalState.LOST: (f"LOST {clock(view.silence)}", RED),
    }[view.state]
    canvas.text(MARGIN, MARGIN, text, colour)
    left = MARGIN + text_width(text + "  ") + 1
    recording = bool(view.figures.get("recording"))
    right = canvas.width - MARGIN - (text_width("   REC") if recording else 0)
    sound, colour = _sound(view)
    if sound:
        right -= text_width(sound)
        canvas.text(right, MARGIN, sound, colour)
        right -= text_width("  ")
    name = _outside(view.figures.get("sender"), right - left)
    canvas.text(left, MARGIN, name)
    if recording:
        x = canvas.width - MARGIN - text_width("  REC")
        canvas.text(x, MARGIN, "  REC")
        canvas.disc(x, MARGIN, HEIGHT, RED)


def _sound(view: View) -> tuple[str, Colour]:
    """What is wrong with sound that the sender announces; nothing while it is heard."""
    if not view.figures.get("sound") or view.state is not SignalState.LIVE:
        return "", DIM
    if not view.figures.get("audio") or view.figures.get("audio_buffer_ms") == 0:
        return "NO SOUND", AMBER
    return ("MUTED", DIM) if view.mute else ("", DIM)


def _bottom(canvas: Canvas, view: View) -> int:
    """The operator's text and, at the small level, the figures; returns the first row that is taken."""
    y = canvas.height - MARGIN - HEIGHT
    items: tuple[Item, ...] = SHORT if view.level is Level.SMALL and view.state is SignalState.LIVE else ()
    if view.state is SignalState.LOST:  # shares of nothing would mislead, and the mark needs the room
        items = SHORT[:1]
    if items:
        pieces = [*(item.made(view.figures) for item in items), *_decoder(view)]
        for line in reversed(_packed(pieces, canvas.width - 2 * MARGIN)):
            x = MARGIN
            for text, colour in line:
                canvas.text(x, y, text, colour)
                x += text_width(text + "  ") + 1
            y -= LINE + 1
    text = _outside(view.figures.get("text"), canvas.width - 2 * MARGIN)
    if text:
        _centred(canvas, y, text, WHITE)
        y -= LINE
    return y + HEIGHT


Piece = tuple[str, Colour]


def _decoder(view: View) -> list[Piece]:
    """What shows the picture, where there is more than one way."""
    text = view.figures.get("decoder_short")
    if not isinstance(text, str):
        return []
    return [(plain(text), AMBER if view.figures.get("decoder_slow") else WHITE)]


def _packed(pieces: Sequence[Piece], width: int) -> list[list[Piece]]:
    """The pieces in as few lines as they fit into."""
    lines: list[list[Piece]] = []
    left = 0
    for piece in pieces:
        need = text_width(piece[0] + "  ") + 1
        if not lines or need - 2 * 6 > left:
            lines.append([])
            left = width
        lines[-1].append(piece)
        left -= need
    return lines


def _table(canvas: Canvas, view: View) -> None:
    """Labels and values under the state, then a minute of rate and loss as bars."""
    y = MARGIN + LINE + 5
    items = TABLE + MAP_TABLE if view.figures.get("map") else TABLE
    rows = [(item.label, *item.made(view.figures, labelled=False)) for item in items]
    rows += [("DECODER", *piece) for piece in _decoder(view)]
    rows.append(("PICTURE", view.picture or "-", WHITE))
    column = MARGIN + max(text_width(label) for label, _, _ in rows) + 7
    width = max(HISTORY_LENGTH, *(text_width(value) for _, value, _ in rows))
    height = len(rows) * LINE + len(HISTORIES) * (BAR_HEIGHT + 4)
    canvas.box(MARGIN - PAD, y - PAD, column + width - MARGIN + 2 * PAD, height + PAD, BACKING)
    for label, value, colour in rows:
        canvas.text(MARGIN, y, label, DIM, backing=None)
        canvas.text(column, y, value, colour, backing=None)
        y += LINE
    for key, label, top in HISTORIES:
        values = list(view.history.get(key, ()))[-HISTORY_LENGTH:]
        known = [value for value in values if value == value]
        canvas.text(MARGIN, y + BAR_HEIGHT - HEIGHT, label, DIM, backing=None)
        padded = [float("nan")] * (HISTORY_LENGTH - len(values)) + values
        canvas.bars(column, y, BAR_HEIGHT, padded, top or max(known, default=0.0), WHITE)
        y += BAR_HEIGHT + 4


def _legend(canvas: Canvas, bottom: int) -> int:
    """What the colours of the tint mean, on the right above what is at the bottom; returns its first row."""
    width = max(text_width(label) for _, label in LEGEND) + 18
    height = len(LEGEND) * LINE + 4
    x, y = canvas.width - MARGIN - width, bottom - height
    canvas.box(x, y, width, height, BACKING)
    for number, (trust, label) in enumerate(LEGEND):
        row = y + 4 + number * LINE
        canvas.box(x + 4, row, 7, 7, (*TINTS[trust][:3], 255))
        canvas.text(x + 15, row, label, backing=None)
    return y


def _help(canvas: Canvas) -> None:
    rows = [f"{key}  {text}" for key, text in KEYS]
    width = max(map(text_width, rows)) + 2 * MARGIN
    height = len(rows) * LINE + 2 * MARGIN - (LINE - HEIGHT)
    x, y = max(0, (canvas.width - width) // 2), max(0, (canvas.height - height) // 2)
    canvas.box(x, y, width, height, PANEL)
    for number, row in enumerate(rows):
        canvas.text(x + MARGIN, y + MARGIN + number * LINE, row, backing=None)
        canvas.text(x + MARGIN, y + MARGIN + number * LINE, row[0], AMBER, backing=None)


def _centred(canvas: Canvas, y: int, text: str, colour: Colour, dot: int = 1) -> None:
    canvas.text(max(1, (canvas.width - text_width(text, dot)) // 2), y, text, colour, dot)


def _outside(text: object, width: int) -> str:
    """A text that others wrote, in letters that the font has, cut to `width` dots."""
    if not isinstance(text, str):
        return ""
    letters = plain(text[:MAX_TEXT]).strip()
    fitting = max(0, (width + 1) // 6)
    return letters if len(letters) <= fitting else letters[: max(0, fitting - 2)] + ".."
