"""The browser page and what it needs: WebRTC video (WHEP), figures as server-sent events, JPEGs as a fallback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files

from aiohttp import web

from common.log import Log
from common.values import Address
from receiver.play.base import Shown, SinkError
from receiver.play.feed import Feed, FeedClosed
from receiver.play.mjpeg import BOUNDARY, SharedJpeg, part
from receiver.play.webrtc import OfferError, TooManyViewers, Viewers

MAX_OFFER_BYTES = 64 * 1024
EVENT_INTERVAL_S = 0.2
WRITE_TIMEOUT_S = 10.0
"""A viewer that takes nothing for so long is cut off."""

GONE_INTERVAL_S = 1.0
"""How often a stream without a picture to send looks whether its viewer is still there."""

PRIVATE = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}

Figures = Callable[[], Mapping[str, object]]
"""What the page shows beside the video; called on the event loop thread a few times a second."""

log = Log("play.web")


class WebSink:
    """Serves the page.  Everything runs on the event loop thread but the encoders."""

    name = "web"
    ended = False
    failure = None
    dropped = 0

    def __init__(self, listen: Address, figures: Figures, max_viewers: int = 8) -> None:
        self.url = ""
        self._listen = listen
        self._figures = figures
        self._feed: Feed[Shown] = Feed()
        self._jpeg = SharedJpeg()
        self._viewers = Viewers(self._feed, max_viewers)
        self._streams = 0
        self._max_streams = 2 * max_viewers
        self._stopping = asyncio.Event()
        self._page = files("receiver.play").joinpath("page.html").read_text(encoding="utf-8")
        self._headers = page_headers(self._page)
        self._runner: web.AppRunner | None = None

    @property
    def viewers(self) -> int:
        """Connected over WebRTC, or about to."""
        return len(self._viewers)

    def show(self, shown: Shown) -> None:
        self._feed.publish(shown)

    async def start(self) -> None:
        app = web.Application(client_max_size=MAX_OFFER_BYTES, middlewares=[same_origin])
        app.add_routes(
            [
                web.get("/", self._get_page),
                web.get("/stats.json", self._get_stats),
                web.get("/events", self._get_events, allow_head=False),
                web.get("/stream.mjpeg", self._get_mjpeg, allow_head=False),
                web.post("/whep", self._post_whep),
                web.delete("/whep/{viewer}", self._delete_whep),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self._listen.host or None, self._listen.port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            reason = error.strerror or str(error)
            raise SinkError(
                f"web.listen: cannot listen on {self._listen}: {reason}; choose another address"
            ) from None
        self._runner = runner
        host, port = runner.addresses[0][:2]
        self.url = f"http://{Address('localhost' if host in ('0.0.0.0', '::') else host, port)}/"
        log.info("page served", url=self.url)

    async def close(self) -> None:
        self._stopping.set()
        self._feed.close()
        await self._viewers.close_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def stats(self) -> dict[str, object]:
        """What the page shows; `trust` holds one digit a block, row by row (0 received, 1 recovered, 2 imagined)."""
        stats: dict[str, object] = dict(self._figures())
        stats["viewers"] = len(self._viewers)
        shown = self._feed.latest
        if shown is not None:
            rows, columns = shown.trust.shape
            cells = (shown.trust.ravel() + ord("0")).tobytes().decode("ascii")
            stats["silence_s"] = shown.silence
            stats["trust"] = {"rows": rows, "columns": columns, "cells": cells}
            stats["width"], stats["height"] = shown.picture.shape[1], shown.picture.shape[0] * 2 // 3
        return stats

    async def _get_page(self, _: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html", headers=self._headers)

    async def _get_stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.stats(), headers=PRIVATE)

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        async def events(response: web.StreamResponse) -> None:
            while not self._stopping.is_set():
                await _write(response, f"data: {json.dumps(self.stats())}\n\n".encode())
                await asyncio.sleep(EVENT_INTERVAL_S)

        return await self._stream(request, "text/event-stream", events)

    async def _get_mjpeg(self, request: web.Request) -> web.StreamResponse:
        async def pictures(response: web.StreamResponse) -> None:
            version = 0
            while True:
                try:
                    async with asyncio.timeout(GONE_INTERVAL_S):
                        version, shown = await self._feed.after(version)
                except TimeoutError:
                    if request.transport is None or request.transport.is_closing():
                        return
                    continue
                await _write(response, part(await self._jpeg.of(shown)))

        return await self._stream(request, f"multipart/x-mixed-replace; boundary={BOUNDARY}", pictures)

    async def _stream(
        self,
        request: web.Request,
        content_type: str,
        body: Callable[[web.StreamResponse], Awaitable[None]],
    ) -> web.StreamResponse:
        if self._streams >= self._max_streams:
            raise web.HTTPServiceUnavailable(text="too many viewers\n", headers={"Retry-After": "5"})
        response = web.StreamResponse(
            headers={**PRIVATE, "Content-Type": content_type, "Connection": "close"}
        )
        self._streams += 1
        try:
            await response.prepare(request)
            await body(response)
        except (FeedClosed, TimeoutError, ConnectionError):
            pass
        finally:
            self._streams -= 1
        return response

    async def _post_whep(self, request: web.Request) -> web.Response:
        if request.content_type != "application/sdp":
            raise web.HTTPUnsupportedMediaType(text="send the offer as application/sdp\n")
        try:
            viewer, answer = await self._viewers.answer((await request.read()).decode())
        except TooManyViewers as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n", headers={"Retry-After": "5"}) from None
        except (OfferError, UnicodeDecodeError) as error:
            log.info("offer refused", reason=str(error))
            raise web.HTTPBadRequest(text="the offer cannot be answered\n") from None
        return web.Response(
            status=201, text=answer, content_type="application/sdp", headers={"Location": f"/whep/{viewer}"}
        )

    async def _delete_whep(self, request: web.Request) -> web.Response:
        if not await self._viewers.close(request.match_info["viewer"]):
            raise web.HTTPNotFound(text="no such viewer\n")
        return web.Response()


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(data)


@web.middleware
async def same_origin(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Other sites open in the same browser may link to the page, but not use what is behind it."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2] != request.host
    # Images and the like come without an Origin; browsers say where they are from all the same.
    site = request.headers.get("Sec-Fetch-Site", "none")
    if foreign or (site not in ("same-origin", "none") and request.path != "/"):
        raise web.HTTPForbidden(text="this page answers only to itself\n")
    return await handler(request)


def page_headers(page: str) -> dict[str, str]:
    """Headers that let the page run its own script and style, whose hashes they name, and nothing else."""
    hashes = {}
    for tag in ("script", "style"):
        found = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = hashlib.sha256((found.group(1) if found else "").encode()).digest()
        hashes[tag] = f"'sha256-{base64.b64encode(digest).decode()}'"
    policy = (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; "
        "connect-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
