"""Time stamps of recordings. Pure."""

from __future__ import annotations

OFF_BY = 0.75
"""Share of a picture's time by which pictures may be off a regular grid before time stamps follow them."""

FOLLOW = 0.1
"""Share of what they are off by that a time stamp then makes good: a picture that came late by itself moves little."""

JUMP = 5.0
"""Picture times from which on something has stood still, and time stamps follow at once."""

LEAST_S = 0.001
"""Between two pictures, whatever the clock did."""


class Cadence:
    """Regular time stamps for as long as the pictures are regular; a minute of video becomes a minute of recording."""

    def __init__(self) -> None:
        self._first = 0.0
        self._number: int | None = None
        self._at = 0.0

    def at(self, number: int, time: float, fps: float) -> float:
        """Seconds since the first picture; call for each, in order. `number`: rises by one with every picture that
        there was, recorded or not; `time`: when it was shown or captured, seconds."""
        if self._number is None:
            self._first, self._number = time, number
            return 0.0
        interval = 1.0 / fps
        regular = self._at + (number - self._number) * interval
        off = time - self._first - regular
        if off > JUMP * interval:
            regular += off
        elif abs(off) > OFF_BY * interval:
            regular += FOLLOW * off
        self._at, self._number = max(regular, self._at + LEAST_S), number
        return self._at
