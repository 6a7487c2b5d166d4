"""Bearer tokens of the daemons' pages (RFC 6750): made, read from a file, compared in constant time."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import stat
from pathlib import Path

MIN_CHARS = 16
"""A shorter token could be guessed over the network."""

MAX_CHARS = 256
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class TokenError(ValueError):
    """The file holds no token that could be used; the text says what to do."""


def new_token() -> str:
    """A random token of 144 bits that needs no quoting in a URL."""
    return secrets.token_urlsafe(18)


def load_token(path: Path) -> str:
    """The token in a file, white space around it left out; a missing file is made, with a new token.

    Raises TokenError, also for a file that others may read (one of ours must be 0600 or less; one of another owner,
    such as systemd's credentials, may be readable by our group).
    """
    try:
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write((token := new_token()) + "\n")
            return token
        except FileExistsError:
            pass
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(4 * MAX_CHARS).decode("ascii", "replace").strip()
    except OSError as error:
        raise TokenError(f"{path}: {error.strerror}") from None
    mode = stat.S_IMODE(status.st_mode)
    if mode & (0o077 if status.st_uid == os.geteuid() else 0o037):
        raise TokenError(f"{path}: open to others (mode {mode:04o}); run: chmod 600 {path}")
    if not MIN_CHARS <= len(text) <= MAX_CHARS or not _TOKEN68.fullmatch(text):
        raise TokenError(
            f"{path}: a token is {MIN_CHARS} to {MAX_CHARS} letters, digits and -._~+/; "
            "remove the file and a new one is made"
        )
    return text


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header; None without one."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def same(given: str, right: str) -> bool:
    """Takes as long for every text of the same length; what comes from outside may be no valid text."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), right.encode())


def authorised(header: str | None, token: str | None) -> bool:
    """Whether an Authorization header brings the token; always where none is needed (`token` None)."""
    return token is None or same(bearer(header) or "", token)


def is_loopback(host: str) -> bool:
    """Whether only this host reaches what listens on `host` (a name or an address; empty: every interface)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
