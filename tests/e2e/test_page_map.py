"""The map of classes on the page in headless Chromium: switched on and off, in step with the picture, its legend."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import av
import numpy as np

from common.maps.base import Legend
from common.video import blank
from receiver.config import WebSection
from receiver.contours.store import ShownMap
from receiver.play.base import Shown
from receiver.play.web import WebSink
from receiver.status import map_figures
from tests.e2e import browser
from tests.e2e.browser import holds, needs_chromium
from tests.receiver.play.pictures import shown

pytestmark = needs_chromium

FPS = 10.0
SIDE = 128
STEPS = 6
LEGEND = Legend(
    "steps",
    tuple(f"step {number}" for number in range(STEPS)),
    tuple((40 * number, 255 - 40 * number, 0) for number in range(STEPS)),
)
TRUST = np.zeros((8, 8), np.uint8)

SEEN = """
window.seen = [];
(function look() {
  video.requestVideoFrameCallback(() => {
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    canvas.width = canvas.height = 1;
    pen.drawImage(video, 40, 40, 1, 1, 0, 0, 1, 1);
    const luma = pen.getImageData(0, 0, 1, 1).data[1];
    setTimeout(() => { if (mapNow) seen.push([luma, mapNow.labels[0]]); });
    look();
  });
})();
"""


def step(number: int) -> Shown:
    """A picture as bright as its number says, and its map: one class, and on the right half the one before."""
    kind = number % STEPS
    labels = np.full((SIDE, SIDE), kind, np.uint8)
    labels[:, SIDE // 2 :] = (kind - 1) % STEPS
    trust = TRUST.copy()
    trust[0] = (1, 1, 1, 1, 2, 2, 2, 2)
    return dataclasses.replace(
        shown(number, SIDE, SIDE),
        picture=blank(SIDE, SIDE, 30 + 38 * kind),
        trust=TRUST,
        shown_at=time.time(),
        fps=FPS,
        map=ShownMap(labels, trust, LEGEND, 0.04),
    )


@contextlib.asynccontextmanager
async def stepping(make: Callable[[int], Shown] = step) -> AsyncIterator[WebSink]:
    """A page's sink that is given ten pictures a second."""
    last: Shown | None = None

    def figures() -> dict[str, object]:
        told = {"state": "live", "loss": 0.3, "fps_shown": FPS, "latency_ms": 400.0, "rate_kbps": 14.0}
        return told | {"contours_kbps": 6.4} | map_figures(last)

    sink = WebSink(WebSection.model_validate({"listen": "127.0.0.1:0"}), figures, lambda _: False)
    await sink.start()

    async def play() -> None:
        nonlocal last
        for number in range(100_000):
            last = make(number)
            sink.show(last)
            await asyncio.sleep(1 / FPS)

    task = asyncio.create_task(play())
    try:
        yield sink
    finally:
        task.cancel()
        await sink.close()


def opened(url: str, script: str = "") -> contextlib.AbstractAsyncContextManager[Any]:
    return browser.opened(url, script, viewport={"width": 1100, "height": 900})


async def switched(page: Any, mode: str) -> None:
    """Press C until the map is shown so."""
    for _ in range(3):
        if await page.evaluate("mapMode()") == mode:
            break
        await page.keyboard.press("c")
    await holds(
        page, f"mapMode() === {mode!r} && (mapMode() === 'off' || (mapNow !== null && !mapCanvas.hidden))"
    )


async def test_the_map_belongs_to_the_picture_on_show_however_late_the_browser_shows_it() -> None:
    async with stepping() as sink, opened(sink.url) as page:
        await holds(page, "video.videoWidth === 128 && !classes.hidden")
        await page.evaluate("peer.getReceivers().forEach((each) => { each.jitterBufferTarget = 500; })")
        await switched(page, "tint")
        await holds(page, "mapNow.at !== null && mapWaiting.length >= 3", 40)
        await page.evaluate(SEEN)
        await holds(page, "seen.length >= 40", 40)
        pairs = await page.evaluate("seen")
    lumas = sorted({luma for luma, _ in pairs})
    assert lumas[-1] - lumas[0] > 150
    right = [abs(luma - (30 + 38 * label - 16) * 255 / 219) < 20 for luma, label in pairs]
    assert np.mean(right) > 0.8, pairs


