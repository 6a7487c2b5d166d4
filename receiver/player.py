"""Plays what arrives: hands units to the decode worker when they are due and shows a picture at every tick."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from common.clock import Clock, WallClock, monotonic
from common.codec.base import IMAGINED, RECOVERED, CodecError, DecodedUnit
from common.log import Log
from common.video import Picture
from proto.session import Arrival, ReceiverEndpoint
from proto.streams import CONTOURS, VIDEO
from proto.wire import IP_UDP_BYTES
from receiver.contours.store import ShownMap
from receiver.decode import Job, Outcome
from receiver.delay import AUTOMATIC, DelayBounds
from receiver.figures import Figures
from receiver.generative.frames import Frame, Painter
from receiver.play.base import Shown, SignalState
from receiver.playout import Decode, Tick, Wait
from receiver.program import Describe, Program, Shot
from receiver.stages import UnitTimes
from receiver.watch import SignalWatch

MAX_SLEEP_S = 0.5
"""The signal state is looked at this often even when nothing happens."""

WHOLE_UNITS = 3.0
"""So many units that are one packet each are waited for beyond `lost_after`."""

log = Log("play")


class Worker(Protocol):
    """What the player needs of the decode worker."""

    def submit(self, job: Job) -> None: ...


class Observer(Protocol):
    """Told of all that the player's decisions come from beside what arrives: a capture."""

    def step(self, now: float) -> None:
        """The player looks what is due."""
        ...

    def decoded(self, outcome: Outcome, now: float) -> None:
        """A job is done."""
        ...


