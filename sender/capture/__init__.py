"""Where pictures come from. `create_source` chooses the kind by the source text.

| source text | kind |
|---|---|
| `synthetic`, `synthetic:7` | a procedural scene (with a seed) |
| `tabletop`, `tabletop:7` | a rendered clip that comes with the project (and its number) |
| `/dev/video0`, all of `/dev` but plain files | a camera of this host (Video4Linux2) |
| `:0.0`, `screen`, `screen:0.0+100,50` | the screen (X11), from an offset |
| `rtsp://...`, `http://...`, `udp://...`, any scheme of FFmpeg | a network stream |
| `whip://...`, `whips://...` | whoever publishes to us: a phone, a browser, OBS |
| `list.m3u`, `list.m3u8`, `list.txt`, `clips/*.mp4` | several files |
| anything else, `file:///...` | a video file |
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.service import ServiceError
from sender.capture.base import CaptureOptions, Source
from sender.capture.device import DeviceSource
from sender.capture.file import FileSource
from sender.capture.generated import NAME, SyntheticSource
from sender.capture.playlist import is_list
from sender.capture.reel import ListSource
from sender.capture.screen import ScreenSource, is_screen
from sender.capture.tabletop import NAME as TABLETOP
from sender.capture.tabletop import TabletopSource
from sender.capture.url import UrlSource


def create_source(source: str, options: CaptureOptions) -> Source:
    """The source that `source` names; nothing is opened yet.

    Raises SourceError for a text that cannot be, ServiceError where an extra is missing.
    """
    if source == NAME or source.startswith(NAME + ":"):
        return SyntheticSource(source, options)
    if source == TABLETOP or source.startswith(TABLETOP + ":"):
        return TabletopSource(source, options)
    if source.startswith("/dev/") and not Path(source).is_file():
        return DeviceSource(source, options)
    if is_screen(source):
        return ScreenSource(source, options)
    if source.startswith("file://"):
        return FileSource(unquote(urlsplit(source).path), options)
    if source.lower().startswith(("whip://", "whips://")):
        return _whip(source, options)
    if "://" in source:
        return UrlSource(source, options)
    if is_list(source):
        return ListSource(source, options)
    return FileSource(source, options)


def _whip(source: str, options: CaptureOptions) -> Source:
    try:
        from sender.capture.whip.source import WhipSource
    except ImportError as error:
        raise ServiceError(
            f"source: whip needs aiortc and aiohttp ({error}); install: pip install 'semcast[web]'"
        ) from None
    return WhipSource(source, options)
