"""Sound beside the pictures: takes the units of the audio stream and hands blocks to the sinks, 20 ms at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from common.clock import Clock, WallClock, monotonic
from common.log import Log, RateLimited
from proto.recover import RecoveredUnit
from receiver.audio.block import BLOCK_S, SoundBlock
from receiver.audio.playout import AudioPlayout, Pace
from receiver.jitter import PlayoutClock

log = Log("audio")

MAX_WAITING = 8
"""Units that wait for the clock of the pictures at the start."""


class Pictures(Protocol):
    """What is asked of the pictures on show (receiver.program.Program)."""

    clock: PlayoutClock

    def captured_at(self, media_time: float) -> float:
        """Seconds since the epoch, by the sender's clock."""
        ...

    def beside_arrived(self, media_time: float, now: float) -> None:
        """Sound of this media time came at `now`: the playout delay can wait for sound."""
        ...


class AudioPlayer:
    """Owned by the event loop thread. A block costs some 0.1 ms of it, a frame of sound to be decoded another 0.1."""

    def __init__(
        self,
        pictures: Callable[[], Pictures | None],
        hear: Callable[[SoundBlock], None],
        *,
        wall: WallClock,
        clock: Clock = monotonic,
    ) -> None:
        """`pictures`: whose sound it is, None while none can be shown."""
        self.playout = AudioPlayout()
        self.blocks = 0
        self._pictures = pictures
        self._hear = hear
        self._wall = wall
        self._clock = clock
        self._pace = Pace()
        self._origin: bytes | None = None
        self._waiting: deque[RecoveredUnit] = deque(maxlen=MAX_WAITING)
        self._trouble = RateLimited(log)
        self._wake = asyncio.Event()

    @property
    def heard(self) -> bool:
        """Whether any sound has come yet."""
        return self._pace.due is not None

    def recovered(self, origin: bytes, units: Iterable[RecoveredUnit], now: float) -> None:
        """Units of the sender on show; `origin`: which run of which sender, sound begins anew when it changes."""
        if origin != self._origin:
            self._origin = origin
            self._waiting.clear()
            self.playout.reset()
        self._waiting.extend(units)
        self._take(now)
        self._wake.set()

    async def run(self) -> None:
        """Play until cancelled."""
        while True:
            self.step(self._clock())
            due = self._pace.due
            if due is not None:
                await asyncio.sleep(max(0.0, due - self._clock()))
            elif self._waiting:
                await asyncio.sleep(BLOCK_S)
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take(self, now: float) -> None:
        pictures = self._pictures()
        while pictures is not None and self._waiting:
            self._push(self._waiting.popleft(), pictures, now)

    def _push(self, unit: RecoveredUnit, pictures: Pictures, now: float) -> None:
        late = self.playout.late
        time = self.playout.push(unit.data, unit.timestamp, pictures.clock, now)
        if time is None:
            return
        if not self.heard:
            log.info("sound", delay_ms=round(pictures.clock.delay * 1000))
            self._pace.begin(now)
        pictures.beside_arrived(time, now)
        if self.playout.late > late:
            self._trouble.add(
                "sound comes after its pictures; raise playout.delay_ms here, or lower audio.packet_ms there",
                late_ms=round(-1000 * (self.playout.margin or 0.0)),
            )

    def step(self, now: float) -> None:
        """Hand on the blocks that are due at `now`."""
        self._take(now)
        pictures = self._pictures()
        for number, due in self._pace.take(now):
            samples, concealed = self.playout.block(None if pictures is None else pictures.clock, due)
            captured_at = math.nan
            if pictures is not None:
                captured_at = pictures.captured_at(pictures.clock.media_time(due) + self.playout.offset)
            self.blocks += 1
            played_at = self._wall.from_monotonic(due)
            self._hear(SoundBlock(number, samples, played_at, captured_at, concealed))
