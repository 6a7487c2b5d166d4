"""The window, on SDL's dummy video driver."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from common.video import Picture
from receiver.play.base import SignalState
from receiver.play.mark import mark
from receiver.play.window import WindowSink, title
from tests.receiver.link import until
from tests.receiver.play.pictures import shown

sdl2 = pytest.importorskip("sdl2", reason="the window extra is not installed")


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def press(key: int) -> None:
    event = sdl2.SDL_Event()
    event.type = sdl2.SDL_KEYDOWN
    event.key.keysym.sym = key
    sdl2.SDL_PushEvent(event)


async def test_pictures_of_changing_size_are_drawn_with_and_without_tint() -> None:
    sink = WindowSink()
    await sink.start()
    for number in range(3):
        sink.show(shown(number))
        await until(lambda: len(sink._queue) == 0)
    await until(lambda: sink._last is not None)
    press(sdl2.SDLK_t)
    sink.show(shown(3, 128, 64))
    await until(lambda: sink._overlay)
    press(sdl2.SDLK_f)
    await until(lambda: sink._full_screen)
    sink.show(shown(4, 128, 64))
    assert not sink.ended
    await sink.close()
    assert sink._size == (128, 64)


async def test_closing_the_window_ends_the_sink() -> None:
    for key in (sdl2.SDLK_q, sdl2.SDLK_ESCAPE):
        sink = WindowSink()
        await sink.start()
        await until(lambda sink=sink: sink._renderer is not None)
        press(key)
        await until(lambda sink=sink: sink.ended)
        await sink.close()


async def test_no_display_ends_the_sink_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    sink = WindowSink()
    await sink.start()
    await until(lambda: sink.ended)
    await sink.close()


async def test_a_lost_signal_is_marked_in_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Picture] = []
    monkeypatch.setattr(WindowSink, "_upload", lambda self, picture: drawn.append(picture))
    sink = WindowSink()
    await sink.start()
    lost = dataclasses.replace(shown(0, state=SignalState.LOST), silence=7.0)
    sink.show(lost)
    await until(lambda: drawn)
    await sink.close()
    assert np.array_equal(drawn[0], mark(lost.picture, 7.0))


def test_the_title_tells_the_state() -> None:
    assert title(None).endswith("waiting for signal")
    assert title(shown(0)).endswith("live, 500 ms")
    assert title(shown(0, state=SignalState.LOST)).endswith("signal lost")
