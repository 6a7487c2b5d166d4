"""The page as one response: HTML, style and script put together, and the policy that lets just these run."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

SCRIPTS = ("base.js", "figures.js", "overlay.js", "connection.js", "senders.js", "controls.js", "main.js")
"""In the order in which they run, as one script."""


@dataclass(frozen=True, slots=True)
class Page:
    """A self-contained page."""

    html: str
    headers: dict[str, str]
    version: str
    """Changes with the page."""


def player_page() -> Page:
    """The player."""
    folder = files("receiver.play").joinpath("static")
    style = _text(folder, "base.css") + _text(folder, "page.css")
    script = '"use strict";\n' + "\n".join(_text(folder, name) for name in SCRIPTS)
    html = _text(folder, "page.html").replace("/*style*/", style).replace("/*script*/", script)
    policy = {
        "script-src": _hash(script),
        "style-src": _hash(style),
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "media-src": "'self' blob:",
        "form-action": "'none'",
    }
    return Page(html, _headers(policy), hashlib.sha256(html.encode()).hexdigest()[:16])


def login_page(message: str) -> Page:
    """Asks for the token; works without script. `message`: plain text of ours."""
    folder = files("receiver.play").joinpath("static")
    style = _text(folder, "base.css") + _text(folder, "login.css")
    html = _text(folder, "login.html").replace("/*style*/", style).replace("MESSAGE", message)
    policy = {"style-src": _hash(style), "img-src": "data:", "form-action": "'self'"}
    # Without a referrer browsers send the form as from nowhere, and what is from nowhere is refused.
    return Page(html, _headers(policy) | {"Referrer-Policy": "same-origin"}, "")


def _text(folder: Traversable, name: str) -> str:
    return folder.joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _headers(policy: dict[str, str]) -> dict[str, str]:
    """Headers that allow what `policy` says, and nothing else."""
    rules = {"default-src": "'none'", **policy, "base-uri": "'none'", "frame-ancestors": "'none'"}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
