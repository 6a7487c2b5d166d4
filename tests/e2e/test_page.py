"""The page in headless Chromium: video, keys, snapshot, sound, senders, token, and what it does when things go away."""

from __future__ import annotations

import asyncio
import contextlib
import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import av
import pytest
from aiortc import AudioStreamTrack

from receiver.app import App
from receiver.play.web import WebSink
from tests.e2e import browser
from tests.e2e.browser import holds, needs_chromium, state
from tests.e2e.daemons import RX, daemons
from tests.ports import free_port
from tests.receiver.link import FakeSender, running, sending
from tests.waiting import until

pytestmark = needs_chromium

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


WEB = ("--play", "web", "--web.listen")
FREE = (*WEB, "127.0.0.1:0")


def sink_of(app: App) -> WebSink:
    sink = app.sinks[0]
    assert isinstance(sink, WebSink)
    return sink


def opened(url: str, script: str = "", tolerate: str = "") -> AbstractAsyncContextManager[Any]:
    return browser.opened(url, script, tolerate, viewport={"width": 1100, "height": 800})


async def moved(page: Any) -> float:
    """Mean change of a pixel over half a second, 0 to 255."""
    before = await page.evaluate(PIXELS)
    await asyncio.sleep(0.5)
    after = await page.evaluate(PIXELS)
    return float(sum(abs(a - b) for a, b in zip(before, after, strict=True)) / len(before))


def text(element: str, pattern: str) -> str:
    """JavaScript that tells whether an element's text is like the pattern."""
    return f"/^{pattern}$/.test(document.getElementById('{element}').textContent)"


async def told(page: Any, pattern: str) -> None:
    await holds(page, f"!toast.hidden && /{pattern}/.test(document.getElementById('toast').textContent)")


async def test_the_page_plays_live_video_over_webrtc_and_tells_its_quality(tmp_path: Path) -> None:
    flags = (*FREE, "--signal.lost-after", "0.6")
    async with running(tmp_path, *flags) as app, opened(sink_of(app).url) as page:
        await state(page, "waiting")
        assert "key file" in await page.inner_text("#checks")
        sender = FakeSender(app.port, loss=0.4)
        async with sending(sender):
            await state(page, "live")
            await holds(page, "document.body.dataset.transport === 'webrtc'")
            await holds(page, "video.videoWidth === 256")
            assert await moved(page) > 1
            await holds(page, text("loss", "[2-6]\\d%"))
            await holds(page, text("latency", "\\d{3}ms"))
            await holds(page, text("rate", "\\d+kbit.s"))
            await holds(
                page, "document.querySelector('#loss + svg path + path').getAttribute('d').includes('L')"
            )
        await state(page, "lost")
        await holds(page, text("state", "Signal lost 0:0\\d"))
        assert "Nothing since" in await page.inner_text("#hint")
        async with sending(FakeSender(app.port)):
            await state(page, "live")


async def test_keys_and_buttons_do_what_they_say(tmp_path: Path) -> None:
    async with running(tmp_path, *FREE) as app, sending(FakeSender(app.port, loss=0.4)):
        await until(lambda: app.player.shown > 0)
        async with opened(sink_of(app).url) as page:
            await holds(page, "document.body.dataset.first !== undefined && video.videoWidth > 0")
            assert (
                float(await page.evaluate("document.body.dataset.first")) < 8000
            )  # ms; alone it takes well below 1000
            await keys_of_trust_and_figures(page)
            async with page.expect_download() as download:
                await page.keyboard.press("s")
            saved = await download.value
            assert re.fullmatch(r"semcast-\d{8}T\d{6}\.\d{3}Z\.png", saved.suggested_filename)
            with av.open(await saved.path()) as image:
                frame = next(image.decode(video=0))
            assert (frame.width, frame.height) == (256, 256) and frame.to_ndarray(format="gray").std() > 5
            await told(page, "Saved semcast-")
            await page.keyboard.press("f")
            await holds(page, "document.fullscreenElement === player")
            await page.keyboard.press("f")
            await holds(page, "document.fullscreenElement === null")
            assert await page.is_hidden("#mute")
            await page.keyboard.press("m")
            await told(page, "No sound")
            await page.keyboard.press("?")
            assert await page.is_visible("#help")
            await page.keyboard.press("Escape")
            assert await page.is_hidden("#help")
            if await page.evaluate("document.pictureInPictureEnabled"):
                await page.keyboard.press("p")
                await holds(page, "document.pictureInPictureElement === video")


