"""The decode worker: one thread that owns the decoders and their state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.codec.base import CodecError, DecodedUnit, ReferenceMissingError, UnitDecoder
from common.handoff import DropOldest
from common.log import Log, RateLimited
from proto.reassembler import ReceivedUnit
from receiver.playout import Conceal, Decode

MAX_DECODERS = 2
"""The sender's present run, and the one before it, which conceals until the first picture of the new one."""

JOIN_TIMEOUT_S = 5.0

log = Log("decode")


@dataclass(frozen=True, slots=True)
class Job:
    """One unit to decode, or to conceal (`received` is None)."""

    generation: int
    """Which run of a sender; each has a decoder of its own."""
    step: Decode | Conceal
    received: ReceivedUnit | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job; `unit` is None when not even concealing worked."""

    job: Job
    unit: DecodedUnit | None
    seconds: float
    refused: bool = False
    """Whether what had been received of the unit was not decoded."""


class DecodeWorker:
    """`submit` from the event loop thread; `done` is called on the worker thread, or inside `submit`.

    Per generation at most one job may be under way, so that at most two wait.
    """

    def __init__(self, create: Callable[[], UnitDecoder], done: Callable[[Outcome], None]) -> None:
        self.damaged = 0
        """Units whose payloads were authentic but could not be decoded."""
        self.unreferenced = 0
        """Units that are predicted from one that is not there."""
        self.failures = 0
        """Units on which the decoder broke down."""
        self._create = create
        self._done = done
        self._jobs: DropOldest[Job] = DropOldest(MAX_DECODERS)
        self._decoders: dict[int, UnitDecoder] = {}
        self._spare: UnitDecoder | None = None
        self._trouble = RateLimited(log)
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)

    @property
    def alive(self) -> bool:
        """The thread runs."""
        return self._thread.is_alive()

    def prepare(self) -> None:
        """Load a decoder ahead of the first packet; blocking.  Before `start`; raises what loading raises."""
        self._spare = self._create()

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Never blocks. A job that has to make room ends without a unit, so that its run does not wait for ever."""
        victim = self._jobs.put(job)
        if victim is not None:
            self._done(Outcome(victim, None, 0.0, refused=victim.received is not None))

    def close(self) -> None:
        """Stop after the job in hand.  Blocks up to five seconds."""
        self._jobs.close()
        self._jobs.clear()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        while not self._jobs.closed:
            job = self._jobs.get()
            if job is not None:
                self._done(self.work(job))
        self._trouble.flush()

    def work(self, job: Job) -> Outcome:
        """Do a job in the calling thread; for who does not `start` the worker's own."""
        begun = time.perf_counter()
        unit, refused = self._attempt(job)
        return Outcome(job, unit, time.perf_counter() - begun, refused)

    def _attempt(self, job: Job) -> tuple[DecodedUnit | None, bool]:
        """The unit; concealed if it cannot be decoded (and True); None if that fails too.  Never raises."""
        for received in (job.received, None):
            try:
                return self._decoder(job).decode(received), received is not job.received
            except ReferenceMissingError:
                self.unreferenced += 1
            except CodecError as error:
                if received is not None:
                    self.damaged += 1
                    self._trouble.add("damaged unit concealed", reason=str(error))
            except Exception as error:
                self.failures += 1
                self._decoders.pop(job.generation, None)  # its state is not to be trusted any more
                self._trouble.add("decoder failed", error=f"{type(error).__name__}: {error}")
        return None, job.received is not None

    def _decoder(self, job: Job) -> UnitDecoder:
        decoder = self._decoders.get(job.generation)
        if decoder is None:
            decoder, self._spare = self._spare or self._create(), None
            self._decoders[job.generation] = decoder
            while len(self._decoders) > MAX_DECODERS:
                del self._decoders[min(self._decoders)]
        return decoder
