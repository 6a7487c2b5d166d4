"""The playout clock: when should a picture captured at media time m be shown?

Pure and clock-free: every method takes `now` (monotonic seconds).  Media time is the sender's own time
base (seconds); its offset to `now` is unknown and drifts.  The smallest `now - media_time` seen lately is
the transit of a packet that queued nowhere, so it stands for the path; everything above it is jitter,
which the playout delay absorbs.
"""

from __future__ import annotations

from collections import deque

from receiver.drift import DriftEstimator

WINDOW_S = 10.0
"""A transit minimum is forgotten after this long: the base follows a drifting clock or a longer path."""

RECENT_S = 1.0
"""When all transits of so long a time are beyond the delay, the path has become longer: jump at once."""

DRAINING = 0.5
"""Transits that fall faster than this (seconds a second) are those of a queue that is soon empty, and no path."""

RECENT_MIN_SAMPLES = 4
"""Fewer late packets than this prove nothing about the path."""

SPARSE = 3

BUCKET_S = 0.25
"""The minimum is kept per bucket of this length: WINDOW_S / BUCKET_S entries at any packet rate."""

SLEW_PER_S = 0.02
"""The base rises at most this fast (seconds a second): playback slows down unnoticeably, without a jump."""

SILENCE_S = 2.0
"""After so long without a packet the base goes on with the drift of the clocks, since nothing else moves it."""


class PlayoutClock:
    """Maps media time to display time.  One per session; owned by the event loop thread."""

    def __init__(self, delay: float) -> None:
        """`delay`: seconds between the earliest possible arrival of a unit's first packet and its display."""
        if delay < 0:
            raise ValueError(f"delay: must be >= 0 seconds (got {delay})")
        self.delay = delay
        self.sparse = False
        """A unit is one packet: the last SPARSE of them say what those of RECENT_S do otherwise."""
        self.jumps = 0
        self._base: float | None = None
        self._updated = 0.0
        self._minima: deque[tuple[int, float, int]] = deque()  # (bucket number, smallest transit, samples)
        self._drift = DriftEstimator()

    @property
    def base(self) -> float:
        """The estimate of the undisturbed `now - media_time`, seconds.  Raises RuntimeError before start."""
        if self._base is None:
            raise RuntimeError("the playout clock has seen no packet yet")
        return self._base

    @property
    def drift(self) -> float | None:
        """Seconds that the sender's clock gains on ours in a second; None before it can be told."""
        return self._drift.drift

    def observe(self, media_time: float, now: float) -> None:
        """Note that a packet with this media time arrived at `now`.  Call for every accepted packet."""
        transit = now - media_time
        if self._base is not None and now - self._updated > SILENCE_S:
            self._base -= (self.drift or 0.0) * (now - self._updated)
        self._remember(transit, now)
        passed = max(0.0, now - self._updated)
        if self._base is None or transit < self._base:
            self._base = transit
        elif self._path_changed(now):
            self._adopt(now)
        elif (
            self._minima[0][0] * BUCKET_S <= now - RECENT_S
        ):  # after a silence the first packets are no floor
            floor = min(smallest for _, smallest, _ in self._minima)
            if floor > self._base:
                self._base = min(floor, self._base + SLEW_PER_S * min(BUCKET_S, passed))
        self._updated = now

    def display_time(self, media_time: float) -> float:
        """When (monotonic) the picture of this media time is due.  Raises RuntimeError before start."""
        return media_time + self.base + self.delay

    def media_time(self, now: float) -> float:
        """The media time that is due at `now`: the inverse of display_time."""
        return now - self.base - self.delay

    def _adopt(self, now: float) -> None:
        """The path is what it was lately."""
        recent = self._recent(now)
        self._base = min(smallest for _, smallest, _ in recent)
        while self._minima and self._minima[0][0] < recent[0][0]:
            self._minima.popleft()
        self._drift.forget()
        self.jumps += 1

    def _remember(self, transit: float, now: float) -> None:
        self._drift.observe(transit, now)
        bucket = int(now // BUCKET_S)
        if self._minima and self._minima[-1][0] >= bucket:
            last, smallest, samples = self._minima[-1]
            self._minima[-1] = (last, min(smallest, transit), samples + 1)
        else:
            self._minima.append((bucket, transit, 1))
        while (self._minima[0][0] + 1) * BUCKET_S < now - WINDOW_S:
            self._minima.popleft()

    def _path_changed(self, now: float) -> bool:
        """True when for RECENT_S nothing arrived that could still have been shown in time."""
        assert self._base is not None
        recent = self._recent(now)
        if not (len(recent) == SPARSE if self.sparse else self._enough(recent, now)):
            return False
        lasted = max(RECENT_S, (recent[-1][0] - recent[0][0]) * BUCKET_S)
        if recent[0][1] - recent[-1][1] > DRAINING * lasted:
            return False
        return min(smallest for _, smallest, _ in recent) > self._base + self.delay

    @staticmethod
    def _enough(recent: list[tuple[int, float, int]], now: float) -> bool:
        """Whether there is RECENT_S of evidence, which there is not at the start or after a silence."""
        samples = sum(samples for _, _, samples in recent)
        return samples >= RECENT_MIN_SAMPLES and recent[0][0] * BUCKET_S <= now - RECENT_S

    def _recent(self, now: float) -> list[tuple[int, float, int]]:
        if self.sparse:
            return list(self._minima)[-SPARSE:]
        return [entry for entry in self._minima if (entry[0] + 1) * BUCKET_S > now - RECENT_S]