async def keys_of_trust_and_figures(page: Any) -> None:
    assert not await page.is_visible("#legend")
    await page.keyboard.press("t")
    assert await page.is_visible("#legend")
    await holds(page, PAINTED)
    await page.focus("#trust")
    await page.keyboard.press("Enter")
    assert not await page.is_visible("#overlay")
    assert await page.get_attribute("#trust", "aria-pressed") == "false"
    await page.keyboard.press("i")
    assert await page.is_hidden("#figures")
    colours = []
    for _ in range(3):
        await page.keyboard.press("d")
        colours.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(set(colours)) == 2  # light, dark, and as the system
    controls = "[...document.querySelectorAll('.frame :is(button, input):not(label input)')]"
    assert await page.evaluate(f"{controls}.every(control => control.ariaLabel)")


async def test_sound_is_played_once_it_is_unmuted_and_the_operators_text_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path, *FREE) as app, sending(FakeSender(app.port)):
        sink, line = sink_of(app), "course 270, <b>30</b> m"
        sink._viewers.audio = AudioStreamTrack
        sink._figures = lambda: {**app.status(), "text": line, "sound": True}
        async with opened(sink.url) as page:
            await holds(page, f"caption.textContent === {line!r} && !caption.hidden")
            await holds(page, "video.srcObject !== null && video.srcObject.getAudioTracks().length === 1")
            assert await page.evaluate("video.muted")
            await page.keyboard.press("m")
            assert not await page.evaluate("video.muted") and await page.is_visible("#volume")
            await page.fill("#volume", "40")
            assert await page.evaluate("video.volume") == 0.4
            await holds(page, "!video.paused && video.videoWidth === 256")


HEARD = """(async () => {
  const reports = [...(await peer.getStats()).values()];
  const energy = reports.find((each) => each.type === "inbound-rtp" && each.kind === "audio").totalAudioEnergy;
  window.ear ??= (() => {
    const context = new AudioContext(), analyser = context.createAnalyser();
    context.createMediaStreamSource(video.captureStream()).connect(analyser);
    return analyser;
  })();
  const samples = new Float32Array(2048);
  ear.getFloatTimeDomainData(samples);
  return energy > 0 && samples.some((x) => Math.abs(x) > 0.01);
})()"""


def test_sound_of_a_real_sender_is_heard_in_the_page(tmp_path: Path) -> None:
    port = free_port()
    with daemons(tmp_path) as bench:
        bench.receiver(*WEB, f"127.0.0.1:{port}")
        bench.sender(None, None, "--size", "128x128", "--audio", "synthetic")
        bench.wait("sound", lambda: bench.figures().get(RX + "audio_blocks_total") > 0)
        asyncio.run(heard(f"http://127.0.0.1:{port}/"))


