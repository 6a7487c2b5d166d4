"""The stage of maps: frames in, maps of them, coded in units, handed on. Runs in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from common.clock import Clock, monotonic
from common.codec.base import CodecError
from common.codec.contour.encoder import REMEMBERED, ContourEncoder, ContourSettings
from common.codec.contour.syntax import MAX_FRAMES
from common.handoff import DropOldest
from common.log import Log, RateLimited
from common.maps.base import VOID, LabelMap, MapSource
from common.maps.part import MOST_MISSED, MOST_PARTS, MapPart
from common.maps.told import number_of
from common.values import Size
from common.video import Frame
from proto.wire import TICKS_PER_SECOND
from sender.contours.share import Aim
from sender.contours.stream import ContourStream
from sender.encode import POLL_SECONDS

log = Log("sender.contours")

WAITING = 4
"""Frames that wait while a unit is coded: 0.4 s of ten a second."""

MAX_GAP_S = 1.0
"""Frames further apart than this, and than one and a half intervals of maps, are not of one map unit: the source has
stalled."""


@dataclass(frozen=True, slots=True)
class MapUnit:
    """One map unit, ready to be sent."""

    parts: list[MapPart]
    timestamp: float
    """When its first map was captured, s since the Unix epoch."""
    duration: float


@dataclass(slots=True)
class ContourFigures:
    """Plain counters of the stage; written by its thread, read by any."""

    units: int = 0
    maps: int = 0
    empty: int = 0
    """Frames for which there was no map."""
    failed: int = 0
    """Frames whose map could not be made or coded."""
    restarts: int = 0
    """Times that the encoder failed, and a new one took its place."""
    unkeyed: int = 0
    """Maps that were not coded, while there were no keys to send them under."""
    withheld: int = 0
    """Maps that were not sent for want of rate."""
    payload_bytes: int = 0
    wire_bytes: int = 0
    instances: int = 0
    """In the last unit."""
    miou: float = field(default=float("nan"))
    """Of the maps as a receiver that gets everything decodes them, against those that went in."""
    aim: float = field(default=float("nan"))


class ContourStage:
    """`run` is the body of the thread; `frames` is filled by the thread that captures."""

    def __init__(
        self,
        source: MapSource,
        size: Size,
        fps: float,
        stream: ContourStream,
        *,
        every: int = 1,
        highest: float,
        payload_limit: int,
        deliver: Callable[[MapUnit], None],
        ready: Callable[[], bool] = lambda: True,
        stage_seconds: Callable[[str, float], None] = lambda stage, seconds: None,
        clock: Clock = monotonic,
    ) -> None:
        """`fps`: frames a second, of which each `every`-th gets a map; `highest`: mean IoU that is not aimed beyond;
        `deliver` takes each unit, `ready` tells whether one that is coded now could be sent, `stage_seconds` (stage,
        seconds); all in the thread."""
        self.frames: DropOldest[Frame] = DropOldest(WAITING)
        self.figures = ContourFigures()
        self._source = source
        self._interval = every / fps
        self._most_gap = max(MAX_GAP_S, 1.5 * self._interval)
        self._stream, self._share = stream, stream.share
        self._settings = ContourSettings(
            len(source.legend.classes), VOID, highest, MAX_FRAMES, fps=fps / every, quick=True
        )
        self._size = size
        self._encoder = ContourEncoder(self._settings, size.width, size.height)
        self._number = 0
        self._legend = number_of(source.legend)
        self._aim = Aim(highest)
        self._payload_limit = payload_limit
        self._deliver, self._ready = deliver, ready
        self._stage_seconds = stage_seconds
        self._clock = clock
        self._held: list[tuple[LabelMap, float]] = []
        self._last: Frame | None = None
        self._stalled = False
        self._trouble = RateLimited(log)

    def run(self) -> None:
        """Until `frames` is closed and empty. Never raises for a frame: pictures go on without maps."""
        try:
            while not self.frames.closed:
                frame = self.frames.get(POLL_SECONDS)
                if frame is not None:
                    self.take(frame)
        finally:
            try:
                self._source.close()
            except Exception as error:
                self._trouble.add("source of maps not closed", reason=_told(error))
            self._trouble.flush()

    def take(self, frame: Frame) -> None:
        """One frame. Whatever the source and the encoder raise costs its maps alone."""
        last = self._last
        if last is not None and frame.captured_at - last.captured_at < 0.75 * self._interval:
            return
        if last is not None and not 0 <= frame.captured_at - last.captured_at < self._most_gap:
            self._flush()
            self._stalled = True
        self._last = frame
        try:
            if self._stalled:
                self._source.reset()
                self._stalled = False
            found = self._map(frame)
        except Exception as error:  # OpenCV's, ONNX Runtime's and FFmpeg's have no other base
            self.figures.failed += 1
            self._trouble.add("no map of a frame; pictures go on", reason=_told(error))
            return
        if found is None:
            self.figures.empty += 1
            return
        self._held.append((found, frame.captured_at))
        if len(self._held) >= self._share.maps:
            self._flush()

    def _map(self, frame: Frame) -> LabelMap | None:
        begun = time.perf_counter()
        found = self._source.map(frame)
        self._stage_seconds("map", time.perf_counter() - begun)
        return found

    def _flush(self) -> None:
        """Code and hand on the maps that wait."""
        held, self._held = self._held, []
        if not held:
            return
        if not self._ready():
            self.figures.unkeyed += len(held)
            return
        self._listen()
        now = self._clock()
        budget = self._share.budget(len(held), self._payload_limit, now)
        if budget is None:
            self.figures.withheld += len(held)
            return
        begun = time.perf_counter()
        number = self._number
        self._encoder.repeat = self._share.repeat
        try:
            encoded = self._encoder.encode([found for found, _ in held], number, budget)
        except Exception as error:
            self._share.unspent()
            self.figures.failed += len(held)
            self._trouble.add("maps cannot be coded; pictures go on", reason=_told(error))
            if not isinstance(error, CodecError):  # that one is raised before anything changes
                self._begin_anew()
            return
        self._number += 1
        self._stage_seconds("contours", time.perf_counter() - begun)
        payloads = encoded.payloads[:MOST_PARTS]
        parts = [self._part(number, i, len(payloads), held, data) for i, data in enumerate(payloads)]
        size = sum(map(len, payloads))
        wire = size + budget.packet_overhead * len(payloads)
        self._share.spent(wire, now)
        self._account(len(held), size, wire)
        room = budget.wire_bytes - budget.packet_overhead * len(payloads)
        self._share.learn(size, len(held), self._encoder.mean_iou)
        self._encoder.floor = self.figures.aim = self._aim.next(self._encoder.mean_iou, size, room)
        self._deliver(MapUnit(parts, held[0][1], len(held) * self._interval))

    def _listen(self) -> None:
        """Tells the encoder what became of its units, and has keys sent again where a receiver may know none."""
        for unit, arrived in self._stream.take_verdicts():
            if not all(
                arrived
            ):  # the encoder forgets the records of what is reported: those are for who comes yet
                self._encoder.report(self._unwrapped(unit), arrived)
        if self._stream.take_greeting():
            for number in range(max(0, self._number - REMEMBERED), self._number):
                self._encoder.report(number, None)

    def _begin_anew(self) -> None:
        """The state of an encoder that failed is not to be trusted; receivers forget it by the gap."""
        self.figures.restarts += 1
        floor = self._encoder.floor
        self._encoder = ContourEncoder(self._settings, self._size.width, self._size.height)
        self._encoder.floor = floor
        self._number += MOST_MISSED + 1

    def _part(
        self, number: int, index: int, parts: int, held: list[tuple[LabelMap, float]], data: bytes
    ) -> MapPart:
        passed = (held[-1][1] - held[0][1]) / (len(held) - 1) if len(held) > 1 else self._interval
        ticks = min(255, max(1, round(passed * TICKS_PER_SECOND)))
        return MapPart(number & 0xFF, index, parts, ticks, self._legend, data)

    def _account(self, maps: int, size: int, wire: int) -> None:
        figures = self.figures
        figures.units += 1
        figures.maps += maps
        figures.payload_bytes += size
        figures.wire_bytes += wire
        figures.instances = self._encoder.instances
        figures.miou = self._encoder.mean_iou

    def _unwrapped(self, unit: int) -> int:
        """The newest unit of this number modulo 256."""
        newest = self._number - 1
        return newest - (newest - unit) % 256


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, CodecError) else f"{type(error).__name__}: {error}"
