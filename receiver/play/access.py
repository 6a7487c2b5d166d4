"""Who may see the page: a token, exchanged for a cookie, or as a bearer (RFC 6750). The core is pure.

A token comes from a file, or is made at the start and told once in the log as the address to open. The cookie is
derived from it, so that it stays good when the receiver is restarted with the same file, and does not tell the token.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections import OrderedDict
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from receiver.play.base import SinkError

SHORTEST, LONGEST = 16, 256
"""Characters of a token."""

BURST, REFILL_S = 10, 6.0
"""Wrong tokens that one address may try at once, and seconds after which it may try another."""
ALL_BURST, ALL_REFILL_S = 100, 0.2
"""Likewise for all addresses together."""
MAX_ADDRESSES = 1024

COOKIE_SECONDS = 30 * 86_400


class Verdict(Enum):
    """What is to be done with a request."""

    GRANTED = auto()
    MISSING = auto()
    """It brings nothing that could be right."""
    WRONG = auto()
    LIMITED = auto()
    """Too many wrong ones have come; nothing was compared."""


class Bucket:
    """`burst` at once, then one every `refill` seconds."""

    def __init__(self, burst: int, refill: float, now: float) -> None:
        self._burst, self._refill = burst, refill
        self._level, self._at = float(burst), now

    def left(self, now: float) -> bool:
        """Whether one may be spent."""
        self._level = min(self._burst, self._level + max(0.0, now - self._at) / self._refill)
        self._at = now
        return self._level >= 1

    def spend(self) -> None:
        self._level -= 1


class Attempts:
    """Wrong tokens by address, bounded in rate and in memory. Pure, `now` in monotonic seconds."""

    def __init__(self) -> None:
        self._all = Bucket(ALL_BURST, ALL_REFILL_S, 0.0)
        self._by: OrderedDict[str, Bucket] = OrderedDict()

    def allowed(self, address: str, now: float) -> bool:
        bucket = self._by.get(network(address))
        return self._all.left(now) and (bucket is None or bucket.left(now))

    def failed(self, address: str, now: float) -> None:
        """Count a wrong one."""
        key = network(address)
        bucket = self._by.pop(key, None) or Bucket(BURST, REFILL_S, now)
        bucket.spend()
        self._by[key] = bucket
        while len(self._by) > MAX_ADDRESSES:
            self._by.popitem(last=False)
        self._all.spend()


class Access:
    """Judges requests by one token."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.cookie = hmac.new(token.encode(), b"semcast page cookie", hashlib.sha256).hexdigest()
        """Value of the cookie that stands for the token."""
        self._attempts = Attempts()

    def judge(self, address: str, now: float, token: str | None = None, cookie: str | None = None) -> Verdict:
        """`address`: where the request is from; `token`: as in its query, form or header. Compares in constant time.

        A right cookie is always granted: it has 256 bits, and others must not be able to lock its owner out. Nobody
        can guess it, so that a wrong one is no attempt: pages left open since the token was another send theirs."""
        if cookie is not None and _same(cookie, self.cookie):
            return Verdict.GRANTED
        if token is None:
            return Verdict.MISSING if cookie is None else Verdict.WRONG
        if not self._attempts.allowed(address, now):
            return Verdict.LIMITED
        if _same(token, self._token):
            return Verdict.GRANTED
        self._attempts.failed(address, now)
        return Verdict.WRONG


def _same(given: str, right: str) -> bool:
    """Takes as long for every text of the same length; what comes from outside may be no valid text."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), right.encode())


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


def is_loopback(host: str) -> bool:
    """Whether what listens there is reached from this host alone. An empty host is every interface."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def bearer(header: str) -> str | None:
    """The token of an Authorization header; None without one."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def token_from(path: Path) -> str:
    """The token in a file, which is made with a new one if it is not there. Raises SinkError with the fix."""
    try:
        with suppress(FileExistsError), open(path, "xb", opener=_private) as file:
            file.write(new_token().encode() + b"\n")
        mode, data = path.stat().st_mode, path.read_bytes()[: 4 * LONGEST]
    except OSError as error:
        raise SinkError(f"web.token_file: cannot use {path}: {error.strerror}") from None
    if mode & 0o077:
        raise SinkError(f"web.token_file: {path} must be readable by its owner alone: chmod 600 {path}")
    return token_in(data, path)


def token_in(data: bytes, path: Path) -> str:
    """The token that the content of a file holds. Raises SinkError."""
    token = data.strip().decode("ascii", errors="replace")
    plain = token.isascii() and token.isprintable() and " " not in token
    if not plain or not SHORTEST <= len(token) <= LONGEST:
        raise SinkError(
            f"web.token_file: {path} must hold {SHORTEST} to {LONGEST} letters, digits and signs without spaces; "
            "remove it to have one made"
        )
    return token


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
