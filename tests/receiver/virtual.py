"""The real Player with a sender, a link and a decoder of virtual time: hours of playout in seconds.

The endpoint is reduced to what the player reads of it: the real reassembler of one stream, and its tally.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from common.clock import WallClock
from common.codec.base import DecodedUnit, StreamInfo
from common.video import blank
from proto.packet import Segment
from proto.reassembler import Reassembler, Tally
from proto.session import Arrival, ReceiverEndpoint
from proto.streams import VIDEO
from proto.wire import TICK_SECONDS, WireError
from receiver.decode import Job, Outcome
from receiver.delay import AUTOMATIC, DelayBounds
from receiver.play.base import Shown
from receiver.player import Player

FPS, FRAMES = 15.0, 4
UNIT = FRAMES / FPS
INFO = StreamInfo("fake", 16, 16, FPS, FRAMES)
START = 1000.0
"""Virtual monotonic time at which the sender captures its first picture."""

ENCODE_S, TRANSIT_S, SPREAD = 0.03, 0.04, 0.75
PICTURE = blank(16, 16)
RUN = b"sender"
TRUST = np.zeros((1, 1), np.uint8)


@dataclass(frozen=True)
class Path:
    """What the link and the clocks do; times in seconds of the receiver's clock."""

    jitter: float = 0.0
    """Uniform between 0 and this, for every packet; packets overtake each other."""
    loss: float = 0.0
    drift: float = 0.0
    """How much faster the sender's clock runs: 500e-6 is 500 ppm."""
    duplicates: float = 0.0
    """Share of the packets that arrive twice."""
    packets: int = 4
    outages: tuple[tuple[float, float], ...] = ()
    """(begin, end) after START: what is sent meanwhile is lost."""
    transit: Callable[[float], float] = field(default=lambda sent: TRANSIT_S)
    """Of a packet sent at this time after START."""
    seed: int = 1
    info: StreamInfo = INFO
    encode: Callable[[int], float] = field(default=lambda unit: ENCODE_S)
    """Seconds that a unit takes to encode."""

    def captured(self, unit: int, offset: int = 0) -> float:
        """The receiver's time at which a picture was captured."""
        return START + (unit + offset / self.info.frames_per_unit) * self.info.unit_duration / (
            1 + self.drift
        )

    def arrivals(self, units: int) -> Iterator[tuple[float, Segment]]:
        """What arrives and when, by unit (not in order of time)."""
        rng = random.Random(self.seed)
        for unit in range(units):
            length = self.info.unit_duration
            done = self.captured(unit) + length + self.encode(unit)
            ticks = round((500.0 + unit * length) / TICK_SECONDS) & 0xFFFF
            for index in range(self.packets):
                sent = done + SPREAD * length * index / self.packets - START
                jitter, lost = rng.uniform(0, self.jitter), rng.random() < self.loss
                if lost or any(begin <= sent < end for begin, end in self.outages):
                    continue
                segment = Segment(VIDEO.id, unit & 0xFFFF, index, self.packets, ticks, b"x")
                yield START + sent + self.transit(sent) + jitter, segment
                if rng.random() < self.duplicates:
                    yield START + sent + self.transit(sent) + rng.uniform(0, 1), segment


@dataclass(frozen=True)
class Seen:
    """One picture shown; `latency`: seconds since its true capture."""

    at: float
    shown: Shown
    latency: float

    @property
    def live(self) -> bool:
        """A new picture of which something arrived."""
        return not (self.shown.concealed or self.shown.repeated)


class _Endpoint:
    def __init__(self) -> None:
        self.streams = Reassembler()
        self.tallies = {VIDEO.id: self.streams.tally}

    def reassembler(self, stream: int) -> Reassembler:
        return self.streams