class Player:
    """Owned by the event loop thread; `arrived` and `decoded` only note what happened and wake `run`."""

    def __init__(
        self,
        endpoint: ReceiverEndpoint,
        worker: Worker,
        describe: Describe,
        show: Callable[[Shown], None],
        *,
        delay: DelayBounds = AUTOMATIC,
        lost_after: float,
        wall: WallClock,
        clock: Clock = monotonic,
    ) -> None:
        """`delay`: bounds of the playout delay; `lost_after`: seconds of silence; `clock`: monotonic seconds."""
        self.figures = Figures()
        self.shown = self.concealed = self.repeated = 0
        self.freezes = 0
        """Times that a picture stood although the next one was due, however long."""
        self.frozen_seconds = 0.0
        """Time during which one did."""
        self.signal_losses = 0
        self.trust = np.zeros(3, np.int64)
        """Regions of the pictures shown, by their trust: RECEIVED, RECOVERED, IMAGINED."""
        self.cells = self.cells_imagined = self.elements = self.elements_lost = 0
        self.last: Shown | None = None
        self.profile = ""
        """Of the last unit that went to the decoder."""
        self.on_unit: Callable[[DecodedUnit, float], None] | None = None
        self.on_stage: Callable[[str, float], None] | None = None
        """Told how long a unit took, in seconds: `path` (from capture to its first packet), `collect` (from there
        to the decoder), `ready` (from decoded to shown)."""
        self.on_decoded: Callable[[int, bool, bool, float], None] | None = None
        """Told of every unit of the newest run that went to the decoder: its number, whether it was refused, whether
        pictures were made from what had arrived, and when that was known."""
        self.maps: Callable[[float], ShownMap | None] = lambda captured_at: None
        """The map to be shown with a picture captured then."""
        self.painter: Painter | None = None
        """Shows other pictures than were decoded."""
        self.observer: Observer | None = None
        self.current: Program | None = None
        self._coming: Program | None = None
        self._generation = 0
        self._late_before = self._damaged_before = self._jumps_before = 0
        self._endpoint = endpoint
        self._worker = worker
        self._describe = describe
        self._show = show
        self._delay = delay
        self._lost_after = lost_after
        self._watch = SignalWatch(lost_after)
        self._told = self._watch.state
        self._wall = wall
        self._clock = clock
        self._tallied = (0, 0)
        self._times = UnitTimes()
        self._wake = asyncio.Event()

    def arrived(self, arrival: Arrival, datagram_bytes: int, now: float) -> None:
        """A segment was taken in (called by the socket)."""
        if arrival.active:
            self.heard(arrival.stream, datagram_bytes, now)
        if not arrival.active or arrival.stream != VIDEO.id:
            return
        if arrival.took_over:
            self._take_over()
        program = self._coming or self.current
        if program is not None:
            key, wall = (program.generation, arrival.unit), self._wall.from_monotonic(now)
            self._watch.arrived(key, now)
            captured_at = program.arrived(arrival.unit, now, wall)
            if captured_at is not None and self._times.arrived(key, now):
                self._stage("path", max(0.0, wall - captured_at))
        self._wake.set()

    def heard(self, stream: int, datagram_bytes: int, now: float) -> None:
        """A packet of the sender on show was taken in, of whatever stream: what it cost on the wire."""
        self.alive(now)
        wire = datagram_bytes + IP_UDP_BYTES
        self.figures.add(now, bytes=wire, contours=wire if stream == CONTOURS.id else 0)

    def alive(self, now: float) -> None:
        """Something of the sender on show came, of whatever kind."""
        self._watch.heard(now)

    def decoded(self, outcome: Outcome) -> None:
        """A job is done (called in the event loop thread)."""
        now = self._clock()
        if self.observer is not None:
            self.observer.decoded(outcome, now)
        shots: list[Shot] = []
        if outcome.unit is not None:
            unit = outcome.unit
            shots = self._shots(outcome.job.generation, unit)
            self._account(outcome, unit, now)
            self._times.decoded((outcome.job.generation, getattr(outcome.job.step, "unit", -1)), now)
        step = outcome.job.step
        if self.on_decoded and isinstance(step, Decode) and outcome.job.generation == self._generation:
            made = outcome.unit is not None and outcome.unit.arrived > 0 and not outcome.refused
            self.on_decoded(step.unit, outcome.refused, made, now)
        for program in (self.current, self._coming):
            if program is not None and program.generation == outcome.job.generation and program.playout:
                program.playout.decoded(step, shots, outcome.seconds, now)
                if self.painter is not None and program.info is not None:
                    self.painter.expect(program.set_due(), 1.0 / program.info.fps)
        self._wake.set()

    async def run(self) -> None:
        """Play until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            now = self._clock()
            wake_at = min(self.step(now), now + MAX_SLEEP_S)
            timer = loop.call_later(max(0.0, wake_at - self._clock()), self._wake.set)
            await self._wake.wait()
            self._wake.clear()
            timer.cancel()

    def step(self, now: float) -> float:
        """Do what is due at `now`; return when to come again (monotonic seconds)."""
        if self.observer is not None:
            self.observer.step(now)
        self._watch_signal(now)
        until = math.inf
        for program in (self.current, self._coming):
            if program is not None:
                until = min(until, self._plan(program, now))
        if self._coming is not None and self._coming.playout is not None:
            until = min(until, self._coming.playout.next_tick)
            if now >= self._coming.playout.next_tick or self.last is None:
                self._switch()
        playout = None if self.current is None else self.current.playout
        if playout is not None:
            if now >= playout.next_tick:
                self._tick(now)
            until = min(until, playout.next_tick)
        return until

    @property
    def state(self) -> SignalState:
        """What the viewer is told."""
        return self._watch.state

    @property
    def drift(self) -> float | None:
        """Seconds that the sender's clock gains on ours in a second; None while that is not known."""
        return None if self.current is None else self.current.clock.drift

    @property
    def newest(self) -> Program | None:
        """What is on show, or about to be; None while its playout delay is not known."""
        program = self._coming or self.current
        return program if program is not None and program.playout is not None else None

    @property
    def path_jumps(self) -> int:
        """Times that the path had become longer at once."""
        return self._jumps_before + (self.current.clock.jumps if self.current else 0)

    def silence(self, now: float) -> float:
        """Seconds since the last packet while the signal is lost, else 0."""
        return self._watch.silence(now)

    @property
    def late_pictures(self) -> int:
        """Decoded pictures that came too late to be shown."""
        playout = self.current.playout if self.current else None
        return self._late_before + (playout.late_pictures if playout else 0)

    @property
    def delay(self) -> float:
        """The playout delay in force, seconds; 0 before the first packet."""
        program = self.current or self._coming
        return program.clock.delay if program is not None else 0.0

    @property
    def longest_delay(self) -> float:
        """The most that the playout delay may become, seconds; NaN before it is known."""
        program = self.current or self._coming
        return program.longest_delay if program is not None else math.nan

    @property
    def damaged(self) -> int:
        """Units at joining that could not be read."""
        return self._damaged_before + sum(p.damaged for p in (self.current, self._coming) if p is not None)

    def set_delay(self, bounds: DelayBounds) -> None:
        """Change the playout delay while playing: it moves there by and by, without a jump."""
        self._delay = bounds
        for program in (self.current, self._coming):
            if program is not None:
                program.bound_delay(bounds)

    def set_lost_after(self, seconds: float) -> None:
        """Change the silence after which the signal counts as lost."""
        self._lost_after = seconds

    @property
    def lost_after(self) -> float:
        """Seconds of silence after which the signal counts as lost: units that are one packet each, which may be lost,
        come seldom."""
        info = None if self.current is None else self.current.info
        return self._lost_after + (
            WHOLE_UNITS * info.unit_duration if info is not None and info.whole else 0.0
        )

    def _plan(self, program: Program, now: float) -> float:
        step = program.plan(now)
        if isinstance(step, Wait):
            return step.until
        assert program.info is not None
        received = program.take(step.unit) if isinstance(step, Decode) else None
        if received is not None:
            with contextlib.suppress(CodecError):  # the decoder will say so
                self.profile = program.profile = self._describe(
                    next(part for part in received.segments if part is not None)
                ).profile
        if isinstance(step, Decode):
            self._stage("collect", self._times.taken((program.generation, step.unit), now))
        self._worker.submit(Job(program.generation, step, received))
        return math.inf

    def _stage(self, stage: str, seconds: float | None) -> None:
        if seconds is not None and self.on_stage is not None:
            self.on_stage(stage, seconds)

    def _take_over(self) -> None:
        """A sender has started (again): play it as soon as it has a picture, until then go on concealing."""
        reassembler = self._endpoint.reassembler(VIDEO.id)
        if reassembler is None:
            return
        self._generation += 1
        if self.current is not None:
            self.current.retired = True
        if self._coming is not None:
            self._damaged_before += self._coming.damaged
        self._coming = Program(self._generation, reassembler, self._describe, self._delay)
        log.info("sender found", run=self._generation)

    def _switch(self) -> None:
        coming = self._coming
        assert coming is not None and coming.info is not None
        if self.current is not None:
            self._damaged_before += self.current.damaged
            self._late_before = self.late_pictures
            self._jumps_before = self.path_jumps
        self.current, self._coming = coming, None
        info = coming.info
        log.info(
            "playing",
            profile=info.profile,
            size=f"{info.width}x{info.height}",
            fps=info.fps,
            delay_ms=round(coming.clock.delay * 1000),
        )

    def _watch_signal(self, now: float) -> None:
        before, self._watch.lost_after = self._told, self.lost_after
        self._told = self._watch.look(now, self.delay + self.lost_after)
        if self._told is not before:
            self.signal_losses += self._told is SignalState.LOST
            log.info("signal", state=self._told)

    def _tick(self, now: float) -> None:
        program = self.current
        assert program is not None and program.playout is not None and program.info is not None
        tick = program.playout.tick(now)
        if self.painter is not None:
            program.set_due()
        if tick is None:
            return
        shown = self._shown(program, tick, program.info.fps, now)
        if shown.repeated:
            self.repeated += 1
            self.freezes += self.last is None or not self.last.repeated
            self.frozen_seconds += 1.0 / shown.fps
        self.shown += 1
        self.concealed += shown.concealed
        self.trust += np.bincount(shown.trust.ravel(), minlength=3)[:3]
        self._stage("ready", self._times.shown((program.generation, shown.unit), now))
        self.figures.add(now, pictures=1)
        if not shown.concealed and not shown.repeated:
            self.figures.add(now, latency=shown.shown_at - shown.captured_at, latencies=1)
        self.last = shown
        self._show(shown)

    def _shown(self, program: Program, tick: Tick[Shot], fps: float, now: float) -> Shown:
        ready = tick.ready
        received = not (ready.concealed or tick.repeated)
        state = self._watch.shown((program.generation, ready.unit), received)
        captured_at = program.captured_at(ready.media_time)
        return Shown(
            number=0 if self.last is None else self.last.number + 1,
            picture=self._picture(ready.picture),
            trust=ready.picture.trust,
            unit=ready.unit,
            offset=ready.offset,
            captured_at=captured_at,
            shown_at=self._wall.from_monotonic(now),
            arrived=ready.picture.arrived,
            state=state,
            concealed=ready.concealed,
            repeated=tick.repeated,
            fps=fps,
            silence=self._watch.silence(now),
            map=self.maps(captured_at),
        )

    def _shots(self, generation: int, unit: DecodedUnit) -> list[Shot]:
        programs = (p for p in (self.current, self._coming) if p is not None and p.generation == generation)
        program = next(programs, None)
        painted = self.painter is not None and program is not None and self.painter.wanted(program.profile)
        arrived = unit.arrived / max(1, unit.total)
        frames = [
            Frame(generation, picture, unit.trust, qp=unit.qp) if painted else None
            for picture in unit.pictures
        ]
        return [
            Shot(picture, unit.trust, arrived, frame)
            for picture, frame in zip(unit.pictures, frames, strict=True)
        ]

    def _picture(self, shot: Shot) -> Picture:
        if shot.frame is None or self.painter is None:
            return shot.picture
        return self.painter.take(shot.frame)

    def _account(self, outcome: Outcome, unit: DecodedUnit, now: float) -> None:
        imagined = int((unit.trust == IMAGINED).sum())
        self.cells += unit.trust.size
        self.cells_imagined += imagined
        self.elements += unit.total
        self.elements_lost += unit.total - unit.arrived
        tally = self._endpoint.tallies[VIDEO.id]
        received, lost = tally.received, tally.lost
        fresh, gone = received - self._tallied[0], lost - self._tallied[1]
        self._tallied = (received, lost)
        recovered = int((unit.trust == RECOVERED).sum())
        self.figures.add(now, cells=unit.trust.size, imagined=imagined, recovered=recovered)
        self.figures.add(now, lost=gone, sent=fresh + gone)
        if self.on_unit is not None:
            self.on_unit(unit, outcome.seconds)
