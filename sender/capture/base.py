"""What a capture source is, and the loops that its kinds share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.clock import WallClock, monotonic
from common.log import redact
from common.service import EX_NOINPUT, ServiceError
from common.values import Size
from common.video import Frame, Picture
from sender.capture.sound import SoundTap
from sender.capture.timing import Ticker


class SourceError(ServiceError):
    """There is no such source, or it cannot be used; the daemon ends with exit code 66."""

    def __init__(self, message: str) -> None:
        super().__init__(message, EX_NOINPUT)


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What every source is told."""

    size: Size
    fps: float
    loop: bool = False
    pace: str = "auto"
    """For URLs: `live` takes frames as they come, `media` by their time stamps, `auto` chooses."""
    timeout: float = 5.0
    """Seconds without a byte after which a network source counts as gone."""
    ffmpeg: tuple[tuple[str, str], ...] = ()
    """Options for FFmpeg's demuxer."""
    wait: bool = False
    """Wait for a camera or a screen that is not there at the start."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """PEM files for `whips`; without them a certificate is made at the start."""
    token_file: Path | None = None
    """What publishers must show."""
    sound: SoundTap | None = None
    """Told of what is heard with the pictures."""


@dataclass(slots=True)
class CaptureStats:
    """Plain counters of a source; written by the capture thread, read by any."""

    frames: int = 0
    skipped: int = 0
    repeated: int = 0
    reconnects: int = 0
    connected: bool = False
    broken: int = 0
    """Entries of a list that could not be played, each time they were passed over."""
    refused: int = 0
    """Requests and offers of publishers that were turned away."""


class Source(ABC):
    """A place pictures come from. `frames` runs in the capture thread, which alone uses the object.

    `prepared(seconds)` is called for each frame with the time that decoding and scaling took.
    """

    def __init__(self, name: str, options: CaptureOptions) -> None:
        self.name = redact(name)
        self.options = options
        self.stats = CaptureStats()
        self.clock = monotonic
        self.wall = WallClock()
        self.prepared: Callable[[float], None] = lambda seconds: None

    @abstractmethod
    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """Frames in order, of the session's size, each handed out at the moment it was captured.

        Ends when the source has ended for good, or soon after `stop` is set. Raises SourceError.
        """

    def paced(self, picture_at: Callable[[int], Picture | None], stop: threading.Event) -> Iterator[Frame]:
        """Frames in real time from something that delivers at once; `picture_at(slot)` is None at the end.

        Each picture is made before its moment comes, so that making it costs no latency.
        """
        ticker = Ticker(self.options.fps)
        while not stop.is_set():
            begun = self.clock()
            slot, due = ticker.next(begun)
            picture = picture_at(slot)
            if picture is None:
                return
            self.prepared(self.clock() - begun)
            while (early := due - self.clock()) > 0:
                if stop.wait(early):
                    return
            self.stats.frames += 1
            self.stats.skipped = ticker.skipped
            captured_at = self.wall.from_monotonic(max(due, self.clock() - 1 / self.options.fps))
            if self.options.sound is not None:
                self.options.sound.anchor(slot / self.options.fps, captured_at)
            yield Frame(picture, captured_at, slot)
