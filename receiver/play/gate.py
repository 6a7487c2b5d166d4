"""The page's gate, as aiohttp middlewares: keeps other sites out, and where a token is asked for, whoever has none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from common.clock import monotonic
from common.log import Log, RateLimited
from common.web_host import own_host
from receiver.play.access import COOKIE_SECONDS, Access, Verdict, bearer
from receiver.play.page import login_page

MESSAGES = {
    Verdict.MISSING: "This page needs its access token.",
    Verdict.WRONG: "That is not the access token.",
    Verdict.LIMITED: "Too many wrong tokens. Wait a minute, then try again.",
}
HINTS = {
    Verdict.MISSING: "an access token is needed: open /?token=..., or send Authorization: Bearer ...\n",
    Verdict.WRONG: "that is not the access token\n",
    Verdict.LIMITED: "too many wrong tokens; wait a minute\n",
}

DIRECT = ("none", "same-origin")
"""Sec-Fetch-Site of what was typed, or came from the page itself. Over plain HTTP browsers do not say."""

READ_S = 10.0
"""How long a token may take to come in."""

AGAIN = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>semcast</title>'
)
"""A browser that follows a link from another site leaves a strict cookie out; from here it sends it."""

log = Log("play.web")


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Other sites open in the same browser may link to the page, but not use what is behind it."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2] != request.host
    # Images and the like come without an Origin; browsers say where they are from all the same.
    site = request.headers.get("Sec-Fetch-Site", "none")
    if foreign or (site not in DIRECT and (request.path != "/" or request.method != "GET")):
        raise web.HTTPForbidden(text="this page answers only to itself\n")
    return await handler(request)


@web.middleware
async def this_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """For a page that nothing but its address protects: the owner of another site may let its name lead here, and
    what he serves is then of the same origin (DNS rebinding)."""
    if not own_host(request.host):
        raise web.HTTPForbidden(
            text="without a token this page answers to localhost and addresses only: open it by one of those, or set "
            "web.token_file, or web.open where something else protects it\n"
        )
    return await handler(request)


class Gate:
    """Asks for the token. Event loop thread."""

    def __init__(self, access: Access, port: Callable[[], int]) -> None:
        """`port`: of the page; cookies of two receivers on one host must not mix, and ports do not keep them apart."""
        self._access = access
        self._port = port
        self._pages = {verdict: login_page(message) for verdict, message in MESSAGES.items()}
        self._refused = RateLimited(log)

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._ask(request, handler)

        return ask

    async def _ask(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/login" and request.method == "POST":
            try:
                async with asyncio.timeout(READ_S):
                    form = await request.post()
            except TimeoutError:
                raise web.HTTPRequestTimeout(text="the token did not come\n") from None
            given = form.get("token")
            return self._enter(request, given.strip() if isinstance(given, str) else "")
        token = request.query.get("token") if request.path == "/" else None
        if token is not None:
            return self._enter(request, token)
        cookie = request.cookies.get(self._cookie)
        verdict = self._judge(request, bearer(request.headers.get("Authorization", "")), cookie)
        if verdict is Verdict.GRANTED:
            return await handler(request)
        if (
            cookie is None
            and request.path == "/"
            and request.headers.get("Sec-Fetch-Site", "none") == "cross-site"
        ):
            return web.Response(text=AGAIN, content_type="text/html", headers={"Cache-Control": "no-store"})
        return self._refuse(request, verdict)

    @property
    def _cookie(self) -> str:
        return f"semcast-{self._port()}"

    def _judge(self, request: web.Request, token: str | None, cookie: str | None) -> Verdict:
        verdict = self._access.judge(request.remote or "", monotonic(), token, cookie)
        if verdict in (Verdict.WRONG, Verdict.LIMITED):
            self._refused.add("wrong access token", source=request.remote or "-")
        return verdict

    def _enter(self, request: web.Request, token: str) -> web.StreamResponse:
        """The token for a cookie, and on to the page without it in the address."""
        verdict = self._judge(request, token, None)
        if verdict is not Verdict.GRANTED:
            return self._refuse(request, verdict)
        if request.method == "POST" or request.headers.get("Sec-Fetch-Site") in DIRECT:
            response = web.Response(status=303, headers={"Location": "/"})
        else:
            response = web.Response(text=AGAIN, content_type="text/html")
        response.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        response.set_cookie(
            self._cookie,
            self._access.cookie,
            max_age=COOKIE_SECONDS,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    def _refuse(self, request: web.Request, verdict: Verdict) -> web.StreamResponse:
        status = 429 if verdict is Verdict.LIMITED else 401
        headers = {"Retry-After": "60"} if status == 429 else {"WWW-Authenticate": 'Bearer realm="semcast"'}
        if request.path not in ("/", "/login"):
            return web.Response(status=status, text=HINTS[verdict], headers=headers)
        page = self._pages[verdict]
        headers |= page.headers | {"Cache-Control": "no-store"}
        return web.Response(status=status, text=page.html, content_type="text/html", headers=headers)