async def test_switched_off_it_costs_nothing_and_switched_on_it_lists_what_is_seen() -> None:
    async with stepping() as sink, opened(sink.url) as page:
        await holds(page, "video.videoWidth === 128 && !classes.hidden")
        assert sink._maps.packed == 0 and await page.evaluate("mapSocket === null && mapCanvas.hidden")
        assert await page.is_hidden("#map-legend") and await page.is_hidden("#strength")
        await switched(page, "outlines")
        await holds(page, "/step \\d/.test(document.getElementById('map-legend').textContent)")
        text = await page.inner_text("#map-legend")
        assert "held over" in text and "lost" in text
        painted = "mapCanvas.getContext('2d').getImageData(0, 0, mapCanvas.width, mapCanvas.height).data.some(Boolean)"
        await holds(page, painted)
        assert await page.get_attribute("#classes", "aria-label") == "Map of classes: outlines"
        assert await page.get_attribute("#classes", "aria-pressed") == "true"
        await page.focus("#classes")
        await page.keyboard.press("Enter")
        assert await page.is_visible("#strength")
        await page.keyboard.press("-")
        assert await page.evaluate("settings.strength") == 40
        async with page.expect_download() as download:
            await page.keyboard.press("s")
        with av.open(await (await download.value).path()) as image:
            frame = next(image.decode(video=0))
        assert frame.width == SIDE and frame.height > SIDE  # the legend is below
        assert np.ptp(frame.to_ndarray(format="rgb24")[30:100, 30].astype(int).mean(0)) > 30  # tinted
        await holds(page, "/6.4kbit.s/.test(document.getElementById('map-rate').textContent)")
        await holds(
            page,
            "/40 ms old . 13 % held over/.test(document.getElementById('map-detail').textContent)",
        )
        await page.reload()
        await holds(page, "mapMode() === 'tint' && mapNow !== null && !mapCanvas.hidden")
        await page.keyboard.press("c")
        await holds(
            page, "mapSocket === null && mapCanvas.hidden && document.getElementById('map-legend').hidden"
        )
        await holds(page, "strength.hidden")
        before = sink._maps.packed
        await asyncio.sleep(0.5)
        assert sink._maps.packed <= before + 1


async def test_a_map_that_stands_still_is_sent_once() -> None:
    def same(number: int) -> Shown:
        return dataclasses.replace(step(number), map=step(0).map)

    count = """
window.got = 0;
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...all) { super(...all); super.addEventListener("message", () => { got++; }); }
};
"""
    async with stepping(same) as sink, opened(sink.url, count) as page:
        await holds(page, "!classes.hidden")
        await switched(page, "outlines")
        await asyncio.sleep(1.0)
        assert await page.evaluate("got") <= 4  # legend and map, once more where WebRTC connects meanwhile
        assert sink._maps.packed == 1


async def test_a_phone_without_webrtc_has_the_map_below_its_picture() -> None:
    async with stepping() as sink, opened(sink.url, "delete window.RTCPeerConnection;") as page:
        await page.set_viewport_size({"width": 360, "height": 740})
        await holds(page, "document.body.dataset.transport === 'mjpeg' && !classes.hidden")
        await switched(page, "outlines")
        await holds(page, "document.querySelectorAll('#map-legend li').length >= 2")
        boxes = "['stage', 'map-legend'].map((id) => document.getElementById(id).getBoundingClientRect())"
        assert await page.evaluate(f"{boxes}[1].top >= {boxes}[0].bottom")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        assert await page.evaluate("new URL(mapSocket.url).search") == ""


async def test_a_tile_says_what_shows_the_picture_where_there_is_more_than_one_way() -> None:
    """The lines that receiver/generative/figures.py makes; None where the profile has one way."""
    lines = (
        ("texture, enlarged", "texture", "enlarged"),
        ("generative, 4 steps, 40 ms a picture, GPU", "generative", "4 steps, 40 ms a picture, GPU"),
        ("texture: CPU fallback too slow", "texture", "CPU fallback too slow"),
    )
    async with stepping() as sink, opened(sink.url) as page:
        await holds(page, "stats.state === 'live'")
        assert await page.is_hidden("#decoder-tile")
        for line, word, detail in lines:
            show = f"stats.decoder = {line!r}; showFigures();"
            ids = "['decoder', 'decoder-detail'].map((id) => document.getElementById(id).textContent)"
            told = f"[...{ids}, document.getElementById('decoder-tile').hidden]"
            assert await page.evaluate(f"() => {{ {show} return {told}; }}") == [word, detail, False]


async def test_without_a_map_there_is_no_button_and_the_key_says_why() -> None:
    def bare(number: int) -> Shown:
        return dataclasses.replace(step(number), map=None)

    async with stepping(bare) as sink, opened(sink.url) as page:
        await holds(page, "video.videoWidth === 128")
        assert await page.is_hidden("#classes") and await page.is_hidden("#map-tile")
        await page.keyboard.press("c")
        await holds(page, "/No map of classes/.test(document.getElementById('toast').textContent)")
        assert await page.evaluate("mapMode()") == "off"
