"""A video file, played at real-time pace, once or again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import av

from common.log import Log
from common.video import Frame
from sender.capture.base import CaptureOptions, Source, SourceError
from sender.capture.playback import NoPictures, Playback

log = Log("sender.capture")


class FileSource(Source):
    """`--source clip.mp4`: anything FFmpeg reads. With `loop` it never ends."""

    def __init__(self, path: str, options: CaptureOptions) -> None:
        super().__init__(path, options)
        self._path = path

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """See Source."""
        options = self.options
        try:
            playback = Playback(
                self._path,
                options.size,
                loop=options.loop,
                options=dict(options.ffmpeg),
                timeout=None,
                sound=options.sound,
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"source: cannot play {self.name}: {explain(error)}") from None
        log.info("source opened", source=self.name, loop=options.loop)
        self.stats.connected = True
        try:
            yield from self.paced(lambda slot: playback.at(slot / options.fps), stop)
        except (av.FFmpegError, NoPictures) as error:
            raise SourceError(f"source: cannot play {self.name}: {explain(error)}") from None
        finally:
            self.stats.connected = False
            playback.close()


def explain(error: BaseException) -> str:
    """What went wrong, without FFmpeg's error number and without the name that the caller gives anyway."""
    return str(getattr(error, "strerror", None) or error)
