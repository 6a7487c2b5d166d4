"""The HTTP side of WHIP ingest (RFC 9725) and the capture page at `/`.

An offer is POSTed to the path of the source, the answer is 201 with the session's place in Location, and DELETE there
ends it. There is no trickle ICE and no ICE restart, so PATCH is 405, as section 4.3 says for such servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from importlib.resources import files

import aioice.ice
from aiohttp import web
from av import AudioFrame, VideoFrame

from common.config import ConfigError
from common.log import Log, RateLimited
from common.values import Address, Size
from common.web_page import direct, own_host, own_origin, page_headers
from common.web_server import Server, serve
from common.web_token import authorised
from sender.capture.base import CaptureStats, SourceError
from sender.capture.whip.place import Place
from sender.capture.whip.publishers import OfferError, Publishers
from sender.capture.whip.tls import ServerTls

MAX_OFFER_BYTES = 64 * 1024
READ_S = 10.0
"""How long an offer may take to come in."""

RENEW_S = 60.0
"""How often a certificate file is looked at."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, DELETE, GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Expose-Headers": "Location, WWW-Authenticate",
    "Access-Control-Max-Age": "86400",
}
"""Pages of other sites may publish where a token is asked for: they have to bring it themselves."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = Log("sender.capture")


class WhipServer:
    """Listens, and hands on pictures and sound of the publisher on the air (see Publishers). One event loop.

    Without `hear` no sound is sent, and the page does not ask for the microphone."""

    def __init__(
        self,
        place: Place,
        size: Size,
        fps: float,
        stats: CaptureStats,
        deliver: Callable[[VideoFrame, float], None],
        hear: Callable[[AudioFrame, float], None] | None = None,
        *,
        token: str | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        self.url = ""
        self.publishers = Publishers(deliver) if hear is None else Publishers(deliver, hear)
        self._place = place
        self._link = {"width": size.width, "height": size.height, "fps": fps, "sound": hear is not None}
        self._stats = stats
        self._token = token
        self._tls = tls
        self._refusals = RateLimited(log)
        self._answering = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None
        self._server: Server | None = None
        folder = files("sender.capture.whip")
        page, script = (
            folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "microphone.js")
        )
        page = page.replace('data-endpoint=""', f'data-endpoint="{place.path}"')
        self._page = page.replace("/*microphone*/\n", script)
        # The page itself holds no secret: the token comes in the fragment of its URL, which no server is sent.
        self._headers = page_headers(self._page) | {
            "Permissions-Policy": f"camera=(self), microphone=({'self' if hear is not None else ''})"
        }

    async def start(self) -> None:
        """Listen. Raises SourceError."""
        app = web.Application(client_max_size=MAX_OFFER_BYTES, middlewares=[self._guard])
        session = self._place.path + "/{session}"
        app.add_routes(
            [
                web.get("/", self._get_page),
                web.get("/state.json", self._get_state),
                web.options("/state.json", self._options),
                web.post(self._place.path, self._post_offer),
                web.options(self._place.path, self._options),
                web.delete(session, self._delete),
                web.options(session, self._options),
            ]
        )
        listen = self._place.listen
        try:
            server = self._server = await serve(app, listen, self._tls.context if self._tls else None)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SourceError(
                f"source: cannot listen on {listen}: {reason}; choose another port or address"
            ) from None
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://{Address(visible_host(server.address.host), server.address.port)}/"
        if self._tls is not None and not self._tls.self_signed:
            self._renewing = asyncio.get_running_loop().create_task(self._renew(self._tls), name="whip-renew")

    async def close(self) -> None:
        """End all connections and stop listening."""
        if self._renewing is not None:
            self._renewing.cancel()
        await self.publishers.close_all()
        if self._server is not None:
            await self._server.close()
            self._server = None
        self._refusals.flush()

    async def _renew(self, tls: ServerTls) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                if tls.renew():
                    log.info("certificate renewed", sha256=tls.fingerprint)
            except ConfigError as error:
                self._refusals.add("certificate not renewed", reason=str(error))

    async def _get_page(self, _: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html", headers=self._headers)

    async def _get_state(self, request: web.Request) -> web.Response:
        on_air = self.publishers.on_air
        state = {**self._link, "publisher": None if on_air is None else on_air.id[:4]}
        return web.json_response(state, headers={"Cache-Control": "no-store"})

    async def _options(self, request: web.Request) -> web.Response:
        offers = request.path == self._place.path
        return web.Response(status=204, headers={"Accept-Post": "application/sdp"} if offers else {})

    async def _post_offer(self, request: web.Request) -> web.Response:
        if request.content_type != "application/sdp":
            raise web.HTTPUnsupportedMediaType(text="send the offer as application/sdp\n")
        try:
            # First: a phone that has lost its network in the middle of its offer must not lock itself out.
            async with asyncio.timeout(READ_S):
                offer = (await request.read()).decode()
        except UnicodeDecodeError:
            raise self._unanswered("not UTF-8") from None
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the offer did not come\n") from None
        if self._answering.locked():
            raise web.HTTPServiceUnavailable(
                text="another offer is being answered\n", headers={"Retry-After": "1"}
            )
        async with self._answering:
            try:
                name, answer = await self.publishers.answer(offer)
            except OfferError as error:
                raise self._unanswered(str(error)) from None
        headers = {"Location": f"{self._place.path}/{name}"}
        return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

    async def _delete(self, request: web.Request) -> web.Response:
        if not await self.publishers.close(request.match_info["session"]):
            raise web.HTTPNotFound(text="no such session\n")
        return web.Response()

    def _unanswered(self, reason: str) -> web.HTTPBadRequest:
        self._refuse("offer", reason)
        return web.HTTPBadRequest(text=f"the offer cannot be answered: {reason[:200]}\n")

    def _refuse(self, why: str, reason: str) -> None:
        self._stats.refused += 1
        self._refusals.add(f"{why} refused", reason=reason)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who may do what; the page itself is for everyone."""
        if self._token is None:
            # Nothing but the address protects: other sites open in a browser of this host must stay out.
            own = own_origin(request) and (direct(request) or request.path == "/")
            if not own_host(request.host) or not own:
                self._refuse("request", "from another site")
                raise web.HTTPForbidden(text="this page answers only to itself\n")
            return await handler(request)
        open_to_all = request.method == "OPTIONS" or request.path == "/"
        if not open_to_all and not authorised(request.headers.get("Authorization"), self._token):
            self._refuse("request", "wrong token")
            headers = {"WWW-Authenticate": "Bearer", **CORS}
            raise web.HTTPUnauthorized(text="wrong or missing token\n", headers=headers)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(CORS)
            raise
        if request.path != "/":
            response.headers.update(CORS)
        return response


def visible_host(host: str) -> str:
    """How others reach what listens on `host`: where that is every interface, by the address of the default route."""
    if host not in ("", "0.0.0.0", "::"):
        return host
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: looks up the route
        return str(probe.getsockname()[0])
    found = sorted(aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False))
    return found[0] if found else "localhost"
