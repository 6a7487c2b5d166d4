"""The page as one response: HTML, style and script put together, and the policy that lets just these run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from common.web_page import page_headers

SCRIPTS = (
    *("base.js", "figures.js", "overlay.js", "map_data.js", "map.js", "connection.js"),
    *("senders.js", "snapshot.js", "controls.js", "main.js"),
)
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
    return Page(html, page_headers(html), hashlib.sha256(html.encode()).hexdigest()[:16])


def login_page(message: str) -> Page:
    """Asks for the token; works without script. `message`: plain text of ours."""
    folder = files("receiver.play").joinpath("static")
    style = _text(folder, "base.css") + _text(folder, "login.css")
    html = _text(folder, "login.html").replace("/*style*/", style).replace("MESSAGE", message)
    headers = page_headers(html, {"img-src": "data:", "form-action": "'self'"})
    # Without a referrer browsers send the form as from nowhere, and what is from nowhere is refused.
    return Page(html, headers | {"Referrer-Policy": "same-origin"}, "")


def _text(folder: Traversable, name: str) -> str:
    return folder.joinpath(name).read_text(encoding="utf-8")
