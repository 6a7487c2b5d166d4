"""How the rate is shared between contours and pictures, and how long a map unit lasts. Pure.

A packet costs 61 bytes of headers (28 of IP and UDP, 29 of ours, 4 of a protected stream) and 4 of ours again, whatever
it holds: at 1 kbit/s a map unit has to last longer than a second, or headers are all that is sent.
"""

from __future__ import annotations

import math
import threading

from common.codec.base import Budget
from common.codec.contour.syntax import MAX_FRAMES
from common.maps.part import HEADER_BYTES
from proto.protected import LENGTH_BYTES, PARITY_HEADER_BYTES, SOURCE_HEADER_BYTES
from proto.protection import MAX_WINDOW_SECONDS
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES
from sender.ceiling import HEADROOM, Ceiling

PART_COST = IP_UDP_BYTES + OVERHEAD_BYTES + SOURCE_HEADER_BYTES + HEADER_BYTES
PIECE_ROOM = SOURCE_HEADER_BYTES + LENGTH_BYTES + PARITY_HEADER_BYTES + HEADER_BYTES
"""Bytes of a payload that are not the contours', so that parity fits as well."""

HEADERS = 0.3  # share of the contours' rate that headers may take, about
SHORTEST_S = 0.5  # of a map unit: two of them in a window of the erasure code
LOSSLESS_S = (
    0.8  # of one where nothing is lost: about what a unit of pictures lasts, so that it delays nothing
)
SAVING = 1.5  # units' worth that may be saved up
LEAST_DATA = 12  # bytes of contours below which a packet is not worth its headers


class ContourShare:
    """What the next map unit may spend. `budget` is called by the thread of maps, the rest in the event loop."""

    def __init__(self, share: float, fps: float, kbps: float, ceiling: Ceiling) -> None:
        """`share`: of the wire rate, for contours and their parity; `fps`: maps a second; `kbps`: the wire rate."""
        self.overhead = 0.0
        """Parity packets to each packet of contours."""
        self.lossy = True
        """Whether packets are lost, or nobody tells."""
        self.repeat = False
        """Whether so many are that what is new goes twice, instead of waiting for reports."""
        self._share, self._fps, self._ceiling = share, fps, ceiling
        self._rate = HEADROOM * share * kbps * 125
        self._level = 0.0
        self._most = 0.0
        self._at: float | None = None
        self._lock = threading.Lock()

    def set_target(self, kbps: float) -> None:
        """The session may send so much on the wire."""
        self._rate = HEADROOM * self._share * kbps * 125

    def beside(self, wire_bytes: int) -> float:
        """Something else was sent, that both streams pay for; returns what contours do."""
        with self._lock:
            self._level -= self._share * wire_bytes
        return self._share * wire_bytes

    def parity(self, wire_bytes: int) -> None:
        """Parity was sent: contours pay for it."""
        with self._lock:
            self._level -= wire_bytes

    def surplus(self, now: float) -> int:
        """Bytes that contours have not used, and pictures may; told once."""
        with self._lock:
            self._fill(now)
            over = int(max(0.0, self._level - self._most)) if self._most else 0
            self._level -= over
        return over

    @property
    def duration(self) -> float:
        """Seconds that the next unit should last."""
        return self.maps / self._fps

    @property
    def maps(self) -> int:
        """How many maps the next unit should have."""
        seconds = PART_COST / HEADERS / max(self._rate, 1.0)
        return max(
            1, min(MAX_FRAMES, round(max(SHORTEST_S if self.lossy else LOSSLESS_S, seconds) * self._fps))
        )

    def budget(self, maps: int, payload_limit: int, now: float) -> Budget | None:
        """For a unit of so many maps; None where it cannot be afforded: its maps are left out."""
        with self._lock:
            self._fill(now)
            self._most = SAVING * self._rate * maps / self._fps
            level = min(self._level, self._most)
        wire = min(level, self._ceiling.room(now)) / (1.0 + self.overhead)
        if wire < PART_COST + LEAST_DATA:
            return None
        return Budget(wire, PART_COST, payload_limit - PIECE_ROOM)

    def spent(self, wire_bytes: int, now: float) -> None:
        """A unit was made with that budget."""
        with self._lock:
            self._level -= wire_bytes
        self._ceiling.add(wire_bytes, now)
        self._ceiling.add(round(wire_bytes * self.overhead), now + MAX_WINDOW_SECONDS)

    def _fill(self, now: float) -> None:
        if self._at is not None:
            self._level += self._rate * max(0.0, now - self._at)
        self._at = now


class Aim:
    """Which mean IoU to aim at, so that the budget is used and not cut into.

    The encoder's price of quality follows floor - mean IoU; the floor is therefore set a little above or below the mean
    IoU that it reaches, by how much of the budget the last unit took.
    """

    USED = 0.92  # of the budget, aimed at
    GAIN = 0.05  # mean IoU for a budget of e times what was used
    STEPS = (-0.02, 0.03)

    def __init__(self, highest: float) -> None:
        """`highest`: mean IoU that is never aimed beyond; what it does not need is left to pictures."""
        self._highest = highest

    def next(self, reached: float, spent: float, budget: float) -> float:
        """The floor for the next unit: `reached` is the mean IoU so far, `spent` and `budget` bytes of payload."""
        used = min(1.0, max(0.05, spent / max(1.0, budget)))
        step = self.GAIN * math.log(self.USED / used)
        if used > 0.97:
            step = self.STEPS[0]
        low, high = self.STEPS
        return min(self._highest, max(0.0, reached + min(high, max(low, step))))
