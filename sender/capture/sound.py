"""The sound of a source, in step with its pictures: both by the time line of their container.

A source that is given a `SoundTap` (CaptureOptions.sound) tells it of its containers and packets, and, with each
picture that it hands out, which moment of its time line that was. All of it in the capture thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from common.audio import RATE, Samples, Sound
from common.log import Log
from sender.capture.resample import MonoResampler

log = Log("sender.capture")

AHEAD_S = 0.25
"""Sound of a file is read this far ahead of the pictures: containers store one of the two in larger pieces."""

MAX_PARKED = 256
"""Packets of pictures that wait for sound; where there is none any more, pictures go on all the same."""

MAX_WAITING_S = 30.0
"""Seconds of sound that wait for their pictures; the oldest goes."""

FOLLOW = 0.05
MAX_SHIFT_S = 0.1
"""Capture times of live pictures jitter: sound takes over this share of a change, and all of one above the limit."""


class SoundTap:
    """What a source calls; does nothing by itself. `put` takes the sound, in the capture thread."""

    of_source = False
    """Whether it wants the source's own sound; else nothing but `anchor` matters to it."""

    def __init__(self, put: Callable[[Sound], None]) -> None:
        self.put = put

    def begin(self, container: InputContainer | None, live: bool) -> AudioStream | None:
        """A container was opened (again); returns the stream whose packets are wanted. None: a live source that has
        none, and hands over frames."""
        return None

    def packet(self, packet: Packet[AudioStream]) -> None:
        """One packet of that stream."""

    def frame(self, frame: av.AudioFrame, begins: float) -> None:
        """Sound that came decoded, and the time at which it begins in the container, or on the line (s)."""

    def reached(self, time: float) -> bool:
        """Whether sound has been read far enough for a picture of this time in the container (s)."""
        return True

    def line(self, offset: float) -> None:
        """From now on the container's time less `offset` (s) is the time on the source's line."""

    def anchor(self, line: float, captured_at: float) -> None:
        """The picture of this moment of the line (s) was captured at that time (s since the Unix epoch)."""


class ContainerSound(SoundTap):
    """The first audio stream of the source's own container, or the frames that it hands over."""

    of_source = True

    def __init__(self, put: Callable[[Sound], None]) -> None:
        super().__init__(put)
        self.damaged = 0
        """Packets that did not decode."""
        self._live = False
        self._pass = -1
        self._offsets: dict[int, float] = {}  # of the passes that sound waits for
        self._waiting: deque[tuple[int, float, Samples]] = deque()  # (pass, time in the container, samples)
        self._newest = float("-inf")
        self._shift: float | None = None  # captured_at less line
        self._resampler = MonoResampler()

    def begin(self, container: InputContainer | None, live: bool) -> AudioStream | None:
        """See SoundTap."""
        self._pass += 1
        self._live, self._newest = live, float("-inf")
        self._resampler = MonoResampler()
        if live:
            self._waiting.clear()
            self._offsets = {self._pass: 0.0}
            self._shift = None
        if container is None:
            return None
        if not container.streams.audio:
            if self._pass == 0:
                log.warning("the source has no sound; set --audio off, or name another source of it")
            return None
        return container.streams.audio[0]

    def packet(self, packet: Packet[AudioStream]) -> None:
        """See SoundTap."""
        try:
            for frame in packet.decode():
                if frame.time is not None:
                    self._newest = max(self._newest, frame.time)
                    for part in self._resampler.resample(frame):
                        begins = part.time if part.time is not None else frame.time
                        self._keep(begins, part.to_ndarray()[0])
        except av.error.FFmpegError:
            self.damaged += 1

    def frame(self, frame: av.AudioFrame, begins: float) -> None:
        """See SoundTap."""
        try:
            for part in self._resampler.resample(frame):
                self._keep(begins, part.to_ndarray()[0])
        except av.error.FFmpegError:
            self.damaged += 1

    def reached(self, time: float) -> bool:
        """See SoundTap."""
        return self._live or self._newest >= time + AHEAD_S

    def line(self, offset: float) -> None:
        """See SoundTap."""
        self._offsets[self._pass] = offset

    def anchor(self, line: float, captured_at: float) -> None:
        """See SoundTap. Hands on the sound up to this moment, of a live source all there is."""
        shift = captured_at - line
        if self._shift is None or abs(shift - self._shift) > MAX_SHIFT_S:
            self._shift = shift
        self._shift += FOLLOW * (shift - self._shift)
        pieces: list[Samples] = []
        begins = ends = 0.0
        while self._waiting:
            number, time, samples = self._waiting[0]
            offset = self._offsets.get(number)
            if offset is None or (not self._live and time - offset > line):
                break
            self._waiting.popleft()
            at = time - offset
            if pieces and abs(at - ends) > 0.001:
                self._hand(pieces, begins)
                pieces = []
            if not pieces:
                begins = ends = at
            pieces.append(samples)
            ends += len(samples) / RATE
        self._hand(pieces, begins)
        first = self._waiting[0][0] if self._waiting else self._pass
        self._offsets = {number: offset for number, offset in self._offsets.items() if number >= first}

    def _hand(self, pieces: list[Samples], begins: float) -> None:
        if pieces and self._shift is not None:
            self.put(Sound(np.concatenate(pieces), begins + self._shift))

    def _keep(self, time: float, samples: Samples) -> None:
        self._waiting.append((self._pass, time, samples))
        while self._waiting[-1][0] == self._waiting[0][0] and time - self._waiting[0][1] > MAX_WAITING_S:
            self._waiting.popleft()


def demuxed(
    container: InputContainer, video: VideoStream, sound: SoundTap | None, live: bool
) -> Iterator[Packet[VideoStream]]:
    """The packets of the pictures; those of the sound go to the tap. Raises av.FFmpegError."""
    audio = None if sound is None else sound.begin(container, live)
    if sound is None or audio is None:
        yield from container.demux(video)
        return
    parked: deque[Packet[VideoStream]] = deque()
    for packet in container.demux(video, audio):
        if packet.stream.index == audio.index:
            sound.packet(cast("Packet[AudioStream]", packet))
        else:
            parked.append(cast("Packet[VideoStream]", packet))
        while parked and (len(parked) > MAX_PARKED or live or _reached(sound, parked[0])):
            yield parked.popleft()
    yield from parked


def _reached(sound: SoundTap, packet: Packet[VideoStream]) -> bool:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return stamp is None or packet.time_base is None or sound.reached(float(stamp * packet.time_base))
