"""The window on a real X server: seen by others as its user would see it, with keys typed as on a keyboard."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
import pytest

from common.video import blank
from receiver.config import WindowSection
from receiver.play.osd.view import Level
from receiver.play.window import WindowSink
from tests.receiver.play.pictures import shown
from tests.waiting import until

pytest.importorskip("sdl2", reason="the window extra is not installed")

pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="no Xvfb or xdotool on this machine"
)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A screen of 800x600 without a window manager."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as number:
            name = ":" + number.readline().strip()
        assert name != ":", "Xvfb did not start"
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
        yield name
    finally:
        server.terminate()
        server.wait(10)


def screenshot(display: str) -> npt.NDArray[np.uint8]:
    with av.open(display, format="x11grab", options={"video_size": "800x600"}) as screen:
        frame = next(screen.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def press(key: str) -> None:
    subprocess.run(["xdotool", "key", key], check=True, timeout=20)


async def test_the_window_is_on_the_screen_and_hears_keys(display: str) -> None:
    sink = WindowSink(lambda: {"rate_kbps": 59.8, "loss": 0.5}, WindowSection(scale=4, osd="off"))
    await sink.start()
    picture = shown(0, 64, 64)
    picture.picture[:] = blank(64, 64, 200)
    sink.show(picture)

    def lit() -> int:
        return int((screenshot(display).min(2) > 180).sum())

    await until(lambda: abs(lit() - 256 * 256) < 2000)  # four times the picture
    press("f")
    await until(lambda: abs(lit() - 600 * 600) < 5000)  # as much of the screen as fits
    press("f")
    await until(lambda: abs(lit() - 256 * 256) < 2000)
    press("o")
    await until(lambda: sink.level is Level.SMALL)
    await until(lambda: 2000 < 256 * 256 - lit() < 30_000)  # the backing of the figures
    press("q")
    await until(lambda: sink.ended)
    await sink.close()
    assert sink.failure is None
