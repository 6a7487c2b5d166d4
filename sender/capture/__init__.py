"""Where pictures come from. `create_source` chooses the kind by the source text.

| source text | kind |
|---|---|
| `synthetic`, `synthetic:7` | a procedural scene (with a seed) |
| `/dev/video0`, all of `/dev` but plain files | a camera of this host (Video4Linux2) |
| `:0.0`, `screen`, `screen:0.0+100,50` | the screen (X11), from an offset |
| `rtsp://...`, `http://...`, `udp://...`, any scheme of FFmpeg | a network stream |
| anything else, `file:///...` | a video file |
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from sender.capture.base import CaptureOptions, Source
from sender.capture.device import DeviceSource
from sender.capture.file import FileSource
from sender.capture.generated import NAME, SyntheticSource
from sender.capture.screen import ScreenSource, is_screen
from sender.capture.url import UrlSource


def create_source(source: str, options: CaptureOptions) -> Source:
    """The source that `source` names; nothing is opened yet. Raises SourceError for a text that cannot be."""
    if source == NAME or source.startswith(NAME + ":"):
        return SyntheticSource(source, options)
    if source.startswith("/dev/") and not Path(source).is_file():
        return DeviceSource(source, options)
    if is_screen(source):
        return ScreenSource(source, options)
    if source.startswith("file://"):
        return FileSource(unquote(urlsplit(source).path), options)
    if "://" in source:
        return UrlSource(source, options)
    return FileSource(source, options)
