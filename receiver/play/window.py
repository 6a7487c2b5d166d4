"""A desktop window with an on-screen display: H lists its keys."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from common.clock import Clock, monotonic
from common.log import Log
from common.video import picture_size
from receiver.audio.block import SoundBlock
from receiver.config import WindowSection
from receiver.play.base import Shown, SignalState, SinkError, ThreadedSink
from receiver.play.maps_seen import MapsSeen
from receiver.play.mark import marked
from receiver.play.osd.tint import TINTS, tint
from receiver.play.osd.view import HISTORIES, HISTORY_LENGTH, LEGEND, Level, View, dot_size, draw
from receiver.play.snapshot import Overlay, save
from receiver.play.speaker import Speaker

if TYPE_CHECKING:
    from receiver.play.screen import Screen

TITLE = "semcast"

OSD_S = 0.2
"""The display is drawn this often, not with every picture."""

HISTORY_S = 1.0
NOTICE_S = 4.0
LEGEND_ENTRIES = tuple((name.lower(), TINTS[trust]) for trust, name in LEGEND)

log = Log("play.window")


class WindowSink(ThreadedSink):
    """SDL wants one thread for everything: window, events and drawing all live on the sink's thread.

    The figures are read on the event loop, five times a second, and handed over as a mapping that nobody changes.
    """

    idle_timeout = 0.05

    def __init__(
        self,
        status: Callable[[], Mapping[str, object]],
        settings: WindowSection,
        address: str = "",
        clock: Clock = monotonic,
        mute: bool = False,
    ) -> None:
        """`status`: what receiver.status tells, called on the event loop; `address`: where the receiver listens;
        `mute`: no sound."""
        super().__init__("window")
        self.speaker = Speaker(mute)
        self.level = Level(settings.osd)
        self.overlay = self.help = False
        self.map = MapsSeen()
        self.notice = ""
        self._status = status
        self._settings = settings
        self._address = address
        self._clock = clock
        self._figures: Mapping[str, object] = {}
        self._reader: asyncio.Task[None] | None = None
        self._screen: Screen | None = None
        self._last: Shown | None = None
        self._view: tuple[View, tuple[int, int]] | None = None
        self._history = {key: deque[float](maxlen=HISTORY_LENGTH) for key, _, _ in HISTORIES}
        self._osd_at = self._history_at = self._notice_until = 0.0

    async def start(self) -> None:
        try:
            with warnings.catch_warnings(action="ignore"):  # it tells where its library is from
                import sdl2  # noqa: F401
        except ImportError as error:
            raise SinkError(
                f"window: needs SDL 2 ({error}); install it with: pip install 'semcast[window]'"
            ) from None
        self._reader = asyncio.create_task(self._read(), name="window-status")
        await super().start()

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        await super().close()

    async def _read(self) -> None:
        try:
            while not self.ended:
                self._figures = dict(self._status())
                await asyncio.sleep(OSD_S)
        except Exception as error:  # the picture goes on without them
            self._figures = {}
            log.exception("no figures for the window", error)

    def opened(self) -> None:
        from receiver.play.screen import Screen

        self._screen = Screen(title(None), self._settings.full_screen)
        self.speaker.open()
        self._refresh()

    def hear(self, block: SoundBlock) -> None:
        self.speaker.hear(block)

    def write(self, shown: Shown) -> None:
        screen = self._window
        last, self._last = self._last, shown
        if last is None:
            screen.resize(*self._start_size(shown))
        screen.picture(marked(shown))
        self._classes()
        self._tint()
        changed = last is None or shown.state is not last.state
        if changed or int(shown.silence) != int(last.silence if last else 0):
            self._osd_at = 0.0
        if changed or shown.number % 8 == 0:
            screen.title(title(shown))
        if not self._refresh():
            screen.present()

    def idle(self) -> None:
        self._refresh()

    def finish(self) -> None:
        self.speaker.close()
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    @property
    def _window(self) -> Screen:
        assert self._screen is not None
        return self._screen

    def _start_size(self, shown: Shown) -> tuple[int, int]:
        from receiver.play.screen import START_SIDE

        width, height = picture_size(shown.picture)
        scale = self._settings.scale
        by = START_SIDE / max(width, height) if isinstance(scale, str) else scale
        return max(1, round(width * by)), max(1, round(height * by))

    def _refresh(self) -> bool:
        """Take in the keys and, when it is time, draw the display anew; whether the window was drawn."""
        touched = self._keys()
        now = self._clock()
        if not touched and now < self._osd_at:
            return False
        self._osd_at = now + OSD_S
        if now >= self._notice_until:
            self.notice = ""
        self._remember(now)
        width, height = self._window.size
        dot = dot_size(width, height, self._settings.osd_scale)
        size = (-(-width // dot), -(-height // dot))
        view = self._now()
        if self._view != (view, size):
            self._window.osd(draw(view, *size), dot)
            self._view = (view, size)
        elif not touched:
            return False
        self._window.present()
        return True

    def _now(self) -> View:
        shown = self._last
        picture = ""
        if shown is not None:
            picture = "{}X{}".format(*picture_size(shown.picture)) + f" {shown.fps:g} FPS"
        return View(
            level=self.level,
            state=SignalState.WAITING if shown is None else shown.state,
            silence=0.0 if shown is None else float(int(shown.silence)),
            figures=self._figures,
            picture=picture,
            overlay=self.overlay,
            classes=self.map.entries,
            help=self.help,
            mute=self.speaker.mute,
            notice=self.notice,
            address=self._address,
            history={key: tuple(values) for key, values in self._history.items()},
        )

    def _remember(self, now: float) -> None:
        if now < self._history_at or self._last is None:
            return
        self._history_at = now + HISTORY_S
        for key, values in self._history.items():
            value = self._figures.get(key)
            values.append(float(value) if isinstance(value, int | float) else float("nan"))

    def _keys(self) -> bool:
        """Do what the keys say; whether anything has to be drawn for it."""
        touched = False
        for key in self._window.pressed():
            touched = True
            self._key(key)
        return touched

    def _key(self, key: str) -> None:
        match key:
            case "q" | "escape" | "closed":
                raise BrokenPipeError("closed by its user")
            case "t":
                self.overlay = not self.overlay
                self._tint()
            case "c":
                self._tell(self.map.next(self._last))
                self._classes()
            case "+" | "=" | "keypad +":
                self.map.stronger(1)
                self._classes()
            case "-" | "keypad -":
                self.map.stronger(-1)
                self._classes()
            case "f" | "f11":
                self._window.toggle_full_screen()
            case "o":
                self.level = self.level.next
            case "h" | "?" | "/" | "f1":
                self.help = not self.help
            case "s":
                self._snapshot()

    def _classes(self) -> None:
        changed, pixels = self.map.look(self._last)
        if changed:
            self._window.classes(pixels)

    def _tint(self) -> None:
        """Of what is on show; a lost signal has a mark of its own."""
        last = self._last
        self._window.tint(tint(last.trust) if last is not None and self._tinted(last) else None)

    def _tinted(self, shown: Shown) -> bool:
        return self.overlay and shown.state is SignalState.LIVE

    def _snapshot(self) -> None:
        """What is on show: the picture, marked when the signal is lost as recordings are, and what is laid over it with
        its legend below; without the display."""
        if self._last is None:
            self._tell("NO PICTURE YET")
            return
        folder, last = self._settings.snapshots, self._last
        layers = [self.map.pixels, tint(last.trust) if self._tinted(last) else None]
        rows = (*self.map.entries, *(LEGEND_ENTRIES if self._tinted(last) else ()))
        laid = Overlay([layer for layer in layers if layer is not None], rows)
        try:
            path = save(marked(last), folder, datetime.fromtimestamp(time.time()), laid)
        except OSError as error:
            log.error("snapshot cannot be written", folder=str(folder), reason=error.strerror or str(error))
            self._tell(f"NO SNAPSHOT: {(error.strerror or 'ERROR').upper()}")
            return
        log.info("snapshot written", path=str(path))
        self._tell(f"SAVED {path.name.upper()}")

    def _tell(self, notice: str) -> None:
        self.notice = notice
        self._notice_until = self._clock() + NOTICE_S


def title(shown: Shown | None) -> str:
    """What the window's title bar says."""
    if shown is None or shown.state is SignalState.WAITING:
        return f"{TITLE}: waiting for signal"
    if shown.state is SignalState.LOST:
        return f"{TITLE}: signal lost"
    latency = max(0.0, shown.shown_at - shown.captured_at)
    return f"{TITLE}: live, {round(latency * 1000)} ms"
