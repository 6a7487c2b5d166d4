"""Drives the receiver's parts by a capture instead of a socket and a clock.

Packets are sealed again, under keys made for the purpose, and go the way of live ones: endpoint, reassembler, player,
sinks. Nothing depends on how fast this machine is, so that the same capture gives the same pictures every time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from common.capture.records import SENT, Decoded, Packet, Steps
from common.clock import monotonic
from common.log import Log
from proto.crypto import Sealer
from proto.keys import KeySchedule
from proto.wire import MAX_STREAM
from receiver.decode import DecodeWorker, Job, Outcome
from receiver.player import MAX_SLEEP_S, Player
from receiver.receive import Receive
from receiver.replay.tape import Tape

MOST_SESSIONS = 1024
SOURCE = ("replay", 0)
DECODE_S = 0.02
"""What decoding a unit takes, where not what it took then."""

OVERDUE_S = 1.0
"""A job that the capture says nothing of is done after so long."""

LEAST_STEP_S = 0.0005
ROOM_S = 0.001

log = Log("replay")


class ReplayClock:
    """The time of the capture; 0, which is before all of it, at the start."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Jobs:
    """Stands for the decode worker: keeps what the player submits until its time has come."""

    def __init__(self, clock: ReplayClock) -> None:
        self.waiting: list[tuple[float, Job]] = []
        """When it was submitted, and what. Two at most, one for each run of a sender that is played."""
        self._clock = clock

    def submit(self, job: Job) -> None:
        """See player.Worker."""
        self.waiting.append((self._clock.now, job))

    def pop(self, done: Decoded) -> Job | None:
        """The job that a record is about."""
        for entry in self.waiting:
            job = entry[1]
            if job.step.unit == done.unit and (job.received is None) == done.concealed:
                self.waiting.remove(entry)
                return job
        return None


class Resealer:
    """Packets of a capture as datagrams under one key. The sessions of a sender's run become one."""

    def __init__(self, key: bytes) -> None:
        self._keys = KeySchedule(key)
        self._sealers: OrderedDict[bytes, Sealer] = OrderedDict()

    def seal(self, packet: Packet) -> bytes | None:
        """None for what no sender sends."""
        if packet.stream > MAX_STREAM:
            return None
        # A run may have been known by another name at first: its session tells.
        sealer = self._sealers.get(packet.session) or self._sealers.get(packet.origin)
        if sealer is None:
            sealer = Sealer(self._keys, packet.origin)
        for name in (packet.session, packet.origin):
            self._sealers[name] = sealer
            self._sealers.move_to_end(name)
        while len(self._sealers) > MOST_SESSIONS:
            self._sealers.popitem(last=False)
        return sealer.seal(packet.stream, packet.body)


class Replay:
    """`run` once. Event loop thread; decoding is done on another."""

    def __init__(
        self,
        tape: Tape,
        key: bytes,
        clock: ReplayClock,
        jobs: Jobs,
        receive: Receive,
        player: Player,
        worker: DecodeWorker,
        *,
        speed: float = math.inf,
        recorded: bool = True,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`key`: of the endpoint behind `receive`. `recorded`: decide everything at the moment at which it was decided
        then; else as a receiver would that is never late. `busy`: whether a sink has too much to do."""
        self.packets = 0
        self.beside: Sequence[Callable[[float], object]] = ()
        """Called whenever the clock has gone on: sound and maps go by the same one."""
        self.paint: Callable[[float], None] | None = None
        """Called on another thread before every step: makes what may be shown then."""
        self._tape = tape
        self._seal = Resealer(key).seal
        self._clock, self._jobs = clock, jobs
        self._receive, self._player, self._worker = receive, player, worker
        self._speed = speed
        self._recorded = recorded and tape.start.role != SENT
        self._busy = busy
        self._origin = tape.start.clock
        self._begun = 0.0
        self._until = math.inf

    async def run(self) -> None:
        """To the end of the tape, and until what it holds has been shown."""
        self._begun = monotonic()
        first = True
        for record in self._tape:
            if first and isinstance(record, Packet | Steps):
                first = False
                self._origin = record.time if isinstance(record, Packet) else record.times[0]
            if isinstance(record, Packet):
                if not self._recorded:
                    await self._advance(record.time)
                await self._packet(record)
            elif self._recorded and isinstance(record, Steps):
                for now in record.times:
                    await self._overdue(now)
                    await self._step(now)
            elif self._recorded and isinstance(record, Decoded):
                await self._done(record)
        if not self._recorded:
            await self._advance(self._clock.now + self._player.delay + OVERDUE_S)
        for path, reader in self._tape.read:
            if reader.damaged_bytes or reader.ended is None:
                log.warning(
                    "capture is damaged or was not closed", file=path, damaged_bytes=reader.damaged_bytes
                )
        log.info(
            "replay ended",
            packets=self.packets,
            pictures=self._player.shown,
            **({"missing": self._tape.missing} if self._tape.missing else {}),
        )

    async def _packet(self, packet: Packet) -> None:
        await self._at(packet.time)
        datagram = self._seal(packet)
        if datagram is not None:
            self.packets += 1
            self._receive.take(datagram, SOURCE, self._clock.now)
        if not self._recorded:
            await self._step(self._clock.now)

    async def _step(self, now: float) -> None:
        await self._at(now)
        if self.paint is not None:
            await asyncio.to_thread(self.paint, self._clock.now)
        self._until = min(self._player.step(self._clock.now), self._clock.now + MAX_SLEEP_S)
        while self._busy():
            await asyncio.sleep(ROOM_S)

    async def _done(self, done: Decoded) -> None:
        """A job was done then."""
        job = self._jobs.pop(done)
        await self._at(done.time)
        if job is None:
            return
        if done.empty and done.seconds == 0.0:  # it was never begun
            outcome = Outcome(job, None, 0.0, done.refused)
        else:
            outcome = await self._decode(job, done.seconds)
        self._player.decoded(outcome)

    async def _overdue(self, now: float) -> None:
        for submitted, job in tuple(self._jobs.waiting):
            if now - submitted >= OVERDUE_S:
                self._jobs.waiting.remove((submitted, job))
                self._player.decoded(await self._decode(job, DECODE_S))

    async def _advance(self, to: float) -> None:
        """Do what is due before `to`."""
        while True:
            done = min((submitted + DECODE_S for submitted, _ in self._jobs.waiting), default=math.inf)
            now = min(self._until, done)
            if now > to:
                return
            now = max(now, self._clock.now + LEAST_STEP_S)
            if done <= now:
                _, job = self._jobs.waiting.pop(0)
                outcome = await self._decode(job, DECODE_S)
                await self._at(now)
                self._player.decoded(outcome)
            await self._step(now)

    async def _decode(self, job: Job, seconds: float) -> Outcome:
        outcome = await asyncio.to_thread(self._worker.work, job)
        return dataclasses.replace(outcome, seconds=seconds)

    async def _at(self, now: float) -> None:
        """Go on to `now`, which is waited for unless everything goes as fast as it can."""
        now = max(now, self._clock.now)
        if self._speed < math.inf:
            wait = self._begun + (now - self._origin) / self._speed - monotonic()
            await asyncio.sleep(max(0.0, wait))
        else:
            await asyncio.sleep(0)
        self._clock.now = now
        for step in self.beside:
            step(now)
