"""What every sink is given, and the thread that keeps a slow sink from delaying the others."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.handoff import DropOldest
from common.log import Log
from common.service import EX_CANTCREAT, ServiceError
from common.video import Picture
from receiver.contours.store import ShownMap

TrustMap = npt.NDArray[np.uint8]
"""One value per 16 x 16 block, shape (H / 16, W / 16): RECEIVED, RECOVERED or IMAGINED of common.codec.base."""

log = Log("play")


class SignalState(StrEnum):
    """What the viewer is told about the link."""

    WAITING = "waiting"
    """No packet has arrived yet, so there is nothing to show."""
    LIVE = "live"
    LOST = "lost"
    """No packet for a while, and no picture since; concealed ones go on."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One tick: the picture that every sink shows now.  The arrays are never written to afterwards."""

    number: int
    """Counts ticks from 0 without gaps, so number / fps is the time of a recording."""
    picture: Picture
    trust: TrustMap
    unit: int
    offset: int
    captured_at: float
    """Seconds since the epoch, as the sender's clock had it."""
    shown_at: float
    """Seconds since the epoch, this host's clock."""
    arrived: float
    """Share of the unit's packets that arrived, 0 to 1."""
    state: SignalState
    concealed: bool
    """Nothing of the unit arrived in time."""
    repeated: bool
    """The previous picture again: decoding was late or the sender slow."""
    fps: float
    silence: float = 0.0
    """Seconds since the last packet when the signal is lost, else 0."""
    map: ShownMap | None = None
    """The classes of what is shown; None where the sender sends none, or they are not known."""


class Sink(Protocol):
    """Where pictures go.  `show` is called on the event loop thread and never blocks."""

    name: str

    @property
    def ended(self) -> bool:
        """True when nobody looks any more (pipe closed, window closed) or the sink broke down."""
        ...

    @property
    def failure(self) -> str | None:
        """Why the sink broke down; None while it has not, and when it just ended."""
        ...

    @property
    def dropped(self) -> int:
        """Pictures that this sink was too slow to take."""
        ...

    def show(self, shown: Shown) -> None: ...

    async def start(self) -> None:
        """Open what can be opened before the first picture.  Raises SinkError with the fix."""
        ...

    async def close(self) -> None:
        """Finish and release everything.  Called once, also after `ended`."""
        ...


class SinkError(ServiceError):
    """A sink cannot be opened; the message names the sink and the fix."""

    def __init__(self, message: str) -> None:
        super().__init__(message, EX_CANTCREAT)


class ThreadedSink:
    """A sink with a thread of its own behind a two-picture queue that drops the oldest.

    A subclass implements `opened`, `write` and `finish`; all three run on that thread, so that they may block.
    """

    idle_timeout: float | None = None
    """Seconds after which `idle` is called when no picture came; None: never."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._queue: DropOldest[Shown] = DropOldest()
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}"[:40], daemon=True)
        self._ended = threading.Event()
        self._failure: str | None = None

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def failure(self) -> str | None:
        return self._failure

    @property
    def dropped(self) -> int:
        return self._queue.dropped

    @property
    def full(self) -> bool:
        """Whether another picture would cost one that still waits."""
        return not self._ended.is_set() and len(self._queue) >= self._queue.capacity

    async def start(self) -> None:
        self._thread.start()

    def show(self, shown: Shown) -> None:
        if not self._ended.is_set():
            self._queue.put(shown)

    async def close(self) -> None:
        self._queue.close()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    def write(self, shown: Shown) -> None:
        """Take one picture.  Raise BrokenPipeError to end the sink quietly."""
        raise NotImplementedError

    def opened(self) -> None:
        """Called once, before anything else, on the sink's thread."""

    def idle(self) -> None:
        """Called when no picture came for `idle_timeout`."""

    def finish(self) -> None:
        """Called once at the end, also after an error."""

    def _run(self) -> None:
        try:
            self.opened()
            while not self._queue.closed:
                shown = self._queue.get(self.idle_timeout)
                if shown is not None:
                    self.write(shown)
                elif not self._queue.closed:
                    self.idle()
        except BrokenPipeError:
            log.info("nobody looks any more", sink=self.name)
        except SinkError as error:
            self._failure = str(error)
            log.error("sink cannot be opened; the others go on", sink=self.name, reason=self._failure)
        except Exception as error:
            self._failure = f"{self.name}: {type(error).__name__}: {error}"
            log.exception("sink stopped after an error; the others go on", error, sink=self.name)
        finally:
            self._ended.set()
            try:
                self.finish()
            except Exception as error:
                log.exception("sink could not be finished", error, sink=self.name)


CLOSE_TIMEOUT_S = 5.0
"""A sink that blocks longer than this (a stuck pipe) is left behind at exit."""
