"""Sound from a file, heard with whatever pictures the source has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import av
import numpy as np

from common.audio import RATE, Samples, Sound, silence
from common.log import Log
from sender.capture.base import SourceError
from sender.capture.file import explain
from sender.capture.resample import MonoResampler
from sender.capture.sound import SoundTap

log = Log("sender.audio")

MAX_STEP_S = 1.0
"""When pictures stall for longer, the file does not catch up."""


class FileSound(SoundTap):
    """`--audio FILE`: it begins with the first picture, goes on as they do, and again and again with `loop`."""

    def __init__(self, put: Callable[[Sound], None], path: str, loop: bool) -> None:
        """Raises SourceError when there is no sound in it."""
        super().__init__(put)
        self.ended = False
        self._path, self._loop = path, loop
        self._parts = self._read()
        self._held: deque[Samples] = deque()
        self._at: float | None = None
        try:
            self._held.append(next(self._parts))
        except StopIteration:
            raise SourceError(f"audio: {path} holds no sound") from None
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"audio: cannot play {path}: {explain(error)}") from None

    def anchor(self, line: float, captured_at: float) -> None:
        """See SoundTap."""
        if self._at is None or not 0 <= captured_at - self._at <= MAX_STEP_S:
            self._at = captured_at
        count = round((captured_at - self._at) * RATE)
        if count <= 0 or self.ended:
            return
        samples = self._take(count)
        self.put(Sound(samples, self._at))
        self._at += len(samples) / RATE

    def _take(self, count: int) -> Samples:
        out: list[Samples] = []
        missing = count
        while missing > 0:
            if not self._held and not self._more():
                break
            part = self._held.popleft()
            if len(part) > missing:
                self._held.appendleft(part[missing:])
            out.append(part[:missing])
            missing -= len(out[-1])
        return np.concatenate(out) if out else silence(0)

    def _more(self) -> bool:
        try:
            self._held.append(next(self._parts))
        except (StopIteration, av.FFmpegError, OSError) as error:
            self.ended = True
            reason = "" if isinstance(error, StopIteration) else explain(error)
            log.info("sound ended", file=self._path, reason=reason)
            return False
        return True

    def _read(self) -> Iterator[Samples]:
        """All of it, at 48 kHz, in pieces. Raises av.FFmpegError, OSError."""
        while True:
            found = False
            with av.open(self._path) as container:
                resampler = MonoResampler()
                for frame in container.decode(audio=0) if container.streams.audio else ():
                    for part in resampler.resample(frame):
                        found = True
                        yield part.to_ndarray()[0]
                if found:
                    for part in resampler.resample(None):
                        yield part.to_ndarray()[0]
            if not (found and self._loop):
                return
