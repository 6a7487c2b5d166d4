"""The sender's capture page in headless Chromium, with its fake camera: pictures that move reach the receiver."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import av
import numpy as np

from common.video import from_video_frame
from tests.demo.process import free_port
from tests.e2e import browser
from tests.e2e.browser import needs_chromium, state
from tests.e2e.daemons import Bench, daemons
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
        port = free_port(socket.SOCK_STREAM)
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
