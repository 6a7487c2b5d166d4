"""Several files, one after the other, on one time line."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import av

from common.log import Log
from common.video import Frame, Picture
from sender.capture.base import CaptureOptions, Source, SourceError
from sender.capture.file import explain
from sender.capture.playback import NoPictures, Playback
from sender.capture.playlist import ListError, local_path, read_entries

log = Log("sender.capture")


class ListSource(Source):
    """`--source list.m3u` or `--source 'clips/*.mp4'`: once, or with `loop` again and again.

    An entry that cannot be played is passed over and counted, with one warning for each. The list is read again
    before each pass, so it may change meanwhile. A pass without a single picture ends the source with an error.
    """

    def __init__(self, source: str, options: CaptureOptions) -> None:
        super().__init__(source, options)
        self._source = source
        self._waiting: deque[str] = deque()
        self._entry = ""
        self._playback: Playback | None = None
        self._offset = 0.0  # where on our time line the present file begins
        self._entries = 0  # of this pass
        self._played = 0
        self._warned: set[str] = set()

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """See Source."""
        try:
            yield from self.paced(lambda slot: self._at(slot / self.options.fps, stop), stop)
        finally:
            self.stats.connected = False
            self._close()

    def _at(self, seconds: float, stop: threading.Event) -> Picture | None:
        while True:
            if self._playback is None and not self._open_next(stop):
                return None
            assert self._playback is not None
            try:
                picture = self._playback.at(seconds - self._offset)
            except (av.FFmpegError, NoPictures) as error:
                self._pass_over(error)
                picture = None
            if picture is not None:
                return picture
            # At least a slot each, so that no list of tiny files holds us up.
            self._offset += max(self._playback.end, 1 / self.options.fps)
            self._close()

    def _open_next(self, stop: threading.Event) -> bool:
        """Open the next entry that can be; False when all have been played. Raises SourceError."""
        while not stop.is_set():
            if not self._waiting and not self._begin_pass():
                return False
            self._entry = self._waiting.popleft()
            try:
                options = self.options
                self._playback = Playback(
                    local_path(self._entry),
                    options.size,
                    options=dict(options.ffmpeg),
                    timeout=None,
                    sound=options.sound,
                    begins=self._offset,
                )
            except (av.FFmpegError, OSError, ValueError) as error:
                self._pass_over(error)
                continue
            self._played += 1
            self.stats.connected = True
            log.info("source opened", source=self._entry)
            return True
        return False

    def _begin_pass(self) -> bool:
        """Read the list; False when it has been played and that was all. Raises SourceError."""
        if self._entries and not self._played:
            raise SourceError(
                f"source: cannot play {self.name}: none of its {self._entries} files can be played"
            )
        if self._entries and not self.options.loop:
            return False
        try:
            self._waiting.extend(read_entries(self._source))
        except ListError as error:
            raise SourceError(f"source: cannot play {self.name}: {error}") from None
        self._entries, self._played = len(self._waiting), 0
        return True

    def _pass_over(self, error: Exception) -> None:
        self.stats.broken += 1
        if self._entry not in self._warned:
            self._warned.add(self._entry)
            log.warning("entry passed over", source=self.name, entry=self._entry, reason=explain(error))

    def _close(self) -> None:
        if self._playback is not None:
            self._playback.close()
            self._playback = None
