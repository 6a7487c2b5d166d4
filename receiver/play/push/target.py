"""Where a push goes: the URL given to `--play`, checked, and what of it may be told to others. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from common.redact import redact

PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "srt": None, "whip": 80, "whips": 443}
"""The schemes of a push, each with the port that is taken when the URL has none; None: it must have one."""

SRT_NUMBERS = {"latency": (20, 8000), "pbkeylen": (16, 32), "pkt_size": (188, 1456)}
SRT_OPTIONS = ("streamid", "passphrase", "mode", *SRT_NUMBERS)
PASSPHRASE_BYTES = (10, 79)
STREAM_ID_BYTES = 512

HIDDEN = "***"
SHORTEST_SECRET = 3
"""Shorter ones are not searched for in texts: they would blank out half of every message."""


@dataclass(frozen=True, slots=True)
class Target:
    """One push. Never log `url`, `user`, `password` or `options`: `label` is for that."""

    url: str = field(repr=False)
    scheme: str
    host: str
    port: int
    label: str
    """The URL without credentials and stream keys, for logs and metrics."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False, hash=False)
    """What stands behind the `?` of an SRT URL."""

    def scrub(self, text: str) -> str:
        """A text of a library or server, without anything secret of this push."""
        _, _, path = self.url.partition("://")
        found = {self.password, self.user, *self.options.values()}
        if self.scheme.startswith("rtmp"):
            found |= {path.rpartition("/")[2], path.rpartition("/")[2].partition("?")[0]}
        found |= {unquote(secret) for secret in found}
        for secret in sorted(found, key=len, reverse=True):
            if len(secret) >= SHORTEST_SECRET and secret not in self.label:
                text = text.replace(secret, HIDDEN)
        return redact(text)


def is_push(name: str) -> bool:
    """Whether the name of a sink is the URL of a push."""
    return name.partition("://")[0].lower() in PORTS and "://" in name


def target_of(url: str) -> Target:
    """The push that `url` asks for. Raises ValueError with the fix, without credentials."""
    scheme = url.partition("://")[0].lower()
    if not is_push(url):
        raise ValueError(f"must begin with one of {', '.join(f'{name}://' for name in PORTS)}")
    if any(not char.isprintable() or char.isspace() for char in url):
        raise ValueError("must not contain spaces or control characters; write them as %20 and so on")
    plain, _, query = url.partition("?")
    try:
        parts = urlsplit(plain if scheme == "srt" else url)
        port = parts.port or PORTS[scheme]
    except ValueError:
        raise ValueError(f"must be {scheme}://HOST[:PORT]/...; host or port cannot be read") from None
    if not parts.hostname:
        raise ValueError(f"must name a host: {scheme}://HOST/...")
    if port is None:
        raise ValueError("must name a port, for example srt://HOST:8890?streamid=publish:NAME")
    options = _srt_options(query) if scheme == "srt" else {}
    if scheme.startswith("rtmp") and len([part for part in parts.path.split("/") if part]) < 2:
        raise ValueError(f"must name the application and the stream key: {scheme}://HOST/APP/KEY")
    if scheme.startswith("rtsp") and parts.path in ("", "/"):
        raise ValueError(f"must name the path to publish at: {scheme}://HOST:8554/NAME")
    return Target(
        *(url, scheme, parts.hostname, port, f"{scheme}://{_label(parts, scheme, options)}"),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        options=options,
    )


def _label(parts: SplitResult, scheme: str, options: dict[str, str]) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"{host}:{parts.port}" if parts.port else str(host)
    if scheme == "srt":
        # publish:NAME:USER:PASSWORD is MediaMTX's form; what other servers put there may be a key.
        words = options.get("streamid", "").split(":")
        named = words[0] == "publish" and len(words) > 1
        return address + (f"?publish:{words[1]}" if named else f"?{HIDDEN}" if words[0] else "")
    if scheme.startswith("rtmp"):
        return f"{address}/{parts.path.strip('/').partition('/')[0]}/{HIDDEN}"
    return address + parts.path


def _srt_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        if name not in SRT_OPTIONS:
            raise ValueError(f"SRT option {name[:20]!r} is not one of {', '.join(SRT_OPTIONS)}")
        options[name] = unquote(value)
    for name, (least, most) in SRT_NUMBERS.items():
        value = options.get(name, str(least))
        if not (value.isascii() and value.isdigit() and least <= int(value[:9]) <= most):
            unit = " ms" if name == "latency" else ""
            raise ValueError(f"SRT option {name} must be {least} to {most}{unit}")
    if options.get("pbkeylen", "16") not in ("16", "24", "32"):
        raise ValueError("SRT option pbkeylen must be 16, 24 or 32")
    if options.get("mode", "caller") != "caller":
        raise ValueError("SRT option mode must be caller: the media server listens")
    length = len(options.get("passphrase", "x" * 10).encode())
    if not PASSPHRASE_BYTES[0] <= length <= PASSPHRASE_BYTES[1]:
        raise ValueError("SRT option passphrase must have 10 to 79 bytes")
    if len(options.get("streamid", "").encode()) > STREAM_ID_BYTES:
        raise ValueError("SRT option streamid must have at most 512 bytes")
    return options
