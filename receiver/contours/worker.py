"""The worker of maps: one thread that owns the decoders of contours and fills the store."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.codec.base import CodecError
from common.handoff import DropOldest
from common.log import Log, RateLimited
from common.maps.part import MOST_MISSED
from receiver.contours.collect import Collected
from receiver.contours.store import MapStore, TimedMap

if TYPE_CHECKING:
    from common.codec.contour.decoder import ContourDecoder, DecodedMaps

JOIN_TIMEOUT_S = 5.0

log = Log("contours")


@dataclass(frozen=True, slots=True)
class MapJob:
    """One map unit to decode."""

    generation: int
    """Which run of a sender."""
    unit: Collected
    captured_at: float
    """Of its first map, s since the epoch, by the sender's clock."""


class ContourWorker:
    """`submit` from the event loop thread. The counters are plain numbers that any thread may read."""

    def __init__(self, store: MapStore) -> None:
        self.units = self.maps = self.damaged = self.failures = self.instances = 0
        self.left_out = 0
        """Polygons that would have cost too much to paint."""
        self.seconds = 0.0
        """That decoding took."""
        self._store = store
        self._jobs: DropOldest[MapJob] = DropOldest()
        self._generation = -1
        self._known: ContourDecoder | None = None
        self._next: int | None = None
        self._trouble = RateLimited(log)
        self._thread = threading.Thread(target=self._run, name="contours", daemon=True)

    @property
    def dropped(self) -> int:
        """Units that this machine was too slow to decode."""
        return self._jobs.dropped

    def start(self) -> None:
        """Without it, `work` does everything in the calling thread."""
        self._thread.start()

    def submit(self, job: MapJob) -> None:
        """Never blocks; one that finds two others waiting takes the place of the oldest."""
        self._jobs.put(job)

    def close(self) -> None:
        """Stop after the job in hand. Blocks up to five seconds."""
        self._jobs.close()
        self._jobs.clear()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        while not self._jobs.closed:
            job = self._jobs.get()
            if job is not None:
                self.work(job)
        self._trouble.flush()

    def work(self, job: MapJob) -> None:
        """Decode a unit into the store. Never raises."""
        begun = time.perf_counter()
        if job.generation != self._generation:
            self._generation, self._next = job.generation, None
            self._known = None
        unit = job.unit
        missed = 0 if self._next is None else unit.unit - self._next
        self._next = unit.unit + 1
        try:
            if missed > MOST_MISSED:
                self._known = None
            else:
                for _ in range(missed):
                    self._decoder.decode(None)
            before = self._decoder.left_out
            decoded = self._decoder.decode(unit.payloads)
            self.left_out += self._decoder.left_out - before
        except CodecError as error:
            self._next = unit.unit  # as good as missed
            self.damaged += 1
            self._trouble.add("damaged map unit left out", reason=str(error))
            return
        except Exception as error:
            self.failures += 1
            self._known = None  # its state is not to be trusted any more
            self._trouble.add("contour decoder failed", error=f"{type(error).__name__}: {error}")
            return
        self.units += 1
        if decoded is not None:
            self._keep(job, decoded)
        self.seconds += time.perf_counter() - begun

    @property
    def _decoder(self) -> ContourDecoder:
        """Loaded with the first map unit: OpenCV is not for those that get none."""
        from common.codec.contour.decoder import ContourDecoder

        if self._known is None:
            self._known = ContourDecoder()
        return self._known

    def _keep(self, job: MapJob, decoded: DecodedMaps) -> None:
        self.maps += len(decoded.maps)
        self.instances = self._decoder.instances
        for number, labels in enumerate(decoded.maps):
            at = job.captured_at + number * job.unit.interval
            self._store.put(TimedMap(at, labels, decoded.trust, job.unit.legend), job.generation)