async def heard(url: str) -> None:
    """Fails unless the page's sound is audible once it is asked for."""
    async with opened(url) as page:
        await holds(page, "!mute.hidden && video.videoWidth === 128")
        assert await page.evaluate("video.muted")
        assert await page.get_attribute("#mute", "aria-label") == "Unmute"
        await page.click("#mute")
        assert not await page.evaluate("video.muted")
        await holds(page, HEARD)
        await page.fill("#volume", "30")
        await page.keyboard.press("m")
        assert await page.evaluate("video.muted")
        await page.reload()
        await holds(page, "!mute.hidden")
        await page.keyboard.press("m")
        assert await page.evaluate("[video.muted, video.volume]") == [False, 0.3]
        await holds(page, HEARD)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            "RTCPeerConnection.prototype.setRemoteDescription = () => new Promise(() => {});",
            "could not connect",
        ),
        ("delete window.RTCPeerConnection;", "has no WebRTC"),
    ],
)
async def test_without_webrtc_the_page_shows_plain_pictures_and_says_so(
    tmp_path: Path, script: str, says: str
) -> None:
    async with (
        running(tmp_path, *FREE) as app,
        sending(FakeSender(app.port)),
        opened(sink_of(app).url, script) as page,
    ):
        await holds(page, "document.body.dataset.transport === 'mjpeg'")
        await holds(page, "pictures.naturalWidth === 256")
        assert says in await page.inner_text("#via")
        assert await moved(page) > 1
        assert sink_of(app).viewers == 0


async def test_the_page_is_back_when_the_receiver_is_and_keeps_its_settings(tmp_path: Path) -> None:
    flags = (*WEB, f"127.0.0.1:{free_port()}")
    async with contextlib.AsyncExitStack() as stack:
        async with running(tmp_path, *flags) as app, sending(FakeSender(app.port)):
            page = await stack.enter_async_context(
                opened(sink_of(app).url, tolerate="Failed to load resource")
            )
            await holds(page, "video.videoWidth === 256")
            await page.keyboard.press("t")
        await state(page, "offline")
        assert "connects again by itself" in await page.inner_text("#hint")
        async with running(tmp_path, *flags) as app, sending(FakeSender(app.port, size=(128, 128))):
            await state(page, "live")
            await holds(page, "document.body.dataset.transport === 'webrtc' && video.videoWidth === 128")
            assert await page.is_visible("#legend")
            assert await moved(page) > 1


async def test_the_token_lets_in_and_does_not_stay_in_the_address(tmp_path: Path) -> None:
    token_file = tmp_path / "web.token"
    async with running(tmp_path, *FREE, "--web.token-file", str(token_file)) as app:
        url, token = sink_of(app).url, token_file.read_text().strip()
        async with sending(FakeSender(app.port)), opened(url, tolerate="401 (Unauthorized)") as page:
            await page.fill("input[name=token]", "a guess that is wrong")
            await page.keyboard.press("Enter")
            await holds(page, "document.body.textContent.includes('not the access token')")
            await page.fill("input[name=token]", token)
            await page.keyboard.press("Enter")
            await holds(page, "document.body.dataset.state === 'live' && video.videoWidth === 256")
            await page.context.clear_cookies()
            await page.goto(f"{url}?token={token}")
            await holds(page, "document.body.dataset.state === 'live' && video.videoWidth === 256")
            assert page.url == url and not await page.evaluate("document.cookie")


async def test_one_of_two_senders_is_chosen_on_a_phone_too(tmp_path: Path) -> None:
    bridge, name = "bridge", "a stern camera with a long name"
    async with running(tmp_path, *FREE) as app, sending(FakeSender(app.port, name=bridge)):
        await until(lambda: app.player.shown > 0)
        async with opened(sink_of(app).url) as page:
            await holds(page, "video.videoWidth === 256 && senders.hidden")
            async with sending(FakeSender(app.port, name=name, size=(128, 128), loss=0.4)):
                await holds(page, f"senders.textContent.includes({name!r})")
                await page.set_viewport_size({"width": 360, "height": 740})
                assert await page.evaluate("document.documentElement.scrollWidth") <= 360
                await page.click(f"label:has-text({name!r})")
                await holds(page, f"source.textContent === {name!r} && video.videoWidth === 128")
                await holds(page, "stats.chosen !== null && senders.querySelectorAll('input')[2].checked")
            await holds(page, f"source.textContent === {bridge!r} && video.videoWidth === 256")
            assert "is silent: bridge is shown" in await page.inner_text("#senders .notice")
            await page.focus("#senders input:checked")
            for _ in range(2):
                await page.keyboard.press("ArrowUp")
            await holds(page, "stats.chosen === null && senders.querySelector('input').checked")
