"""Maps beside the pictures: takes the units of the contours stream and has them decoded in time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from common.clock import Clock, monotonic
from common.log import Log, RateLimited
from common.maps.part import MapPart
from common.maps.told import LegendPart
from proto.announce import KIND_LEGEND
from proto.events import Message
from proto.recover import RecoveredUnit
from proto.streams import CONTROL
from proto.wire import TIMESTAMP_SPAN, Reason, WireError
from receiver.contours.collect import Collector
from receiver.contours.store import MapStore, ShownMap
from receiver.contours.worker import ContourWorker, MapJob
from receiver.jitter import PlayoutClock

MAX_WAITING = 16
"""Units that wait for the clock of the pictures at the start."""

MAX_OLD_S, MAX_AHEAD_S = 8.0, 4.0
"""A unit whose first map was due longer ago, or is due later, is of another time base."""

MAX_SLEEP_S = 0.5

log = Log("contours")


class Pictures(Protocol):
    """What is asked of the pictures on show (receiver.program.Program)."""

    clock: PlayoutClock

    def captured_at(self, media_time: float) -> float:
        """Seconds since the epoch, by the sender's clock."""
        ...

    def beside_arrived(self, media_time: float, now: float) -> None:
        """Something of this media time came at `now`: the playout delay can wait for it."""
        ...


class ContourPlayer:
    """Owned by the event loop thread; decoding is the worker's."""

    def __init__(
        self, pictures: Callable[[], Pictures | None], *, clock: Clock = monotonic, live: bool = True
    ) -> None:
        """`pictures`: whose maps they are, None while none can be shown; `live`: decode in a thread of its own."""
        self.store = MapStore()
        self.worker = ContourWorker(self.store)
        self.refused = dict.fromkeys(("malformed", "strange", "late", "legend"), 0)
        self.parts = self.payload_bytes = self.missed = 0
        """Units of the stream taken in, bytes of contours in these, map units of which nothing came."""
        self._pictures, self._clock, self._live = pictures, clock, live
        self._origin: bytes | None = None
        self._generation = 0
        self._collector = Collector()
        self._waiting: deque[RecoveredUnit] = deque(maxlen=MAX_WAITING)
        self._trouble = RateLimited(log)
        self._wake = asyncio.Event()

    def at(self, captured_at: float) -> ShownMap | None:
        """What is to be shown with a picture captured then. Any thread."""
        return self.store.at(captured_at)

    @property
    def age(self) -> float | None:
        """How much older than the picture on show the newest map is that is not after it, s; None without any."""
        pictures = self._pictures()
        if pictures is None:
            return None
        found = self.at(pictures.captured_at(pictures.clock.media_time(self._clock())))
        return None if found is None else found.age_s

    def recovered(self, origin: bytes, units: Iterable[RecoveredUnit], now: float) -> None:
        """Units of the sender on show; `origin`: which run of which sender."""
        if origin != self._origin:
            self._begin(origin)
        self._waiting.extend(units)
        self.step(now)
        self._wake.set()

    def message(self, event: Message, active: bytes | None) -> None:
        """A control message; `active`: the run on show."""
        if event.stream != CONTROL.id or event.body[:1] != bytes((KIND_LEGEND,)):
            return
        try:
            part = LegendPart.parse(event.body)
        except WireError as error:
            self.refused["legend"] += 1
            self._trouble.add("legend refused", reason=str(error))
            return
        if event.origin == (self._origin or active):
            if self._origin is None:
                self._begin(event.origin)
            self.store.tell(part)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.step(self._clock())
            until = self._next_time()
            delay = MAX_SLEEP_S if until is None else min(MAX_SLEEP_S, max(0.0, until - self._clock()))
            timer = asyncio.get_running_loop().call_later(delay, self._wake.set)
            await self._wake.wait()
            self._wake.clear()
            timer.cancel()

    def step(self, now: float) -> None:
        """Have decoded what is due at `now`."""
        pictures = self._pictures()
        if pictures is None:
            return
        while self._waiting:
            self._push(self._waiting.popleft(), pictures, now)
        for unit in self._collector.take(pictures.clock.display_time, now):
            self.missed += unit.missed
            job = MapJob(self._generation, unit, pictures.captured_at(unit.time))
            if self._live:
                self.worker.submit(job)
            else:
                self.worker.work(job)

    def _begin(self, origin: bytes) -> None:
        self._origin = origin
        self._generation += 1
        self._waiting.clear()
        self._collector = Collector()
        self.store.clear(self._generation)
        self.store.forget()

    def _next_time(self) -> float | None:
        pictures = self._pictures()
        if pictures is None:
            return None
        return self._collector.next_time(pictures.clock.display_time)

    def _push(self, unit: RecoveredUnit, pictures: Pictures, now: float) -> None:
        try:
            part = MapPart.parse(unit.data)
        except WireError as error:
            self.refused["malformed"] += 1
            self._trouble.add("map part refused", reason=str(error))
            return
        due = pictures.clock.media_time(now)
        time = unit.timestamp + TIMESTAMP_SPAN * round((due - unit.timestamp) / TIMESTAMP_SPAN)
        if not -MAX_OLD_S <= time - due <= MAX_AHEAD_S:
            self.refused["strange"] += 1
            return
        try:
            self._collector.push(part, time, now)
        except WireError as error:
            self.refused["late" if error.reason is Reason.LATE else "malformed"] += 1
            return
        self.parts += 1
        self.payload_bytes += len(part.data)
        pictures.beside_arrived(time, now)
