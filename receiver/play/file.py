"""Records what is shown into MP4 or Matroska, one picture per tick, in as many files as the rules ask for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.codec.base import IMAGINED, RECEIVED, RECOVERED
from common.record.cadence import Cadence
from common.record.movie import FORMATS, AudioFormat, Movie, VideoFormat
from common.record.output import OutputFile
from common.record.recording import Recording
from common.record.rules import Rules
from common.record.storage import Storage
from common.video import picture_size
from receiver.audio.block import BLOCK_S, SoundBlock
from receiver.audio.packets import SoundPackets
from receiver.play.base import Shown, SignalState, SinkError, ThreadedSink
from receiver.play.fit import Fitter
from receiver.play.mark import marked

CAPTION_S = 1.0
"""Seconds from one line of the captions to the next."""

MAX_BLOCKS = 100
"""Of sound, that wait for a picture: 2 s."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a recording is made of."""

    codec: str = "h264"
    """Or ffv1, which is lossless, in .mkv."""
    crf: int = 20
    captions: bool = True
    """A track of text: what share of the last second's picture was received, recovered and imagined."""

    def video(self, width: int, height: int, fps: float) -> VideoFormat:
        """For pictures of this size."""
        if self.codec == "ffv1":
            return VideoFormat.ffv1(width, height, fps)
        return VideoFormat.h264(width, height, fps, self.crf)


class FileSink(ThreadedSink):
    """A file is opened when the first picture comes, so that its size is known. A full disk pauses the recording and
    ends nothing. `recording` has the counters."""

    def __init__(
        self,
        path: Path,
        mark: bool = True,
        rules: Rules | None = None,
        format: FileFormat | None = None,
        *,
        sound: Callable[[], bool] = lambda: False,
    ) -> None:
        """`path`: an earlier recording there is kept, the new one gets a number (flight-2.mkv).  `mark`: show in the
        picture when the signal is lost.  `sound`: whether sound is to come, asked on the event loop thread before a
        file begins; where it comes unasked, another file begins.  Raises SinkError."""
        super().__init__(str(path))
        self._format = FileFormat() if format is None else format
        suffix = path.suffix.lower()
        if suffix not in FORMATS:
            raise SinkError(f"{path}: a recording must end in .mp4 or .mkv")
        if self._format.codec == "ffv1" and suffix != ".mkv":
            raise SinkError(f"{path}: record.codec ffv1 needs a name that ends in .mkv")
        self._mark = mark
        self._coming: Shown | None = None
        self._blocks: deque[SoundBlock] = deque(maxlen=MAX_BLOCKS)
        storage = Storage(path, Rules() if rules is None else rules)
        self.recording: Recording[_Part] = Recording(storage, self._start)
        self._sound = sound
        self._with_sound = False

    @property
    def path(self) -> Path:
        """Of the file that is being written, or was last."""
        return self.recording.path

    async def start(self) -> None:
        reason = self.recording.storage.check()
        if reason is not None:
            raise SinkError(f"{self.name}: {reason}")
        await super().start()

    def hear(self, block: SoundBlock) -> None:
        """See AudioSink. What is heard goes into the file with the next picture."""
        if not self.ended:
            self._blocks.append(block)

    def show(self, shown: Shown) -> None:
        if not self.recording.files:
            self._with_sound = self._sound()
        super().show(shown)

    def write(self, shown: Shown) -> None:
        self._coming = shown
        if self._blocks and not self._with_sound:
            self._with_sound = True
            self.recording.cut()  # a track cannot be added to a file that has begun
        self.recording.write(lambda part: part.add(shown))

    def finish(self) -> None:
        self.recording.close()

    def _start(self, file: OutputFile, number: int) -> _Part:
        assert self._coming is not None
        blocks = self._blocks if self._with_sound else None
        return _Part(file, self._coming, self._format, self._mark, blocks)


class _Part:
    """One file."""

    def __init__(
        self,
        file: OutputFile,
        first: Shown,
        format: FileFormat,
        mark: bool,
        blocks: deque[SoundBlock] | None,
    ) -> None:
        """`blocks`: where sound waits; None: a file without sound."""
        width, height = picture_size(first.picture)
        sound = None if blocks is None else AudioFormat()
        self._movie = Movie(
            file, format.video(width, height, first.fps), audio=sound, captions=format.captions
        )
        self._blocks = blocks
        self._packets = SoundPackets()
        self._fitter = Fitter(width, height)
        self._cadence = Cadence()
        self._mark = mark
        self._second = Second()

    def add(self, shown: Shown) -> None:
        """Raises OSError."""
        at = self._cadence.at(shown.number, shown.shown_at, shown.fps)
        text = self._second.add(shown, at)
        if text is not None:
            self._movie.caption(text, at, CAPTION_S)
        self._movie.picture(self._fitter.fit(marked(shown) if self._mark else shown.picture), at)
        if self._blocks is not None:
            self._add_sound(self._blocks, shown, at)

    def _add_sound(self, blocks: deque[SoundBlock], shown: Shown, at: float) -> None:
        """What has been heard up to this picture."""
        if not shown.repeated:
            self._packets.shown(at, shown.captured_at)
        while blocks:
            for data, time in self._packets.coded(blocks.popleft()):
                self._movie.audio(data, time, BLOCK_S)

    def close(self) -> None:
        self._movie.close()


class Second:
    """Sums what is told of trust, a line a second. Pure."""

    def __init__(self) -> None:
        self._due = 0.0
        self._shares = np.zeros(3)
        self._arrived = 0.0
        self._count = 0

    def add(self, shown: Shown, at: float) -> str | None:
        """The line that is due at `at`, about the pictures since the last one."""
        counts = np.bincount(shown.trust.ravel(), minlength=3)[:3]
        self._shares += counts / max(1, shown.trust.size)
        self._arrived += shown.arrived
        self._count += 1
        if at < self._due:
            return None
        self._due = at + CAPTION_S
        shares, arrived = self._shares / self._count * 100, self._arrived / self._count * 100
        self._shares, self._arrived, self._count = np.zeros(3), 0.0, 0
        lost = f" | signal lost for {shown.silence:.0f} s" if shown.state is SignalState.LOST else ""
        return (
            f"received {shares[RECEIVED]:.0f}%, recovered {shares[RECOVERED]:.0f}%, imagined {shares[IMAGINED]:.0f}%"
            f" | packets {arrived:.0f}%{lost}"
        )
