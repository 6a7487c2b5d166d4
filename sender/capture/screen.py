"""The screen of this host, through X11."""

from __future__ import annotations

import os
import re

from sender.capture.base import CaptureOptions
from sender.capture.live import LiveSource

DISPLAY = re.compile(r"^(screen)?(?P<display>:\d+(\.\d+)?)?(?P<offset>\+\d+,\d+)?$")
"""`screen`, `screen:0.0`, `:0.0`, each with an optional `+X,Y` offset."""


def is_screen(source: str) -> bool:
    """Whether a source names a screen."""
    return bool(source) and DISPLAY.match(source) is not None


class ScreenSource(LiveSource):
    """`--source :0.0` or `--source screen` (the display of this session)."""

    def __init__(self, source: str, options: CaptureOptions) -> None:
        match = DISPLAY.match(source)
        if match is None:
            raise ValueError(f"not a screen: {source}")
        display = match["display"] or os.environ.get("DISPLAY") or ":0.0"
        super().__init__(
            source,
            options,
            url=display + (match["offset"] or ""),
            format="x11grab",
            ffmpeg={"framerate": f"{options.fps:g}", "draw_mouse": "1"},
            must_exist=not options.wait,
            hint=f"is an X server running at {display}, and may this user connect to it?",
        )
