"""A microphone of this host, through ALSA, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import av

from common.audio import RATE, Sound
from common.clock import WallClock, monotonic
from common.log import Log
from sender.capture.base import SourceError
from sender.capture.file import explain
from sender.capture.playback import open_input
from sender.capture.resample import MonoResampler
from sender.capture.timing import Backoff

log = Log("sender.audio")

PREFIX = "alsa:"


class DeviceSound:
    """`--audio alsa:NAME`. `run` is the body of its thread. What is there at the start and goes is waited for."""

    def __init__(self, put: Callable[[Sound], None], name: str) -> None:
        """`name`: as `arecord -L` lists it."""
        self.reconnects = 0
        self._put, self._name = put, name
        self._wall = WallClock()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Raises SourceError when the device cannot be opened at first."""
        opened = False
        backoff = Backoff()
        while not stop.is_set():
            reason = "it ended"
            try:
                for _ in self._listen(stop):
                    opened = True
                    backoff.reset()
            except (av.FFmpegError, OSError, ValueError) as error:
                reason = explain(error)
                if not opened:
                    raise SourceError(
                        f"audio: cannot open {PREFIX}{self._name}: {reason}; `arecord -L` shows the devices, and the "
                        "user must be in the group `audio`"
                    ) from None
            if not stop.is_set():
                self.reconnects += 1
                pause = backoff.next()
                log.warning("sound gone", device=self._name, reason=reason, retry_seconds=pause)
                stop.wait(pause)

    def _listen(self, stop: threading.Event) -> Iterator[None]:
        """Yields once for each piece. Raises av.FFmpegError, OSError, ValueError."""
        container = open_input(self._name, "alsa", {"channels": "1", "sample_rate": str(RATE)}, None)
        try:
            log.info("sound opened", device=self._name)
            resampler = MonoResampler()
            for frame in container.decode(audio=0):
                now = monotonic()
                for part in resampler.resample(frame):
                    samples = part.to_ndarray()[0]
                    self._put(Sound(samples, self._wall.from_monotonic(now - len(samples) / RATE)))
                yield
                if stop.is_set():
                    return
        finally:
            container.close()
