"""Sound for WebRTC viewers: a track of 20 ms frames beside that of the pictures.

Both are in one peer connection and one media stream, so that the browser keeps them in step.
"""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from common.audio import RATE
from receiver.audio.block import BLOCK, SoundBlock

TIME_BASE = Fraction(1, RATE)

MAX_WAITING = 10
"""Blocks; a viewer that is slower loses the oldest."""


class SoundTrack(MediaStreamTrack):
    """One viewer's. Event loop thread only."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._blocks: deque[SoundBlock] = deque()
        self._arrived = asyncio.Event()
        self._first: int | None = None

    def hear(self, block: SoundBlock) -> None:
        """Take a block; never blocks."""
        if len(self._blocks) >= MAX_WAITING:
            self._blocks.popleft()
            self.dropped += 1
        self._blocks.append(block)
        self._arrived.set()

    def stop(self) -> None:
        super().stop()
        self._arrived.set()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms. Raises MediaStreamError when the track has ended."""
        while not self._blocks:
            self._arrived.clear()
            await self._arrived.wait()
            if self.readyState != "live":
                raise MediaStreamError
        block = self._blocks.popleft()
        if self._first is None:
            self._first = block.number
        frame = av.AudioFrame.from_ndarray(block.samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = (block.number - self._first) * BLOCK
        frame.time_base = TIME_BASE
        return frame


class SoundTracks:
    """Those of all viewers. Event loop thread only."""

    def __init__(self) -> None:
        self._tracks: set[SoundTrack] = set()

    def __len__(self) -> int:
        return len(self._tracks)

    def track(self) -> SoundTrack:
        """One for a viewer that has come; it is forgotten when it has ended."""
        track = SoundTrack()
        self._tracks.add(track)
        track.on("ended", lambda: self._tracks.discard(track))
        return track

    def hear(self, block: SoundBlock) -> None:
        """20 ms for everybody; never blocks."""
        for track in self._tracks:
            track.hear(block)
