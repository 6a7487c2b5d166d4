"""How the rate is shared between contours and pictures, how long a map unit lasts, and how it is protected. Pure.

A packet costs 61 bytes of headers (28 of IP and UDP, 29 of ours, 4 of a protected stream) and 4 of ours again, whatever
it holds: at 1 kbit/s a map unit has to last longer than a second, or headers are all that is sent. How long, and with
how much parity, is for common.codec.contour.protect_rule.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable

from common.codec.base import Budget
from common.codec.contour.protect_rule import Protection, cost_of, protection
from common.maps.part import HEADER_BYTES
from proto.protected import LENGTH_BYTES, PARITY_HEADER_BYTES, SOURCE_HEADER_BYTES
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES
from sender.ceiling import HEADROOM, SECONDS, Ceiling
from sender.protect import UNKNOWN_LOSS

PART_COST = IP_UDP_BYTES + OVERHEAD_BYTES + SOURCE_HEADER_BYTES + HEADER_BYTES
PIECE_ROOM = SOURCE_HEADER_BYTES + LENGTH_BYTES + PARITY_HEADER_BYTES + HEADER_BYTES
"""Bytes of a payload that are not the contours', so that parity fits as well."""

PARITY_S = 0.4  # that maps may take longer than a unit of pictures, where parity has to come yet
SAVING = 1.5  # units' worth that may be saved up
START_S = 2.0
"""Seconds' worth that are lent at the start, when all is new, and paid back within the ceiling's SECONDS: what pictures
may send is not touched; and seconds that the start lasts."""
START_PARITY = 1.0  # packets to a packet, more than usual
USUAL_COST = 340.0  # payload bytes a second of a scene that is not known yet, see cost_of
LEARN = 0.2  # how fast its logarithm follows
LOSS_STEP, RATE_STEP, COST_STEP = 0.02, 0.05, 0.1
"""By which they change before anything follows; of rate and cost the logarithms."""
LEAST_DATA = 12  # bytes of contours below which a packet is not worth its headers


class ContourShare:
    """What the next map unit may spend. The thread of maps calls `budget`, what follows it and `learn`; the event loop
    calls the rest."""

    def __init__(
        self, part: Callable[[float], float], fps: float, kbps: float, ceiling: Ceiling, pictures_s: float
    ) -> None:
        """`part`: what share of a wire rate contours and their parity may take; `fps`: maps a second; `kbps`: the wire
        rate; `pictures_s`: seconds of pictures in a unit, which maps need not be faster than."""
        self.repeat = True
        """Whether what is new goes twice, instead of waiting for reports."""
        self._part, self._fps, self._ceiling, self._pictures_s = part, fps, ceiling, pictures_s
        self._kbps, self._share = kbps, part(kbps)
        self._rate = HEADROOM * self._share * kbps * 125
        self._cost = USUAL_COST
        self._for: tuple[int, ...] = ()
        self._lossy = True
        self._level = self._lent = START_S * self._rate
        self._sent: deque[tuple[float, float]] = deque()  # time, bytes with parity; within SECONDS
        self._saved_s = START_S
        self._at: float | None = None
        self._begun: float | None = None  # when the first unit was asked for
        self._lock = threading.Lock()
        self.plan = self.believe(UNKNOWN_LOSS)
        """How long units are, and how they are protected."""

    def set_target(self, kbps: float) -> None:
        """The session may send so much on the wire. What was sent counts as the same part of it, see Ceiling."""
        with self._lock:
            before, self._kbps, self._share = self._rate, kbps, self._part(kbps)
            self._rate = HEADROOM * self._share * kbps * 125
            if self._rate != before:
                self._sent = deque((at, size * self._rate / before) for at, size in self._sent)

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
            over = int(max(0.0, self._level - self._saved_s * self._rate))
            self._level -= over
        return over

    def believe(self, loss: float) -> Protection:
        """The link loses this share of the packets, which `part` may go by: the plan from now on."""
        self.set_target(self._kbps)
        steps = round(loss / LOSS_STEP), round(math.log(self._rate) / RATE_STEP)
        known = (*steps, round(math.log(self._cost) / COST_STEP))
        if known != self._for:
            self._for = known
            self._lossy = steps[0] > 0
            delay = self._pictures_s + (PARITY_S if self._lossy else 0.0)
            self.plan = protection(steps[0] * LOSS_STEP, self._rate, delay, self._fps, self._cost, 1.0)
        return self.plan

    def learn(self, payload_bytes: int, maps: int, miou: float) -> None:
        """A unit of so many maps reached that mean IoU. The thread of maps."""
        if payload_bytes and 0.0 < miou < 1.0:
            found = cost_of(payload_bytes * self._fps / maps, miou)
            self._cost *= (found / self._cost) ** LEARN

    @property
    def overhead(self) -> float:
        """Parity packets to each packet of contours; more where packets are lost and nothing is known there yet."""
        return self.plan.overhead + (START_PARITY if self._lossy and self._starting else 0.0)

    @property
    def _starting(self) -> bool:
        return self._begun is None or self._at is None or self._at - self._begun < START_S

    @property
    def maps(self) -> int:
        """How many maps the next unit should have."""
        return self.plan.period

    def budget(self, maps: int, payload_limit: int, now: float) -> Budget | None:
        """For a unit of so many maps; None where it cannot be afforded: its maps are left out. So much of the ceiling
        is held until `spent` or `unspent`."""
        with self._lock:
            self._fill(now)
            self._begun = now if self._begun is None else self._begun
            self._saved_s = SAVING * maps / self._fps
            level = min(self._level, self._saved_s * self._rate)
        room = self._own_room(now)
        if room < level:
            with self._lock:
                self._level -= level - room  # else it would go to pictures, and leave less room still
        wire = self._ceiling.hold(min(level, room), now) / (1.0 + self.overhead)
        if wire < PART_COST + LEAST_DATA:
            self.unspent()
            return None
        return Budget(wire, PART_COST, payload_limit - PIECE_ROOM)

    def spent(self, wire_bytes: int, now: float) -> None:
        """A unit was made with that budget."""
        parity = round(wire_bytes * self.overhead)
        with self._lock:
            self._level -= wire_bytes
            self._sent.append((now, wire_bytes + parity))
        self._ceiling.settle([(wire_bytes, now), (parity, now + self.plan.spread_s)])

    def unspent(self) -> None:
        """No unit was made with that budget."""
        self._ceiling.settle()

    def _own_room(self, now: float) -> float:
        """What is left of the share of the ceiling's SECONDS: what is beyond would leave out a unit of pictures, and
        they stand; a map is held over more easily."""
        with self._lock:
            while self._sent and self._sent[0][0] <= now - SECONDS:
                self._sent.popleft()
            return max(0.0, SECONDS * self._rate - sum(size for _, size in self._sent))

    def _fill(self, now: float) -> None:
        if self._at is not None:
            more = self._rate * max(0.0, now - self._at)
            back = min(self._lent, more * START_S / SECONDS)
            self._lent -= back
            self._level += more - back
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
