"""Pictures into a push, and what must have come out at the other end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np

from receiver.play.push.backoff import Backoff
from receiver.play.push.child import ChildLink
from receiver.play.push.coded import Settings
from receiver.play.push.encoder import SharedEncoder
from receiver.play.push.link import Connect
from receiver.play.push.sink import PushSink
from receiver.play.push.target import target_of
from tests.receiver.link import scene
from tests.receiver.play.pictures import shown

WIDTH, HEIGHT = 128, 96
TICK_S = 1 / 40
"""Faster than the 15 pictures/s that the pictures say, so that key pictures come soon."""


class Feed:
    """One push that is shown a moving scene."""

    def __init__(
        self,
        url: str,
        connect: Connect = ChildLink.connect,
        settings: Settings | None = None,
        sound: bool = False,
    ) -> None:
        target = target_of(url)
        self.encoder = SharedEncoder(settings or Settings(kbps=400))
        self.sink = PushSink(
            *(target, target.label, self.encoder, connect), backoff=Backoff(0.05, 0.3), sound=lambda: sound
        )
        self.number = 0

    async def __aenter__(self) -> Feed:
        await self.sink.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sink.close()
        self.encoder.close()

    async def until(self, what: str, ready: Callable[[], bool], seconds: float = 30.0) -> None:
        """Show pictures until `ready`."""
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, f"waited for {what}; {self.sink._reason}"
            self.sink.show(shown(self.number, WIDTH, HEIGHT))
            self.number += 1
            await asyncio.sleep(TICK_S)

    async def attempts(self, count: int) -> None:
        """Show pictures until so many attempts have failed."""
        await self.until(f"{count} attempts", lambda: self.sink.failures >= count)

    async def ticks(self, count: int) -> None:
        """Show so many pictures."""
        end = self.number + count
        await self.until("pictures", lambda: self.number >= end)


def decoded(path: Path) -> list[av.VideoFrame]:
    """The pictures of a file, or as many as are whole."""
    frames: list[av.VideoFrame] = []
    try:
        with av.open(str(path)) as container:
            frames += container.decode(video=0)
    except av.FFmpegError:
        pass
    return frames


def assert_moves(frames: Iterable[av.VideoFrame], last: int, least: int = 5) -> None:
    """The frames are pictures 0 to `last` of the scene, in order, `least` different ones at the least."""
    frames = list(frames)
    scenes = np.stack([scene(number, WIDTH, HEIGHT) for number in range(last + 1)]).astype(np.int16)
    numbers = []
    for frame in frames:
        assert (frame.width, frame.height) == (WIDTH, HEIGHT)
        distances = np.abs(scenes - frame.to_ndarray(format="yuv420p")).mean((1, 2))
        assert distances.min() < 6
        numbers.append(int(distances.argmin()))
    assert len(set(numbers)) >= least, numbers
    assert numbers == sorted(numbers)
