"""Sources with a clock of their own: frames are taken as they come; a source that goes is reopened."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import av

from common.log import Log
from common.video import Frame, Resizer
from sender.capture.base import CaptureOptions, Source, SourceError
from sender.capture.file import explain
from sender.capture.playback import NoPictures, decoded, open_input, pixel_aspect, video_stream
from sender.capture.timing import Backoff, Cadence

log = Log("sender.capture")

HOPELESS = (
    av.error.ProtocolNotFoundError,
    av.error.DemuxerNotFoundError,
    av.error.OptionNotFoundError,
)
"""Errors that trying again cannot mend."""


class LiveSource(Source):
    """A camera, a screen or a live stream.

    `must_exist`: whether a source that is not there at the start is an error (a device on this host), or
    something to wait for (a camera on the network). `hint` ends that error text.
    """

    def __init__(
        self,
        name: str,
        options: CaptureOptions,
        *,
        url: str,
        format: str | None = None,
        ffmpeg: dict[str, str] | None = None,
        must_exist: bool = True,
        hint: str = "",
    ) -> None:
        super().__init__(name, options)
        self.url = url
        self.format = format
        # Not fflags=nobuffer: it throws away what was read while probing, the only key frame perhaps.
        self.ffmpeg = {**(ffmpeg or {}), **dict(options.ffmpeg)}
        self.backoff = Backoff()
        self.finished = False
        self._must_exist = must_exist
        self._hint = hint
        self._cadence = Cadence(options.fps)
        self._resizer = Resizer(options.size.width, options.size.height)

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """See Source. Ends by itself only when `finished` was set."""
        opened_before = False
        while not stop.is_set():
            try:
                for frame in self.connection(stop):
                    opened_before = True
                    yield frame
                if self.finished:
                    return
                reason = "the stream ended"
            except HOPELESS as error:
                raise SourceError(f"source: cannot open {self.name}: {explain(error)}") from None
            except (av.FFmpegError, OSError, ValueError) as error:
                reason = explain(error)
                if self._must_exist and not opened_before:
                    hint = f"; {self._hint}" if self._hint else ""
                    raise SourceError(f"source: cannot open {self.name}: {reason}{hint}") from None
            finally:
                self.stats.connected = False
            if not stop.is_set():
                pause = self.backoff.next()
                self.stats.reconnects += 1
                log.warning("source gone", source=self.name, reason=reason, retry_seconds=pause)
                stop.wait(pause)

    def connection(self, stop: threading.Event) -> Iterator[Frame]:
        """The frames of one connection. Raises av.FFmpegError, OSError or ValueError when it breaks."""
        container = open_input(self.url, self.format, self.ffmpeg, self.options.timeout)
        try:
            stream = video_stream(container)
            aspect = pixel_aspect(stream)
            log.info("source opened", source=self.name, width=stream.width, height=stream.height)
            sound = self.options.sound
            for frame in decoded(container, stream, sound, live=True):
                if stop.is_set():
                    return
                self.stats.connected = True
                self.backoff.reset()
                now = self.clock()
                if sound is not None and frame.time is not None:
                    sound.anchor(frame.time, self.wall.from_monotonic(now))
                slots = self._cadence.slots(now)
                self.stats.skipped = self._cadence.skipped
                self.stats.repeated = self._cadence.repeated
                if not slots:
                    continue
                picture = self._resizer.convert(frame, aspect)
                self.prepared(self.clock() - now)
                for slot in slots:
                    self.stats.frames += 1
                    yield Frame(picture, self.wall.from_monotonic(now), slot)
            if not self.stats.connected:
                raise NoPictures("none of its video could be decoded")
        finally:
            container.close()
