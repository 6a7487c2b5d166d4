"""Where to listen for publishers: `whip://[HOST]:PORT/PATH`, or `whips://` for HTTPS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.values import Address
from sender.capture.base import SourceError

DEFAULT_PATH = "/whip"
EXAMPLE = "for example whips://:8889/cam (every interface, HTTPS) or whip://127.0.0.1:8889/cam"
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
RESERVED = ("/state.json",)


@dataclass(frozen=True, slots=True)
class Place:
    """`listen` with an empty host: every interface. `path`: where publishers POST their offers."""

    listen: Address
    path: str
    tls: bool


def parse_place(source: str) -> Place:
    """The place that a source text names. Raises SourceError with the fix."""
    try:
        parts = urlsplit(source)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise SourceError(f"source: {source}: {error}; {EXAMPLE}") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise SourceError("source: a whip URL holds no password or token; set capture.token_file instead")
    if port is None:
        raise SourceError(f"source: {source}: needs the port to listen on, {EXAMPLE}")
    path = DEFAULT_PATH if parts.path in ("", "/") else parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or path in RESERVED or {".", ".."} & set(path.split("/")):
        raise SourceError(f"source: {source}: a path is made of letters, digits and -._~, {EXAMPLE}")
    return Place(Address(host, port), path, parts.scheme.lower() == "whips")