class VirtualReceiver:
    """Moves from one event to the next; `run` may be called again and again."""

    def __init__(
        self,
        path: Path,
        units: int,
        *,
        delay: DelayBounds = AUTOMATIC,
        decode_s: float = 0.02,
        stalls: tuple[tuple[float, float], ...] = (),
        freezes: tuple[tuple[float, float], ...] = (),
        lost_after: float = 2.0,
    ) -> None:
        """(begin, end) after START, in rising order: `stalls`, during which the decode thread does not run;
        `freezes`, during which the event loop does not (what arrives waits in the socket)."""
        self.path = path
        self.now = START
        self.seen: list[Seen] = []
        self.steps = 0
        self.after_step: Callable[[], None] | None = None
        self._decode_s = decode_s
        self._stalls = stalls
        self._freezes = freezes
        self._endpoint = _Endpoint()
        self._busy_until = 0.0
        self._outcomes: list[tuple[float, int, Outcome]] = []
        self._jobs = 0
        self._arrivals = sorted(path.arrivals(units), key=lambda arrival: arrival[0], reverse=True)
        self._began = False
        self._wake = START
        self.player = Player(
            cast(ReceiverEndpoint, self._endpoint),
            self,
            lambda payload: path.info,
            self._show,
            delay=delay,
            lost_after=lost_after,
            wall=WallClock(epoch=lambda: 0.0, monotonic=lambda: 0.0),
            clock=lambda: self.now,
        )

    @property
    def tally(self) -> Tally:
        """What became of the segments."""
        return self._endpoint.streams.tally

    def latencies(self, begin: float, end: float) -> list[float]:
        """Of the decoded pictures shown between two times after START."""
        return [seen.latency for seen in self.between(begin, end) if seen.live]

    def between(self, begin: float, end: float) -> list[Seen]:
        """What was shown between two times after START."""
        return [seen for seen in self.seen if begin <= seen.at - START < end]

    def submit(self, job: Job) -> None:
        """The worker's part: one thread that takes `decode_s` a unit, and does nothing during a stall."""
        begin = max(self.now, self._busy_until)
        for stall_begin, stall_end in self._stalls:
            if stall_begin <= begin - START < stall_end:
                begin = START + stall_end
        done = begin + self._decode_s
        for stall_begin, stall_end in self._stalls:
            if begin - START < stall_begin < done - START:
                done += stall_end - stall_begin
        self._busy_until = done
        got = 0 if job.received is None else job.received.received
        info = self.path.info
        count = info.concealed if job.received is None else info.frames_per_unit
        unit = DecodedUnit([PICTURE] * count, TRUST, got, 4, info.fps, 1, {})
        self._jobs += 1
        heapq.heappush(self._outcomes, (done, self._jobs, Outcome(job, unit, done - self.now)))

    def run(self, seconds: float) -> None:
        """Go on until `seconds` after START."""
        end = START + seconds
        while True:
            arrival = self._arrivals[-1][0] if self._arrivals else end
            outcome = self._outcomes[0][0] if self._outcomes else end
            self.now = max(self.now, min(arrival, outcome, self._wake))
            for begin, stop in self._freezes:
                if begin <= self.now - START < stop:
                    self.now = START + stop
            if self.now >= end:
                self.now = end
                return
            while self._outcomes and self._outcomes[0][0] <= self.now:
                self.player.decoded(heapq.heappop(self._outcomes)[2])
            while self._arrivals and self._arrivals[-1][0] <= self.now:
                self._arrive(self._arrivals.pop()[1])
            self._wake = self.player.step(self.now)
            self.steps += 1
            if self.after_step is not None:
                self.after_step()

    def _arrive(self, segment: Segment) -> None:
        try:
            unit = self._endpoint.streams.push(segment, self.now)
        except WireError:
            return
        took_over, self._began = not self._began, True
        self.player.arrived(Arrival(RUN, RUN, VIDEO.id, unit, True, took_over), 100, self.now)

    def _show(self, shown: Shown) -> None:
        latency = self.now - self.path.captured(shown.unit, shown.offset)
        self.seen.append(Seen(self.now, shown, latency))
