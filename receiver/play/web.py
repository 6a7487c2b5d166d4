"""The browser page and what it needs: WebRTC video (WHEP), figures as server-sent events, JPEGs as a fallback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Middleware

from common.clock import monotonic
from common.log import Log
from common.values import Address
from common.web_server import Server, serve
from common.web_token import TokenError, is_loopback, load_token, new_token
from receiver.audio.block import SoundBlock
from receiver.config import WebSection
from receiver.play.access import Access
from receiver.play.base import Shown, SinkError
from receiver.play.feed import Feed, FeedClosed
from receiver.play.gate import Gate, same_origin, this_host
from receiver.play.maps import SharedMaps, serve_maps
from receiver.play.mjpeg import BOUNDARY, SharedJpeg, part
from receiver.play.page import player_page
from receiver.play.sound_track import SoundTracks
from receiver.play.vp8 import SharedVp8
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

Choose = Callable[[str | None], bool]
"""Puts a sender on show, by its id in the figures, or (None) leaves it to the rule; False: there is no such sender."""

log = Log("play.web")


class WebSink:
    """Serves the page.  Everything runs on the event loop thread but the encoders."""

    name = "web"
    ended = False
    failure = None

    def __init__(self, settings: WebSection, figures: Figures, choose: Choose) -> None:
        """Raises SinkError where the token file cannot be used."""
        self.url = ""
        self._settings = settings
        self._figures = figures
        self._choose = choose
        self._feed: Feed[Shown] = Feed()
        self._jpeg = SharedJpeg()
        self._maps = SharedMaps()
        self._map_viewers = 0
        self._vp8 = SharedVp8(None if settings.video_kbps == "auto" else settings.video_kbps * 1000)
        self._viewers = Viewers(self._vp8, settings.max_viewers)
        self._sound = SoundTracks()
        self._viewers.audio = self._sound.track
        self._streams = 0
        self._max_streams = 2 * settings.max_viewers
        self._stopping = asyncio.Event()
        self._page = player_page()
        self._token = self._new_token()
        self._event = (-EVENT_INTERVAL_S, b"")
        self._port = settings.listen.port
        self._server: Server | None = None

    @property
    def dropped(self) -> int:
        """Pictures that the video encoder was too slow to take."""
        return self._vp8.dropped

    @property
    def viewers(self) -> int:
        """Connected over WebRTC, or about to."""
        return len(self._viewers)

    def show(self, shown: Shown) -> None:
        self._feed.publish(shown)
        self._vp8.show(shown)

    def hear(self, block: SoundBlock) -> None:
        self._sound.hear(block)

    async def start(self) -> None:
        gates: list[Middleware] = [same_origin]
        if self._token is not None:
            gates.append(Gate(Access(self._token), lambda: self._port).middleware)
        elif not self._settings.open:
            gates.append(this_host)
        app = web.Application(client_max_size=MAX_OFFER_BYTES, middlewares=gates)
        app.add_routes(
            [
                web.get("/", self._get_page),
                web.get("/stats.json", self._get_stats),
                web.get("/events", self._get_events, allow_head=False),
                web.get("/stream.mjpeg", self._get_mjpeg, allow_head=False),
                web.get("/maps", self._get_maps, allow_head=False),
                web.post("/sender", self._post_sender),
                web.post("/whep", self._post_whep),
                web.delete("/whep/{viewer}", self._delete_whep),
            ]
        )
        listen = self._settings.listen
        try:
            server = self._server = await serve(app, listen)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SinkError(
                f"web.listen: cannot listen on {listen}: {reason}; choose another address"
            ) from None
        host, self._port = server.address.host, server.address.port
        everywhere = host in ("0.0.0.0", "::")
        self.url = f"http://{Address('localhost' if everywhere else host, self._port)}/"
        self._tell_url(f"http://{Address(socket.gethostname() if everywhere else host, self._port)}/")

    def _new_token(self) -> str | None:
        """What opens the page; None where everybody may see it: on this host alone, or because it was said so."""
        settings = self._settings
        if settings.open:
            return None
        if settings.token_file is not None:
            try:
                return load_token(settings.token_file)
            except TokenError as error:
                raise SinkError(f"web.token_file: {error}") from None
        return None if is_loopback(settings.listen.host) else new_token()

    def _tell_url(self, url: str) -> None:
        if self._token is None:
            if not is_loopback(self._settings.listen.host):
                log.warning("page open to everyone who reaches it", url=url, fix="set web.open to false")
            log.info("page served", url=url)
        elif self._settings.token_file is not None:
            log.info("page served", url=url, token_file=self._settings.token_file)
        else:
            # The one place where a token is told; it is new at every start.
            log.info("page served; open this address", url=f"{url}?token={self._token}")

    async def close(self) -> None:
        self._stopping.set()
        self._feed.close()
        await self._viewers.close_all()
        await self._vp8.close()
        if self._server is not None:
            await self._server.close()
            self._server = None

    def stats(self) -> dict[str, object]:
        """What the page shows; `trust` holds one digit a block, row by row (0 received, 1 recovered, 2 imagined)."""
        stats: dict[str, object] = dict(self._figures())
        stats["viewers"] = len(self._viewers)
        stats["page"] = self._page.version
        shown = self._feed.latest
        if shown is not None:
            rows, columns = shown.trust.shape
            cells = (shown.trust.ravel() + ord("0")).tobytes().decode("ascii")
            stats["silence_s"] = shown.silence
            stats["trust"] = {"rows": rows, "columns": columns, "cells": cells}
            stats["width"], stats["height"] = shown.picture.shape[1], shown.picture.shape[0] * 2 // 3
        return stats

    async def _get_page(self, _: web.Request) -> web.Response:
        return web.Response(text=self._page.html, content_type="text/html", headers=self._page.headers)

    async def _get_stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.stats(), headers=PRIVATE)

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        async def events(response: web.StreamResponse) -> None:
            while not self._stopping.is_set():
                await _write(response, self._current_event())
                await asyncio.sleep(EVENT_INTERVAL_S)

        return await self._stream(request, "text/event-stream", events)

    def _current_event(self) -> bytes:
        """The figures as an event, worked out once for all viewers."""
        now = monotonic()
        if now - self._event[0] >= EVENT_INTERVAL_S / 2:
            self._event = now, f"data: {json.dumps(self.stats())}\n\n".encode()
        return self._event[1]

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

    async def _get_maps(self, request: web.Request) -> web.StreamResponse:
        """`?viewer=ID` of a WebRTC connection: its maps are stamped with the times of its pictures."""
        if self._map_viewers >= self._settings.max_viewers:
            raise web.HTTPServiceUnavailable(text="too many viewers\n", headers={"Retry-After": "5"})
        viewer = request.query.get("viewer", "")

        def timestamp(shown: Shown) -> int | None:
            return self._viewers.timestamp(viewer, self._vp8.pts(shown))

        self._map_viewers += 1
        try:
            return await serve_maps(request, self._feed, self._maps, timestamp)
        finally:
            self._map_viewers -= 1

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

    async def _post_sender(self, request: web.Request) -> web.Response:
        """`{"id": ID}` puts a sender on show, `{"id": null}` leaves it to the rule."""
        wanted: object = 0
        with contextlib.suppress(ValueError, RecursionError):  # of decode() and loads()
            body = json.loads((await request.read()).decode())
            wanted = body.get("id", 0) if isinstance(body, dict) else 0
        if wanted is not None and not isinstance(wanted, str):
            raise web.HTTPBadRequest(text='send {"id": "..."} or {"id": null}\n')
        if not self._choose(wanted):
            raise web.HTTPNotFound(text="no such sender\n")
        log.info("sender chosen", id=wanted or "auto")
        return web.json_response(self.stats(), headers=PRIVATE)

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
