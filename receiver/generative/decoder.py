"""The generative decoder as the player sees it: frames in, pictures out when they are due, or plain ones.

Two threads: `generate` loads the network and makes pictures in order, as many as there is time for; `finish` has each
frame's picture ready shortly before its tick, carrying the detail of the last generated one over to those in between.
Nobody waits for either: a frame without a picture is shown as it was received.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from common.clock import Clock, monotonic
from common.codec.texture.header import PROFILE as STRUCTURE
from common.log import Log
from common.video import Picture, picture_size
from receiver.contours.store import ShownMap
from receiver.generative.frames import LEAD_S, Detail, Frame, begins_anew, choose
from receiver.generative.lambdas import Lambdas
from receiver.generative.pace import LONGEST_GAP_S, PLAIN, Pace
from receiver.play.base import TrustMap

MOST_DETAILS = 4
"""Generated pictures whose detail is kept: a frame may still wait that comes before the newest of them."""

MOST_FRAMES = 128
"""That wait: two units of the longest kind, and room."""

RETRY_S, MOST_RETRY_S = 30.0, 600.0
"""After a failure; doubled with each."""

FIX = "raise decode.gpu_memory_mb, or lower decode.side"
"""Where memory is not enough."""

MAX_WAIT_S = 0.5
JOIN_TIMEOUT_S = 5.0

log = Log("generative")


class State(StrEnum):
    """Why pictures are generated or not."""

    OFF = "off"
    """Not asked for."""
    MISSING = "missing"
    """This host lacks torch or weights."""
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    """The network broke down; tried again later."""


class Network(Protocol):
    """What is asked of receiver.generative.network.Network."""

    device: str

    @property
    def steps(self) -> tuple[int, ...]: ...
    @property
    def memory(self) -> int: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def runtime(self) -> str: ...
    @property
    def graphs(self) -> Mapping[str, int]: ...
    def fit(self, size: tuple[int, int]) -> None: ...
    def warm(self, steps: int) -> None: ...
    def forget(self) -> None: ...
    def fewer(self, error: Exception) -> int | None: ...
    def close(self) -> None: ...
    def generate(
        self,
        texture: Picture,
        trust: TrustMap,
        found: ShownMap | None,
        reset: bool,
        steps: int,
        qp: float = ...,
    ) -> Picture: ...


class Maps(Protocol):
    """What is asked of receiver.contours.store.MapStore."""

    @property
    def newest(self) -> float | None: ...
    def at(self, captured_at: float) -> ShownMap | None: ...


class GenerativeDecoder:
    """`expect` and `take` from the event loop thread; neither blocks. The counters are plain numbers for any thread."""

    def __init__(
        self,
        load: Callable[[], Network],
        maps: Maps,
        *,
        asked: Callable[[], bool] = lambda: True,
        missing: Callable[[], str | None] = lambda: None,
        clock: Clock = monotonic,
        live: bool = True,
    ) -> None:
        """`load`: makes the network, on the thread that is to use it; `asked`: whether generated pictures are wished
        for; `missing`: what this host lacks for them; `live`: as fast as this machine is; else every picture is
        generated, however long that takes, by who calls `work`."""
        self.state = State.OFF
        self.reason = ""
        """Why pictures are plain, where that is no choice."""
        self.lambdas = Lambdas()
        """Weights of the adapters from the next picture on; any thread may set it."""
        self.shortage = ""
        """What memory is enough for, where that is less than was asked for."""
        self.failures = self.late = 0
        """Breakdowns of the network; pictures that came too late."""
        self.shown = Counter[str]()
        """Frames taken: generated, carried or plain."""
        self.made = Counter[int]()
        """Pictures generated, by their steps; 0: by the Refiner alone."""
        self.seconds = 0.0
        """That generating took."""
        self.pace = Pace()
        self.network: Network | None = None
        self.live = live
        self._load, self._maps, self._clock = load, maps, clock
        self._asked, self._missing = asked, missing
        self._waiting: deque[Frame] = deque(maxlen=MOST_FRAMES)
        self._details: deque[Detail] = deque(maxlen=MOST_DETAILS)
        self._size: tuple[int, int] | None = None
        self._interval = math.nan
        self._retry, self._retry_at = RETRY_S, math.inf
        self._closed = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to load, unless that has begun. Any thread."""
        with self._changed:
            if self.state is not State.OFF:
                return
            self.state = State.LOADING
            if not self.live:
                return
            for name in (self._generate, self._finish):
                thread = threading.Thread(target=name, name=name.__name__.strip("_"), daemon=True)
                self._threads.append(thread)
                thread.start()

    def wanted(self, profile: str) -> bool:
        """Whether `expect` is to be told of pictures of this profile. The first time that it is so, begin to load."""
        if profile != STRUCTURE or not self._asked():
            return False
        if self.state is State.OFF:
            reason = self._missing()
            if reason is None:
                self.start()
            else:
                self._lack(reason)
        return self.state in (State.LOADING, State.READY)

    def _lack(self, reason: str) -> None:
        self.state, self.reason = State.MISSING, reason
        log.warning("pictures stay plain", reason=reason)

    def close(self) -> None:
        """Stop after the picture in hand. Blocks up to five seconds."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT_S)
        if self.network is not None and not any(thread.is_alive() for thread in self._threads):
            self.network.close()

    @property
    def _last(self) -> Detail | None:
        return self._details[-1] if self._details else None

    @property
    def generating(self) -> bool:
        """Whether what is shown now is, or leans on, generated pictures."""
        return self.state is State.READY and (not self.live or self.pace.rung != PLAIN)

    def expect(self, frames: Sequence[Frame], interval: float) -> None:
        """Frames that are to be shown, in order; `interval`: seconds from one to the next."""
        if not frames:
            return
        with self._changed:
            if self._size is None:
                self._size = picture_size(frames[0].texture)
            if not self.live or self.state is State.READY:
                self._interval = interval
                self._waiting.extend(frames)
                self._changed.notify_all()

    def take(self, frame: Frame) -> Picture:
        """What to show of a frame now."""
        self.shown[
            "generated" if frame.made is not None else "plain" if frame.picture is None else "carried"
        ] += 1
        return frame.texture if frame.picture is None else frame.picture

    def work(self, now: float) -> None:
        """Where not `live`: generate all that may be shown at `now`, in the calling thread, always the same."""
        if self.state is State.LOADING and self._size is not None:
            self._open()
        while self._waiting and self._waiting[0].due <= now + self._interval:
            frame = self._waiting.popleft()
            if self.network is not None and self.state is State.READY:
                self._make(self.network, frame, max(self.network.steps))
                frame.picture = frame.made

    def _generate(self) -> None:
        """The thread that owns the network."""
        with self._changed:
            # A stream that is there already tells its size; else any will do.
            self._changed.wait_for(lambda: self._size is not None or self._closed, MAX_WAIT_S)
        self._open()
        while not self._closed:
            network = self.network
            if network is None:
                return
            if self.state is State.FAILED and self._clock() >= self._retry_at:
                self._attempt(network)
            with self._changed:
                frame = self._next() if self.state is State.READY else None
                if frame is None or isinstance(frame, float):
                    until = MAX_WAIT_S if frame is None else frame - self._clock()
                    self._changed.wait(min(MAX_WAIT_S, max(0.001, until)))
                    continue
            self._make(network, frame, self.pace.rung.steps)

    def _next(self) -> Frame | float | None:
        now = self._clock()
        if not math.isfinite(self._interval):
            return None
        self.pace.begin(self._interval, now)
        rung = self.pace.update(now)
        expected = self.pace.seconds(rung.steps) if rung != PLAIN else 0.0
        return choose(tuple(self._waiting), self._last, rung, expected, now, self._maps.newest)

    def _make(self, network: Network, frame: Frame, steps: int) -> None:
        """Generate one frame. Never raises."""
        begun = monotonic()
        try:
            found = self._maps.at(frame.captured_at)
            anew = begins_anew(frame, self._last)
            made = network.generate(frame.texture, frame.trust, found, anew, steps, frame.qp)
        except Exception as error:
            self._fail(network, error)
            return
        spent = monotonic() - begun
        self.seconds += spent
        self.made[steps] += 1
        now = self._clock()
        with self._changed:
            self.pace.measured(steps, spent)
            self._details.append(Detail(frame.run, frame.captured_at, frame.texture, made))
            if self.live and now >= frame.due:
                self.late += 1
                self.pace.missed(now)
            else:
                frame.made = made
            self._changed.notify_all()

    def _open(self) -> None:
        """Load and warm up. Never raises."""
        begun = monotonic()
        try:
            network = self._load()
            self._prepare(network)
        except ImportError as error:
            self._lack(f"{error}")
            return
        except (
            Exception
        ) as error:  # weights that are none, no such device, no memory: trying again changes nothing
            self.failures += 1
            self.state, self.reason = State.FAILED, f"{error}"
            log.error("the generative decoder cannot be used; pictures stay plain", reason=self.reason)
            return
        self.network = network
        self.state = State.READY
        log.info(
            "generative decoder ready",
            device=network.device,
            runtime=network.runtime,
            size="x".join(map(str, network.size)),
            ms=round(1000 * self.pace.seconds(1)),
            memory_mb=round(network.memory / 2**20),
            seconds=round(monotonic() - begun, 1),
        )

    def _prepare(self, network: Network) -> None:
        """Take the memory that pictures need, with fewer steps where it is not enough for all, and warm up."""
        short = 0
        while True:
            try:
                if self._size is not None:
                    network.fit(self._size)
                self.pace = Pace(network.steps)
                self._measure(network)
                break
            except Exception as error:
                fewer = network.fewer(error)
                if fewer is None:
                    raise
                if not fewer:
                    raise MemoryError(f"too little memory for 1 step: {FIX}") from None
                short = fewer
        if short:
            self.shortage = f"memory for {short} step{'s' if short > 1 else ''} at most"
            log.warning("too little memory for more denoising steps", steps=short, fix=FIX)

    def _measure(self, network: Network) -> None:
        """Warm up each number of steps that a stream may get, and time it once it is warm."""
        for steps in sorted(network.steps):
            if self.pace.seconds(steps) > LONGEST_GAP_S:
                return  # far too slow here, as fewer steps told
            network.warm(steps)  # records graphs, asks for engines
            begun = monotonic()
            network.warm(steps)
            self.pace.measured(steps, monotonic() - begun)

    def _fail(self, network: Network, error: Exception) -> None:
        self.failures += 1
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        log.error("generative decoder failed; pictures are plain", reason=reason, retry_s=self._retry)
        with self._changed:
            self.state, self.reason = State.FAILED, reason
            self._retry_at = self._clock() + self._retry
            self._retry = min(2 * self._retry, MOST_RETRY_S)
            self._details.clear()
            self._waiting.clear()

    def _attempt(self, network: Network) -> None:
        """Try again, after a failure."""
        try:
            network.forget()
            self._prepare(network)
        except Exception as error:
            self._fail(network, error)
            return
        self.state, self.reason = State.READY, ""
        log.info("generative decoder is back")

    def _finish(self) -> None:
        """The thread that has pictures ready for their ticks."""
        from receiver.generative.carry import carry  # OpenCV is not for those that get no maps

        while not self._closed:
            with self._changed:
                frame, now = self._waiting[0] if self._waiting else None, self._clock()
                at = math.inf if frame is None else frame.due - LEAD_S
                if frame is None or (frame.made is None and now < at):
                    self._changed.wait(min(MAX_WAIT_S, max(0.001, at - now)))
                    continue
                self._waiting.popleft()
                last = next((detail for detail in reversed(self._details) if detail.fits(frame)), None)
            if frame.made is not None:
                frame.picture = frame.made
            elif last is not None and now < frame.due:
                frame.picture = carry(last, frame.texture)
