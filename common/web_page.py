"""Pages that are one file: their own script and style run, and nothing else; other sites stay out."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

OWN = {
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "media-src": "'self' blob:",
    "form-action": "'none'",
}
"""What a page with live video has to be allowed."""

DIRECT = ("none", "same-origin")
"""Sec-Fetch-Site of what was typed, or came from the page itself. Over plain HTTP browsers do not say."""


def page_headers(page: str, allowed: Mapping[str, str] = OWN) -> dict[str, str]:
    """Headers that allow what `allowed` says and the page's `<script>` and `<style>` (at most one of each), which the
    policy names by their hashes (CSP level 2)."""
    rules = {"default-src": "'none'"}
    for tag in ("script", "style"):
        found = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        if found is not None:
            digest = hashlib.sha256(found.group(1).encode()).digest()
            rules[f"{tag}-src"] = f"'sha256-{base64.b64encode(digest).decode()}'"
    rules |= {**allowed, "base-uri": "'none'", "frame-ancestors": "'none'"}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def own_origin(request: web.Request) -> bool:
    """Whether no page of another site has made the request, as far as its Origin says."""
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.host


def direct(request: web.Request) -> bool:
    """Likewise, as the browser says: images and the like come without an Origin."""
    return request.headers.get("Sec-Fetch-Site", "none") in DIRECT


def own_host(host: str) -> bool:
    """Whether a Host header is an address or localhost: a foreign name may be DNS rebinding."""
    name = ""
    with contextlib.suppress(ValueError):
        name = (
            urlsplit(f"//{host}").hostname if "[" not in host else host.strip("[]").partition("]")[0]
        ) or ""
        ipaddress.ip_address(name)
        return True
    return name.lower() == "localhost"
