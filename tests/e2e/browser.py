"""Pages in headless Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

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

needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this host (apt-get install chromium)"),
]


@contextlib.asynccontextmanager
async def opened(
    url: str, script: str = "", tolerate: str = "", flags: Sequence[str] = (), **context: Any
) -> AsyncIterator[Any]:
    """The page at the address in a fresh browser; fails if it reports an error without the text to `tolerate`.

    `script` runs before the page's own, `context` goes to Playwright's `new_context`."""
    from playwright.async_api import async_playwright

    problems: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        page = await (await browser.new_context(**context)).new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        if script:
            await page.add_init_script(script)
        await page.goto(url)
        try:
            yield page
        finally:
            await browser.close()
    assert not [problem for problem in problems if not tolerate or tolerate not in problem]


async def holds(page: Any, expression: str, seconds: float = 20.0) -> None:
    """Wait for a JavaScript expression to be true.  (Playwright's own waiting would need the page to allow eval.)"""
    from playwright.async_api import Error

    ends = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Error):  # on its way to another page
            if await page.evaluate(expression):
                return
        assert time.monotonic() < ends, (
            f"not within {seconds} s: {expression}\n{await page.inner_text('body')}"
        )
        await asyncio.sleep(0.05)


async def state(page: Any, wanted: str) -> None:
    """Wait for the state that both daemons' pages tell."""
    await holds(page, f"document.body.dataset.state === '{wanted}'")
