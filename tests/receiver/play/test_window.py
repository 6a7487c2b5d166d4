"""The window, on SDL's dummy video driver."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from common.video import blank, picture_size
from receiver.config import WindowSection
from receiver.play.base import Shown, SignalState
from receiver.play.osd.classes import MapMode
from receiver.play.osd.view import Level
from receiver.play.window import WindowSink, title
from tests.receiver.play.pictures import shown
from tests.receiver.play.test_maps import a_map
from tests.waiting import until

sdl2 = pytest.importorskip("sdl2", reason="the window extra is not installed")

FIGURES: dict[str, object] = {"rate_kbps": 59.8, "loss": 0.5, "latency_ms": 480.0, "imagined": 0.1}


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def press(key: int) -> None:
    event = sdl2.SDL_Event()
    event.type = sdl2.SDL_KEYDOWN
    event.key.keysym.sym = key
    sdl2.SDL_PushEvent(event)


class Looked(WindowSink):
    """Notes what is in the window after each drawing."""

    pixels: npt.NDArray[np.uint8] | None = None
    drawn = 0
    looks = False

    def opened(self) -> None:
        super().opened()
        present = self._window.present

        def look() -> None:
            present()
            width, height = self._window.size
            pixels = np.zeros((height, width, 4), np.uint8)
            sdl2.SDL_RenderReadPixels(
                *(self._window._renderer, None, sdl2.SDL_PIXELFORMAT_RGBA32),
                *(pixels.ctypes.data_as(ctypes.c_void_p), width * 4),
            )
            self.pixels = pixels[..., :3]
            self.drawn += 1

        self._window.present = look  # type: ignore[method-assign]
        self.looks = True


@asynccontextmanager
async def window(**settings: object) -> AsyncIterator[Looked]:
    sink = Looked(lambda: FIGURES, WindowSection.model_validate(settings), ":5004")
    await sink.start()
    await until(lambda: sink.looks or sink.ended)
    try:
        yield sink
    finally:
        await sink.close()


async def seen(sink: Looked, picture: Shown) -> npt.NDArray[np.uint8]:
    """What is in the window when the picture has been drawn twice."""
    await until(lambda: len(sink._queue) == 0)
    for number in (picture.number, picture.number + 8):
        sink.show(dataclasses.replace(picture, number=number))
        await until(lambda number=number: sink._last is not None and sink._last.number == number)
        before = sink.drawn
        await until(lambda: len(sink._queue) == 0)
        sink._osd_at = 0.0
        press(sdl2.SDLK_F24)  # no key of ours, but a reason to draw
        await until(lambda before=before: sink.drawn > before)
    assert sink.pixels is not None
    return sink.pixels


def plain(picture: Shown, luma: int) -> Shown:
    """The same, all in one grey."""
    return dataclasses.replace(picture, picture=blank(*picture_size(picture.picture), luma))


async def test_the_picture_keeps_its_shape_and_the_window_its_bars() -> None:
    async with window(osd="off") as sink:
        pixels = await seen(sink, plain(shown(0, 128, 64), 235))
        height, width, _ = pixels.shape
        assert abs(width / height - 2) < 0.02  # the window was made to fit
        assert pixels.min() > 240
        pixels = await seen(sink, plain(shown(16, 64, 64), 235))
        bar = width // 4
        assert pixels[:, : bar - 2].max() < 30 and pixels[:, 2 - bar :].max() < 30
        assert pixels[:, bar + 2 : -bar - 2].min() > 240


async def test_the_map_goes_from_off_to_outlines_to_a_tint(tmp_path: Path) -> None:
    found = a_map(64, 64, 32)
    picture = dataclasses.replace(plain(shown(0, 64, 64), 128), map=found)
    async with window(osd="off", snapshots=str(tmp_path)) as sink:
        before = await seen(sink, picture)
        assert np.ptp(before.reshape(-1, 3).mean(0)) < 2
        looks = []
        for number, mode in ((100, MapMode.OUTLINES), (200, MapMode.TINT)):
            press(sdl2.SDLK_c)
            await until(lambda mode=mode: sink.map.mode is mode)
            looks.append(await seen(sink, dataclasses.replace(picture, number=number)))
        height, width, _ = before.shape
        inner = (
            slice(height // 8, height // 3),
            slice(width // 8, width // 3),
        )  # of the class "car", without legend
        outlines, tinted = (look[inner].reshape(-1, 3).astype(int).mean(0) for look in looks)
        assert np.ptp(outlines) < 2 and tinted[0] - tinted[2] > 80
        press(sdl2.SDLK_MINUS)
        await until(lambda: sink.map.strength == 40)
        weaker = (await seen(sink, dataclasses.replace(picture, number=300)))[inner].reshape(-1, 3).mean(0)
        assert 20 < weaker[0] - weaker[2] < tinted[0] - tinted[2]
        press(sdl2.SDLK_s)
        await until(lambda: list(tmp_path.glob("*.png")) != [])
        saved = await saved_picture(tmp_path)
        assert saved.shape[1] == 64 and saved.shape[0] > 64  # a legend below
        assert int(saved[10, 10, 0]) - int(saved[10, 10, 2]) > 60
        lost = dataclasses.replace(picture, number=400, state=SignalState.LOST)
        dark = await seen(sink, lost)
        assert np.ptp(dark[inner].reshape(-1, 3).mean(0)) < 2
        press(sdl2.SDLK_c)
        await until(lambda: sink.map.mode is MapMode.OFF)
        assert sink.map.pixels is None and sink.map.entries == ()


async def saved_picture(folder: Path) -> npt.NDArray[np.uint8]:
    """The only snapshot, as soon as it is whole."""
    path = next(folder.glob("*.png"))
    await until(lambda: path.read_bytes().endswith(b"IEND\xaeB`\x82"))
    with av.open(str(path)) as image:
        return np.asarray(next(image.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


async def test_the_tint_colours_what_was_not_received() -> None:
    picture = plain(shown(0, 48, 16), 128)  # one block of each trust
    async with window(osd="off") as sink:
        before = await seen(sink, picture)
        press(sdl2.SDLK_t)
        await until(lambda: sink.overlay)
        after = (await seen(sink, dataclasses.replace(picture, number=100)))[
            : before.shape[0] // 2
        ]  # no legend
        received, recovered, imagined = np.split(after.mean(0), 3)
        assert np.ptp(received.mean(0)) < 2
        assert recovered.mean(0)[0] - recovered.mean(0)[2] > 40  # amber
        assert imagined.mean(0)[0] - imagined.mean(0)[1] > 30  # pink
        press(sdl2.SDLK_t)
        await until(lambda: not sink.overlay)
        assert np.array_equal(await seen(sink, dataclasses.replace(picture, number=200)), before)


async def test_keys_change_the_display_and_full_screen() -> None:
    grey = [plain(shown(number), 128) for number in (0, 100, 200)]
    async with window() as sink:
        small = await seen(sink, grey[0])
        assert small[-small.shape[0] // 10 :].max() > 240  # figures at the bottom
        for level in (Level.FULL, Level.OFF):
            press(sdl2.SDLK_o)
            await until(lambda level=level: sink.level is level)
        assert (await seen(sink, grey[1])).max() < 140
        press(sdl2.SDLK_h)
        await until(lambda: sink.help)
        assert (await seen(sink, grey[2])).max() > 240
        press(sdl2.SDLK_f)
        await until(lambda: sink._window.full_screen)
        assert not sink.ended


async def test_what_waits_says_so() -> None:
    async with window() as sink:
        press(sdl2.SDLK_F24)
        await until(lambda: sink.drawn > 0)
        assert sink.pixels is not None and sink.pixels.max() > 240
        assert sink._view is not None and sink._view[0].address == ":5004"


async def test_a_snapshot_is_a_file_of_the_picture(tmp_path: Path) -> None:
    async with window(snapshots=str(tmp_path / "made")) as sink:
        press(sdl2.SDLK_s)
        await until(lambda: sink.notice == "NO PICTURE YET")
        sink.show(plain(shown(0, 64, 48), 128))
        await until(lambda: sink._last is not None)
        for count in (1, 2):
            press(sdl2.SDLK_s)
            await until(lambda count=count: len(list(tmp_path.glob("made/*.png"))) == count)
        for path in tmp_path.glob("made/*.png"):
            with av.open(str(path)) as file:
                frame = next(file.decode(video=0))
                assert (frame.width, frame.height) == (64, 48)
                assert abs(frame.to_ndarray(format="rgb24").astype(int) - 130).max() < 3
        await until(lambda: sink.notice.startswith("SAVED SEMCAST-"))


async def test_a_snapshot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with window(snapshots=str(tmp_path / "file")) as sink:
        sink.show(shown(0))
        await until(lambda: sink._last is not None)
        press(sdl2.SDLK_s)
        await until(lambda: sink.notice.startswith("NO SNAPSHOT: "))
        assert not sink.ended


async def test_the_display_is_not_drawn_with_every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    sink = Looked(lambda: FIGURES, WindowSection(), clock=lambda: now[0])
    drawings: list[float] = []
    await sink.start()
    await until(lambda: sink._screen is not None)
    monkeypatch.setattr(sink._window, "osd", lambda dots, dot: drawings.append(now[0]))
    for number in range(8):
        sink.show(shown(number))
        await until(lambda number=number: sink._last is not None and sink._last.number == number)
        await until(lambda: len(sink._queue) == 0)
    before = len(drawings)
    now[0] += 0.21
    sink.show(shown(8, state=SignalState.LOST))
    await until(lambda: len(drawings) > before)
    await sink.close()
    assert before <= 2  # of 8: with the first picture, and perhaps when the window came up


@pytest.mark.parametrize("key", [sdl2.SDLK_q, sdl2.SDLK_ESCAPE])
async def test_closing_the_window_ends_the_sink(key: int) -> None:
    async with window() as sink:
        press(key)
        await until(lambda: sink.ended)
        assert sink.failure is None


async def test_no_display_ends_the_sink_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    async with window() as sink:
        await until(lambda: sink.ended)
        assert sink.failure is not None and "set DISPLAY" in sink.failure


async def test_a_lost_signal_is_marked_in_the_window() -> None:
    async with window(osd="off") as sink:
        press(sdl2.SDLK_t)  # no tint over it
        lost = dataclasses.replace(shown(0, 64, 64, state=SignalState.LOST), silence=7.0)
        pixels = await seen(sink, lost)
        assert np.ptp(pixels[: len(pixels) // 2], axis=2).max() < 4  # grey; the legend is below
        assert pixels.max() > 240  # the words


def test_the_title_tells_the_state() -> None:
    assert title(None).endswith("waiting for signal")
    assert title(shown(0)).endswith("live, 500 ms")
    assert title(shown(0, state=SignalState.LOST)).endswith("signal lost")


async def test_without_figures_the_picture_goes_on() -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("no figures")

    sink = WindowSink(broken, WindowSection())
    await sink.start()
    sink.show(shown(0))
    await until(lambda: sink._last is not None)
    assert not sink.ended
    await sink.close()
    assert sink.failure is None
