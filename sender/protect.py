"""A protected stream on its way: source symbols at once, parity spread over the time after its window. Pure.

`now` (monotonic seconds) is passed in. The event loop owns it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from proto.packet import Segment
from proto.protected import Protector
from proto.protection import MAX_SOURCE, Losses, Policy
from sender.pacer import Pacer

LOSS_STEP = 0.02  # the loss that is believed moves in such steps: each costs a table
UNKNOWN_LOSS = 0.3  # of a link that tells nothing
SHARE = 0.7  # of the rate of the session, that a stream and its parity take at most


class ProtectedStream:
    """Units in, segments out. Bounded: one open window, and the parity of two."""

    def __init__(self, stream: int, payload_limit: int, policy: Policy, rate: float = 0.0) -> None:
        """`policy`: its `losses` are exchanged as the link's are learned. `rate`: wire bytes a second without parity, 0
        where the session's rate shall not limit that."""
        self.units = 0
        self.dropped = 0
        """Units larger than a window can hold."""
        self.parity = 0
        """Parity symbols made."""
        self._rate, self._most = rate, policy.max_overhead
        self._spread_s: float | None = None  # as long as a window, if not given
        self._protector = Protector(stream, payload_limit, policy)
        self._source: deque[Segment] = deque(maxlen=MAX_SOURCE)
        self._pacer: Pacer[Segment] = Pacer(1.0)  # of parity

    @property
    def policy(self) -> Policy:
        """What the next window is protected by."""
        return self._protector.policy

    def believe(self, loss: float | None) -> None:
        """The link loses this share of the packets; None: nobody tells."""
        rate = UNKNOWN_LOSS if loss is None else min(0.9, LOSS_STEP * round(loss / LOSS_STEP))
        if rate != self.policy.losses.rate:
            self._protector.policy = replace(self.policy, losses=Losses(rate))

    def afford(self, rate: float) -> None:
        """The session may send so many wire bytes a second, of which pictures need some."""
        if self._rate > 0.0:
            most = min(self._most, max(0.0, SHARE * rate / self._rate - 1.0))
            if most != self.policy.max_overhead:
                self._protector.policy = replace(self.policy, max_overhead=most)

    def protect(self, most: float, window_s: float, spread_s: float) -> None:
        """Parity packets to each packet of the stream, at most; seconds of a window, and those over which its parity
        leaves."""
        self._spread_s = spread_s
        if (most, window_s) != (self.policy.max_overhead, self.policy.window_s):
            self._most = most
            self._protector.policy = replace(self.policy, max_overhead=most, window_s=window_s)

    def push(self, data: bytes, timestamp: float, duration: float, now: float) -> None:
        """Take one unit that lasts from `timestamp` (s, Unix epoch) for `duration` seconds; poll after it."""
        self.units += 1
        if len(data) > self._protector.max_unit_bytes:
            self.dropped += 1
            return
        given = self._protector.push(data, timestamp, duration, now)
        self._source.extend(given.source)
        self._spread(given.parity, now)

    def poll(self, now: float) -> list[Segment]:
        """The segments to be sent now, in order."""
        self._spread(self._protector.poll(now), now)
        source = list(self._source)
        self._source.clear()
        return source + self._pacer.take(now)

    def next_time(self) -> float | None:
        """When `poll` may next return something; None while nothing waits."""
        if self._source:
            return -math.inf
        times = [time for time in (self._protector.next_time(), self._pacer.next_time()) if time is not None]
        return min(times, default=None)

    def _spread(self, parity: list[Segment], now: float) -> None:
        self.parity += len(parity)
        self._pacer.submit(parity, self.policy.window_s if self._spread_s is None else self._spread_s, now)
