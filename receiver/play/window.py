"""A desktop window through SDL 2: F full screen, T trust overlay, Q or Esc closes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.codec.base import IMAGINED, RECOVERED
from common.video import Picture, picture_size, planes
from receiver.play.base import Shown, SignalState, SinkError, ThreadedSink, TrustMap
from receiver.play.mark import marked

TITLE = "semcast"
INITIAL_SIDE = 768
"""The longer side of the window at start; small pictures are scaled up."""

TINTS: Mapping[int, tuple[int, int, int, int]] = {
    RECOVERED: (255, 190, 60, 90),
    IMAGINED: (235, 80, 160, 110),
}
"""Overlay colours (red, green, blue, alpha); what was received stays untinted."""


class WindowSink(ThreadedSink):
    """SDL wants one thread for everything: window, events and drawing all live on the sink's thread."""

    idle_timeout = 0.05

    def __init__(self) -> None:
        super().__init__("window")
        self._sdl: Any = None
        self._window: Any = None
        self._renderer: Any = None
        self._texture: Any = None
        self._size = (0, 0)
        self._overlay = False
        self._full_screen = False
        self._last: Shown | None = None

    async def start(self) -> None:
        try:
            import sdl2
        except ImportError as error:
            raise SinkError(
                f"window: needs SDL 2 ({error}); install it with: pip install 'semcast[window]'"
            ) from None
        self._sdl = sdl2
        await super().start()

    def opened(self) -> None:
        sdl = self._sdl
        if sdl.SDL_Init(sdl.SDL_INIT_VIDEO) != 0:
            raise SinkError(f"window: no display ({self._error()}); set DISPLAY, or use --play web")
        sdl.SDL_SetHint(sdl.SDL_HINT_RENDER_SCALE_QUALITY, b"linear")
        flags = sdl.SDL_WINDOW_RESIZABLE | sdl.SDL_WINDOW_ALLOW_HIGHDPI
        centre = sdl.SDL_WINDOWPOS_CENTERED
        self._window = sdl.SDL_CreateWindow(
            title(None).encode(), centre, centre, INITIAL_SIDE, INITIAL_SIDE, flags
        )
        if not self._window:
            raise SinkError(f"window: cannot be opened: {self._error()}")
        self._renderer = sdl.SDL_CreateRenderer(self._window, -1, 0)
        if not self._renderer:
            raise SinkError(f"window: no renderer: {self._error()}")
        sdl.SDL_SetRenderDrawBlendMode(self._renderer, sdl.SDL_BLENDMODE_BLEND)
        self._draw()

    def write(self, shown: Shown) -> None:
        size = picture_size(shown.picture)
        if size != self._size:
            self._resize(*size)
        self._upload(marked(shown))
        if self._last is None or shown.number % 8 == 0 or shown.state is not self._last.state:
            self._sdl.SDL_SetWindowTitle(self._window, title(shown).encode())
        self._last = shown
        self._draw()
        self._events()

    def idle(self) -> None:
        self._events()

    def finish(self) -> None:
        sdl = self._sdl
        if self._texture:
            sdl.SDL_DestroyTexture(self._texture)
        if self._renderer:
            sdl.SDL_DestroyRenderer(self._renderer)
        if self._window:
            sdl.SDL_DestroyWindow(self._window)
        self._texture = self._renderer = self._window = None
        sdl.SDL_QuitSubSystem(sdl.SDL_INIT_VIDEO)

    def _error(self) -> str:
        return bytes(self._sdl.SDL_GetError()).decode(errors="replace")

    def _resize(self, width: int, height: int) -> None:
        sdl = self._sdl
        if self._texture:
            sdl.SDL_DestroyTexture(self._texture)
        self._texture = sdl.SDL_CreateTexture(
            self._renderer, sdl.SDL_PIXELFORMAT_IYUV, sdl.SDL_TEXTUREACCESS_STREAMING, width, height
        )
        if not self._texture:
            raise SinkError(f"window: no {width}x{height} texture: {self._error()}")
        sdl.SDL_RenderSetLogicalSize(self._renderer, width, height)
        if self._size == (0, 0):
            scale = INITIAL_SIDE / max(width, height)
            sdl.SDL_SetWindowSize(self._window, round(width * scale), round(height * scale))
        self._size = (width, height)

    def _upload(self, picture: Picture) -> None:
        pointer = ctypes.POINTER(ctypes.c_ubyte)
        arguments: list[Any] = []
        held = [np.ascontiguousarray(plane) for plane in planes(picture)]
        for plane in held:
            arguments += [plane.ctypes.data_as(pointer), plane.shape[1]]
        self._sdl.SDL_UpdateYUVTexture(self._texture, None, *arguments)

    def _draw(self) -> None:
        sdl = self._sdl
        sdl.SDL_SetRenderDrawColor(self._renderer, 14, 16, 20, 255)
        sdl.SDL_RenderClear(self._renderer)
        if self._texture:
            sdl.SDL_RenderCopy(self._renderer, self._texture, None, None)
        if self._overlay and self._last is not None:
            self._tint(self._last.trust)
        sdl.SDL_RenderPresent(self._renderer)

    def _tint(self, trust: TrustMap) -> None:
        sdl = self._sdl
        width, height = self._size
        rows, columns = trust.shape
        for value, colour in TINTS.items():
            cells = [
                sdl.SDL_Rect(
                    int(x * width // columns),
                    int(y * height // rows),
                    -(-width // columns),
                    -(-height // rows),
                )
                for y, x in np.argwhere(trust == value)
            ]
            if cells:
                sdl.SDL_SetRenderDrawColor(self._renderer, *colour)
                sdl.SDL_RenderFillRects(self._renderer, (sdl.SDL_Rect * len(cells))(*cells), len(cells))

    def _events(self) -> None:
        sdl = self._sdl
        event = sdl.SDL_Event()
        while sdl.SDL_PollEvent(ctypes.byref(event)):
            if event.type == sdl.SDL_QUIT:
                raise BrokenPipeError("closed by its user")
            if event.type == sdl.SDL_KEYDOWN:
                self._key(event.key.keysym.sym)
            elif event.type == sdl.SDL_WINDOWEVENT:
                self._draw()

    def _key(self, key: int) -> None:
        sdl = self._sdl
        if key in (sdl.SDLK_q, sdl.SDLK_ESCAPE):
            raise BrokenPipeError("closed by its user")
        if key == sdl.SDLK_t:
            self._overlay = not self._overlay
            self._draw()
        elif key == sdl.SDLK_f:
            self._full_screen = not self._full_screen
            mode = sdl.SDL_WINDOW_FULLSCREEN_DESKTOP if self._full_screen else 0
            sdl.SDL_SetWindowFullscreen(self._window, mode)


def title(shown: Shown | None) -> str:
    """What the window's title bar says."""
    if shown is None or shown.state is SignalState.WAITING:
        return f"{TITLE}: waiting for signal"
    if shown.state is SignalState.LOST:
        return f"{TITLE}: signal lost"
    latency = max(0.0, shown.shown_at - shown.captured_at)
    return f"{TITLE}: live, {round(latency * 1000)} ms"
