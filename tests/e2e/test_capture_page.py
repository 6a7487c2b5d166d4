"""The sender's capture page in headless Chromium, with its fake camera: pictures that move reach the receiver."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import av
import numpy as np

from common.video import from_video_frame
from tests.e2e import browser
from tests.e2e.browser import needs_chromium, state
from tests.e2e.daemons import RX, Bench, daemons
from tests.ports import free_port
from tests.receiver.audio.seen import flashes_and_clicks, to_mono
from tests.sender.capture.whip.camera import Numbers, publishing, serving
from tests.waiting import until

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
TOKEN = "a-token-of-24-characters"

pytestmark = needs_chromium


def opened(url: str, script: str = "", **context: Any) -> AbstractAsyncContextManager[Any]:
    """Requests that are refused are what some tests are about."""
    return browser.opened(url, script, "Failed to load resource", CAMERA, ignore_https_errors=True, **context)


def moved(path: Path) -> float:
    """Mean change of a pixel between the pictures of a recording, 0 to 255."""
    with av.open(str(path)) as container:
        pictures = [from_video_frame(frame).astype(np.int16) for frame in container.decode(video=0)]
    changes = [np.abs(b - a).mean() for a, b in itertools.pairwise(pictures)]
    return float(np.max(changes))


async def test_a_browser_is_the_camera_of_the_real_sender(tmp_path: Path) -> None:
    with daemons(tmp_path) as bench:
        receiver = bench.receiver()
        port = free_port()
        sender = bench.sender(None, None, "--source", f"whips://127.0.0.1:{port}/cam", "--size", "128x128")
        bench.wait("the page", lambda: f":{port}" in sender.tail())
        async with opened(f"https://127.0.0.1:{port}/") as page:
            await page.keyboard.press("s")
            await state(page, "live")
            await asyncio.to_thread(arrived, bench, 30)
            await page.keyboard.press("s")
            await state(page, "idle")
            await asyncio.to_thread(
                bench.wait, "the loss", lambda: bench.sender_figure("source_reconnects_total") == 1
            )
            held = bench.sender_figure("frames_captured_total")
            await page.click("#start")
            await state(page, "live")
            await asyncio.to_thread(
                bench.wait, "more", lambda: bench.sender_figure("frames_captured_total") > held + 10
            )
        assert bench.stop(sender) == 0 and bench.stop(receiver) == 0
        assert moved(tmp_path / "shown.mkv") > 1


BEEPS = """
const canvas = document.createElement("canvas"), pen = canvas.getContext("2d"), EVERY = 1000, LASTS = 200;
canvas.width = canvas.height = 128;
let since = EVERY;
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (!wanted.audio) {
    setInterval(() => {
      pen.fillStyle = performance.now() - since < LASTS ? "#fff" : "#000";
      pen.fillRect(0, 0, 128, 128);
      pen.fillStyle = "#888";
      pen.fillRect(performance.now() % 100, 0, 9, 9); // a new picture each time
    }, 33);
    return canvas.captureStream(30);
  }
  const context = new AudioContext(), out = context.createMediaStreamDestination();
  const tone = context.createOscillator(), loud = context.createGain();
  tone.frequency.value = 1000;
  loud.gain.value = 0;
  tone.connect(loud).connect(out);
  tone.start();
  setInterval(() => {
    loud.gain.setValueAtTime(0.5, context.currentTime);
    loud.gain.setValueAtTime(0, context.currentTime + 0.03);
    since = performance.now();
  }, EVERY);
  return out.stream;
};
"""


async def test_its_microphone_is_heard_in_step_with_its_pictures(tmp_path: Path) -> None:
    with daemons(tmp_path) as bench:
        receiver = bench.receiver()
        url = f"whip://127.0.0.1:{free_port()}/cam"
        sender = bench.sender(None, None, "--source", url, "--size", "64x64", "--audio", "source")
        bench.wait("the page", lambda: url.partition("://")[2] in sender.tail())
        async with opened(url.replace("whip", "http").replace("/cam", "/"), BEEPS) as page:
            await page.click("#start")
            await state(page, "live")
            await asyncio.to_thread(
                bench.wait, "sound", lambda: bench.figures().get(RX + "audio_blocks_total") > 400
            )
        assert bench.stop(sender) == 0 and bench.stop(receiver) == 0
    flashes, clicks = flashes_and_clicks(tmp_path / "shown.mkv")
    # Those of the first seconds come before the browser's first sender reports; a busy one may drop one or another.
    off = [float(np.abs(clicks - flash).min()) for flash in flashes[2:-1]]
    assert len(off) > 2 and np.median(off) < 0.2, (flashes, clicks)


async def test_the_microphone_is_a_switch_that_is_remembered_and_may_be_refused() -> None:
    heard: list[tuple[av.AudioFrame, float]] = []
    async with serving(hear=lambda sound, at: heard.append((sound, at))) as served:
        async with opened(served.server.url) as page:
            await page.click("#start")
            await state(page, "live")
            await until(
                lambda: any(to_mono(sound).max() > 1000 for sound, _ in heard)
            )  # the fake device beeps
            assert await page.get_attribute("#mic", "aria-checked") == "true"
            assert "Sound is sent" in await page.inner_text("#explain")
            await page.click("#mic")
            assert "No sound is sent" in await page.inner_text("#explain")
            await page.reload()
            assert await page.get_attribute("#mic", "aria-checked") == "false"
            await page.click("#start")
            await state(page, "live")
            assert await page.evaluate("document.body.dataset.mic") == "off"
            count = len(heard)
            await page.keyboard.press("m")
            await until(lambda: len(heard) > count + 10)
        refused = """const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wanted) => {
              if (wanted.audio) throw new DOMException("", "NotAllowedError");
              return open(wanted);
            };"""
        async with opened(served.server.url, refused) as page:
            await page.click("#start")
            await state(page, "live")
            assert await page.inner_text("#mic-label") == "Microphone not allowed"
    async with serving() as served, opened(served.server.url) as page:
        await page.click("#start")
        await state(page, "live")
        assert not await page.is_visible("#mic")
        assert "takes no sound" in await page.inner_text("#explain")


def arrived(bench: Bench, count: int) -> None:
    """Until so many pictures of a unit that arrived have been shown."""
    bench.wait("pictures", lambda: sum(line.arrived > 0 for line in bench.shown()) >= count)


async def test_the_token_of_the_address_and_what_is_said_without() -> None:
    async with serving(token=TOKEN) as served:
        url = served.server.url
        async with opened(f"{url}#token={TOKEN}") as page:
            assert TOKEN not in page.url
            await state(page, "idle")
            await page.reload()
            await page.click("#start")
            await state(page, "live")
            await until(lambda: len(served.pictures) >= 3)
            assert await page.inner_text("#link") == "64 × 64, 15/s"
            await page.goto("about:blank")
            await until(lambda: served.server.publishers.on_air is None)  # the page said good-bye
        async with opened(url) as page:
            await state(page, "error")
            assert "token is needed" in await page.inner_text("#headline")
            await page.fill("#token", "wrong")
            await page.press("#token", "Enter")
            await until(lambda: served.stats.refused >= 2)
            await state(page, "error")
            await page.fill("#token", TOKEN)
            await page.press("#token", "Enter")
            await state(page, "idle")
            assert not await page.is_visible("#login")


async def test_another_camera_takes_over_and_the_page_says_so() -> None:
    async with serving() as served, opened(served.server.url) as page:
        await page.click("#start")
        await state(page, "live")
        await until(lambda: len(served.pictures) >= 1)
        async with publishing(served.client, Numbers(1)):
            await state(page, "taken")
            assert await page.inner_text("#start") == "Start camera S"
            await page.click("#start")
            await state(page, "live")
            await until(lambda: served.server.publishers.takeovers == 2)


async def test_the_page_connects_again_when_the_sender_lost_it() -> None:
    async with serving() as served, opened(served.server.url) as page:
        await page.click("#start")
        await state(page, "live")
        await until(lambda: len(served.pictures) >= 1)
        first = served.server.publishers.on_air
        assert first is not None
        await served.server.publishers.close(first.id)
        await until(lambda: served.server.publishers.on_air not in (None, first))
        await state(page, "live")


async def test_without_a_secure_context_or_a_camera_the_page_tells_the_way_out() -> None:
    async with serving() as served:
        hidden = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
        async with opened(served.server.url, hidden) as page:
            await state(page, "error")
            assert "whips://" in await page.inner_text("#hint")
        denied = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); };"
        async with opened(served.server.url, denied, viewport={"width": 360, "height": 740}) as page:
            await page.click("#start")
            await state(page, "error")
            assert "not allowed" in await page.inner_text("#hint")
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360
