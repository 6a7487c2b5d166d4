"""The page in headless Chromium: moving video over WebRTC, figures, trust overlay, and the way without WebRTC."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from receiver.app import App
from receiver.play.web import WebSink
from tests.receiver.link import FakeSender, running, sending

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # On a host with nothing but loopback these let WebRTC use it.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this host (apt-get install chromium)"),
]

PIXELS = """() => {
  const source = document.body.dataset.transport === "mjpeg" ? pictures : video;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const pen = canvas.getContext("2d");
  pen.drawImage(source, 0, 0, 64, 64);
  return Array.from(pen.getImageData(0, 0, 64, 64).data).filter((_, i) => i % 4 === 0);
}"""


PAINTED = """
overlay.getContext("2d").getImageData(0, 0, overlay.width, overlay.height).data.some(Boolean)
"""


@contextlib.asynccontextmanager
async def opened(app: App, script: str = "") -> AsyncIterator[Any]:
    """The receiver's page in a fresh browser; fails if the page reports an error."""
    from playwright.async_api import async_playwright

    assert isinstance(app.sinks[0], WebSink)
    problems: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = await browser.new_page(viewport={"width": 1100, "height": 800})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        if script:
            await page.add_init_script(script)
        await page.goto(app.sinks[0].url)
        try:
            yield page
        finally:
            await browser.close()
    assert not problems


async def moved(page: Any) -> float:
    """Mean change of a pixel over one second, 0 to 255."""
    before = await page.evaluate(PIXELS)
    await asyncio.sleep(1.0)
    after = await page.evaluate(PIXELS)
    return float(sum(abs(a - b) for a, b in zip(before, after, strict=True)) / len(before))


async def holds(page: Any, expression: str, seconds: float = 15.0) -> None:
    """Wait for a JavaScript expression to be true.  (Playwright's own waiting would need the page to allow eval.)"""
    ends = time.monotonic() + seconds
    while not await page.evaluate(expression):
        assert time.monotonic() < ends, f"not within {seconds} s: {expression}"
        await asyncio.sleep(0.05)


def text(element: str, pattern: str) -> str:
    """JavaScript that tells whether an element's text is like the pattern."""
    return f"/^{pattern}$/.test(document.getElementById('{element}').textContent)"


async def state(page: Any, text: str) -> None:
    await holds(page, f"document.body.dataset.state === '{text}'")


async def test_the_page_plays_live_video_over_webrtc_and_tells_its_quality(tmp_path: Path) -> None:
    flags = ("--play", "web", "--web.listen", "127.0.0.1:0")
    async with running(tmp_path, *flags) as app, opened(app) as page:
        await state(page, "waiting")
        sender = FakeSender(app.port, loss=0.4)
        async with sending(sender):
            await state(page, "live")
            await holds(page, "document.body.dataset.transport === 'webrtc'")
            await holds(page, "video.videoWidth === 256")
            assert await moved(page) > 1
            await holds(page, text("loss", "[2-6]\\d%"))
            await holds(page, text("latency", "\\d{3}ms"))
            await holds(page, text("rate", "\\d+kbit.s"))
            await page.screenshot(path=str(tmp_path / "live.png"))
        await state(page, "lost")
        async with sending(FakeSender(app.port)):
            await state(page, "live")


async def test_the_trust_overlay_follows_the_key_and_the_button(tmp_path: Path) -> None:
    flags = ("--play", "web", "--web.listen", "127.0.0.1:0")
    async with running(tmp_path, *flags) as app, sending(FakeSender(app.port, loss=0.4)), opened(app) as page:
        await state(page, "live")
        assert not await page.is_visible("#legend")
        await page.keyboard.press("t")
        assert await page.is_visible("#legend")
        await holds(
            page,
            PAINTED,
        )
        await page.focus("#trust")
        await page.keyboard.press("Enter")
        assert not await page.is_visible("#overlay")
        assert await page.get_attribute("#trust", "aria-pressed") == "false"


async def test_without_webrtc_the_page_shows_plain_pictures_and_says_so(tmp_path: Path) -> None:
    flags = ("--play", "web", "--web.listen", "127.0.0.1:0")
    never = "RTCPeerConnection.prototype.setRemoteDescription = () => new Promise(() => {});"
    async with running(tmp_path, *flags) as app, sending(FakeSender(app.port)), opened(app, never) as page:
        await holds(page, "document.body.dataset.transport === 'mjpeg'")
        await holds(page, "pictures.naturalWidth === 256")
        assert "could not connect" in await page.inner_text("#via")
        assert await moved(page) > 1
        sink = app.sinks[0]
        assert isinstance(sink, WebSink) and sink.viewers == 0


async def test_the_page_fits_a_phone(tmp_path: Path) -> None:
    async with running(tmp_path, "--play", "web", "--web.listen", "127.0.0.1:0") as app, opened(app) as page:
        await page.set_viewport_size({"width": 360, "height": 740})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
