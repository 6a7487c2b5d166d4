"""SDL behind a few calls: a picture, what is laid over it, the display, and the keys that were pressed.

SDL wants one thread for everything, so whoever makes a Screen makes all calls.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import sdl2
from sdl2 import surface

from common.video import Picture, picture_size, planes
from receiver.play.base import SinkError
from receiver.play.osd.canvas import Rgba

START_SIDE = 768
"""The longer side of the window before the first picture, and with the scale `auto`."""

SMALLEST = (160, 120)
BACKGROUND = (14, 16, 20, 255)
CLOSED = "closed"
"""What `pressed` gives when the window was closed by other means than a key."""

Rect = tuple[int, int, int, int]
"""x, y, width, height."""


def fit(width: int, height: int, into_width: int, into_height: int) -> Rect:
    """Where a picture goes: as large as fits, in the middle, its shape kept."""
    scale = min(into_width / width, into_height / height)
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    return (into_width - wide) // 2, (into_height - high) // 2, wide, high


class Screen:
    """A window; `close` it. Raises SinkError where there is no display."""

    def __init__(self, title: str, full_screen: bool = False) -> None:
        self.full_screen = False
        self._window: Any = None
        self._renderer: Any = None
        self._picture = _Texture(self, sdl2.SDL_PIXELFORMAT_IYUV, sdl2.SDL_ScaleModeLinear)
        self._classes = _Texture(self, sdl2.SDL_PIXELFORMAT_RGBA32, sdl2.SDL_ScaleModeLinear)
        self._tint = _Texture(self, sdl2.SDL_PIXELFORMAT_RGBA32, sdl2.SDL_ScaleModeNearest)
        self._osd = _Texture(self, sdl2.SDL_PIXELFORMAT_RGBA32, sdl2.SDL_ScaleModeNearest)
        self._dot = 1
        self._windowed: Rect = (0, 0, *SMALLEST)
        try:
            self._open(title)
        except SinkError:
            self.close()
            raise
        if full_screen:
            self.toggle_full_screen()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in true pixels, which are more than the window's on a high-DPI display."""
        width, height = ctypes.c_int(), ctypes.c_int()
        sdl2.SDL_GetRendererOutputSize(self._renderer, ctypes.byref(width), ctypes.byref(height))
        return max(1, width.value), max(1, height.value)

    def title(self, text: str) -> None:
        """What the title bar says."""
        sdl2.SDL_SetWindowTitle(self._window, text.encode())

    def resize(self, width: int, height: int) -> None:
        """Give the window this size, or what of it fits on the desktop, its shape kept."""
        room = self._room()
        if width > room[0] or height > room[1]:
            _, _, width, height = fit(width, height, *room)
        if self.full_screen:
            self._windowed = (*self._windowed[:2], width, height)
            return
        sdl2.SDL_SetWindowSize(self._window, width, height)
        centre = sdl2.SDL_WINDOWPOS_CENTERED
        sdl2.SDL_SetWindowPosition(self._window, centre, centre)

    def toggle_full_screen(self) -> None:
        """Between a window and the whole display, in its own resolution."""
        self.full_screen = not self.full_screen
        if self.full_screen:
            self._windowed = self._place()
            bounds = sdl2.SDL_Rect()
            display = max(0, sdl2.SDL_GetWindowDisplayIndex(self._window))
            sdl2.SDL_GetDisplayBounds(display, ctypes.byref(bounds))
            # Without a window manager (a kiosk on bare X) SDL leaves the size as it was.
            self._move((bounds.x, bounds.y, bounds.w, bounds.h))
            sdl2.SDL_SetWindowFullscreen(self._window, sdl2.SDL_WINDOW_FULLSCREEN_DESKTOP)
        else:
            sdl2.SDL_SetWindowFullscreen(self._window, 0)
            self._move(self._windowed)
        sdl2.SDL_ShowCursor(sdl2.SDL_DISABLE if self.full_screen else sdl2.SDL_ENABLE)

    def picture(self, picture: Picture) -> None:
        """The picture from now on, of any size."""
        texture = self._picture.of(*picture_size(picture))
        arguments: list[Any] = []
        held = [np.ascontiguousarray(plane) for plane in planes(picture)]
        for plane in held:
            arguments += [plane.ctypes.data_as(ctypes.POINTER(ctypes.c_ubyte)), plane.shape[1]]
        sdl2.SDL_UpdateYUVTexture(texture, None, *arguments)

    def classes(self, colours: Rgba | None) -> None:
        """What is laid over the picture before the tint, stretched to its size; None: nothing."""
        self._classes.show(colours)

    def tint(self, colours: Rgba | None) -> None:
        """What is laid over the picture, stretched to its size; None: nothing."""
        self._tint.show(colours)

    def osd(self, dots: Rgba, dot: int) -> None:
        """What is laid over the window from its upper left corner, each dot `dot` x `dot` pixels."""
        self._dot = dot
        self._osd.show(dots)

    def present(self) -> None:
        """Draw everything."""
        sdl2.SDL_SetRenderDrawColor(self._renderer, *BACKGROUND)
        sdl2.SDL_RenderClear(self._renderer)
        if self._picture.size != (0, 0):
            place = fit(*self._picture.size, *self.size)
            self._picture.draw(place)
            self._classes.draw(place)
            self._tint.draw(place)
        width, height = self._osd.size
        self._osd.draw((0, 0, width * self._dot, height * self._dot))
        sdl2.SDL_RenderPresent(self._renderer)

    def pressed(self) -> Iterator[str]:
        """The keys pressed since the last call, by SDL's names in small letters; "" for other news of the window."""
        event = sdl2.SDL_Event()
        while sdl2.SDL_PollEvent(ctypes.byref(event)):
            if event.type == sdl2.SDL_QUIT:
                yield CLOSED
            elif event.type == sdl2.SDL_KEYDOWN and not event.key.repeat:
                yield bytes(sdl2.SDL_GetKeyName(event.key.keysym.sym)).decode(errors="replace").lower()
            elif event.type in (sdl2.SDL_WINDOWEVENT, sdl2.SDL_RENDER_TARGETS_RESET):
                yield ""

    def close(self) -> None:
        """May be called on a window that could not be opened."""
        for texture in (self._picture, self._classes, self._tint, self._osd):
            texture.drop()
        if self._renderer:
            sdl2.SDL_DestroyRenderer(self._renderer)
        if self._window:
            sdl2.SDL_DestroyWindow(self._window)
        self._renderer = self._window = None
        sdl2.SDL_QuitSubSystem(sdl2.SDL_INIT_VIDEO)

    def _open(self, title: str) -> None:
        # The service ends the program on signals; SDL must not make key presses of them.
        sdl2.SDL_SetHint(sdl2.SDL_HINT_NO_SIGNAL_HANDLERS, b"1")
        if sdl2.SDL_InitSubSystem(sdl2.SDL_INIT_VIDEO) != 0:
            raise SinkError(f"window: no display ({error()}); set DISPLAY, or use --play web")
        sdl2.SDL_SetYUVConversionMode(surface.SDL_YUV_CONVERSION_BT601)  # SDL would go by their size
        flags = sdl2.SDL_WINDOW_RESIZABLE | sdl2.SDL_WINDOW_ALLOW_HIGHDPI
        centre = sdl2.SDL_WINDOWPOS_CENTERED
        side = min(START_SIDE, *self._room())
        self._window = sdl2.SDL_CreateWindow(title.encode(), centre, centre, side, side, flags)
        if not self._window:
            raise SinkError(f"window: cannot be opened: {error()}")
        sdl2.SDL_SetWindowMinimumSize(self._window, *SMALLEST)
        self._renderer = sdl2.SDL_CreateRenderer(self._window, -1, 0)
        if not self._renderer:
            raise SinkError(f"window: no renderer: {error()}")

    def _place(self) -> Rect:
        numbers = [ctypes.c_int() for _ in range(4)]
        x, y, width, height = map(ctypes.byref, numbers)
        sdl2.SDL_GetWindowPosition(self._window, x, y)
        sdl2.SDL_GetWindowSize(self._window, width, height)
        return numbers[0].value, numbers[1].value, numbers[2].value, numbers[3].value

    def _move(self, place: Rect) -> None:
        x, y, width, height = place
        sdl2.SDL_SetWindowPosition(self._window, x, y)
        sdl2.SDL_SetWindowSize(self._window, width, height)

    def _room(self) -> tuple[int, int]:
        """What of the desktop a window may take."""
        bounds = sdl2.SDL_Rect()
        if sdl2.SDL_GetDisplayUsableBounds(0, ctypes.byref(bounds)) != 0:
            return START_SIDE, START_SIDE
        return max(SMALLEST[0], bounds.w * 9 // 10), max(SMALLEST[1], bounds.h * 9 // 10)


class _Texture:
    """A texture that is made anew when its size changes."""

    def __init__(self, screen: Screen, pixel_format: int, scaling: int) -> None:
        self.size = (0, 0)
        self._screen = screen
        self._format = pixel_format
        self._scaling = scaling
        self._texture: Any = None

    def of(self, width: int, height: int) -> Any:
        if (width, height) != self.size:
            self.drop()
            streaming = sdl2.SDL_TEXTUREACCESS_STREAMING
            texture = sdl2.SDL_CreateTexture(self._screen._renderer, self._format, streaming, width, height)
            if not texture:
                raise SinkError(f"window: no {width}x{height} texture: {error()}")
            sdl2.SDL_SetTextureScaleMode(texture, self._scaling)
            sdl2.SDL_SetTextureBlendMode(texture, sdl2.SDL_BLENDMODE_BLEND)
            self._texture, self.size = texture, (width, height)
        return self._texture

    def show(self, pixels: Rgba | None) -> None:
        if pixels is None:
            self.drop()
            return
        held = np.ascontiguousarray(pixels)
        texture = self.of(held.shape[1], held.shape[0])
        sdl2.SDL_UpdateTexture(texture, None, held.ctypes.data_as(ctypes.c_void_p), held.shape[1] * 4)

    def draw(self, place: Rect) -> None:
        if self._texture:
            sdl2.SDL_RenderCopy(self._screen._renderer, self._texture, None, sdl2.SDL_Rect(*place))

    def drop(self) -> None:
        if self._texture:
            sdl2.SDL_DestroyTexture(self._texture)
        self._texture, self.size = None, (0, 0)


def error() -> str:
    """SDL's word for what went wrong."""
    return bytes(sdl2.SDL_GetError()).decode(errors="replace")
