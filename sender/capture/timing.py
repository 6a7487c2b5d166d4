"""When frames are due: pure arithmetic for sources with and without a clock of their own."""

from __future__ import annotations

MAX_LATE = 1.0
"""Seconds. A source that is later than this does not catch up by skipping; its schedule is moved."""

EARLY = 0.25
"""Share of a frame interval that a live frame may come before its slot and still count for it."""

MAX_REPEATS = 2
"""Times that a live picture is shown again for a slow camera; a longer gap is a stall, not a slow camera."""


class Ticker:
    """The schedule of a source that delivers as fast as it is asked: slot k is due at start + k / fps."""

    def __init__(self, fps: float) -> None:
        self.skipped = 0
        self._fps = fps
        self._origin: float | None = None
        self._slot = -1

    def next(self, now: float) -> tuple[int, float]:
        """(number, due time) of the next slot at time `now`; call once a frame, before preparing it.

        Slots that are over already are skipped and counted. After a hold-up of more than MAX_LATE seconds the
        schedule starts anew from `now` instead, without a gap in the numbers.
        """
        if self._origin is None:
            self._origin = now
        slot = self._slot + 1
        late = now - (self._origin + slot / self._fps)
        if late > MAX_LATE:
            self._origin += late
        elif late * self._fps >= 1:
            missed = int(late * self._fps)
            self.skipped += missed
            slot += missed
        self._slot = slot
        return slot, self._origin + slot / self._fps


class Cadence:
    """Fits the frames of a live source to a constant frame rate by leaving out and repeating.

    The source's own clock rules: nothing waits. The mean output rate is `fps` while frames come often enough.
    """

    def __init__(self, fps: float) -> None:
        self.skipped = 0
        self.repeated = 0
        self._fps = fps
        self._origin: float | None = None
        self._slot = -1

    def slots(self, now: float) -> range:
        """The slot numbers for the picture that arrived at `now`: none, one, or more when it is repeated."""
        if self._origin is None:
            self._origin = now
        reached = int((now - self._origin) * self._fps + EARLY)
        count = reached - self._slot
        if count > 1 + MAX_REPEATS:
            # A stall: the schedule starts anew at this picture, without a gap in the numbers.
            self._origin = now - (self._slot + 1) / self._fps
            count = 1
        first = self._slot + 1
        if count <= 0:
            self.skipped += 1
            return range(0)
        self.repeated += count - 1
        self._slot += count
        return range(first, first + count)


class Backoff:
    """Growing pauses between attempts: `first` seconds, then twice as long each time, up to `limit`."""

    def __init__(self, first: float = 0.5, limit: float = 10.0) -> None:
        self._first = first
        self._limit = limit
        self._pause = first

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        pause = self._pause
        self._pause = min(self._pause * 2, self._limit)
        return pause

    def reset(self) -> None:
        """It worked: begin with the short pause next time."""
        self._pause = self._first
