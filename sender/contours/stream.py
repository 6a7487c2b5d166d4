"""The contours stream on its way: parts of map units, their parity, the legend, and what becomes of them. Pure.

`now` (monotonic seconds) is passed in. The event loop owns it, but for what says otherwise.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from common.maps.base import Legend
from common.maps.part import MapPart
from common.maps.told import messages
from proto.packet import Segment
from proto.protected import Source, parse
from proto.protection import Losses, Policy
from proto.streams import CONTOURS
from proto.wire import IP_UDP_BYTES, SEAL_BYTES, WireError
from sender.ceiling import Ceiling
from sender.contours.fates import Fates, Verdict
from sender.contours.share import ContourShare
from sender.protect import UNKNOWN_LOSS, ProtectedStream

ALWAYS = 1e-9  # share of windows that may fail: all the parity that is planned
REPEAT_LOSS = 0.1
LEGEND_SHARE = 0.025  # of the rate
LEGEND_S, LONGEST_LEGEND_S = 2.0, 30.0  # between two tellings of the legend
PATIENCE_S, WAIT_S = 5.0, 0.1  # for room under the ceiling; between two looks for it
FIRST_TELLINGS = 3  # at the start, LEGEND_S apart
MOST_VERDICTS = 64
SLACK_S = 0.1


class ContourStream:
    """Bounded as ProtectedStream is."""

    def __init__(self, payload_limit: int, legend: Legend, share: ContourShare, ceiling: Ceiling) -> None:
        """`payload_limit`: as of SenderSession."""
        self.protected = ProtectedStream(
            CONTOURS.id, payload_limit, Policy(Losses(UNKNOWN_LOSS), ALWAYS, 0.0, share.plan.window_s)
        )
        self.share = share
        self._ceiling = ceiling
        self._wanted_at = math.inf
        self._legend = messages(legend, payload_limit)
        self._legend_bytes = sum(len(one) + SEAL_BYTES + IP_UDP_BYTES for one in self._legend)
        self._rate = 1.0
        self._told_at = float("-inf")
        self._tellings = 0
        self._greeted = False
        self._fates = Fates()
        self._session = b""
        self._verdicts: deque[Verdict] = deque(maxlen=MOST_VERDICTS)

    def believe(self, loss: float | None) -> None:
        """The link loses this share of the packets; None: nobody tells."""
        known = self._ceiling.loss = UNKNOWN_LOSS if loss is None else loss
        self.share.repeat = known >= REPEAT_LOSS
        plan = self.share.believe(known)
        self.protected.protect(self.share.overhead, plan.window_s, plan.spread_s)

    def set_rate(self, rate: float) -> None:
        """The session may send so many wire bytes a second."""
        self._rate = rate
        self.share.set_target(rate / 125)

    def push(self, parts: Sequence[MapPart], timestamp: float, duration: float, now: float) -> None:
        """Take one map unit; poll after it."""
        for left, part in zip(range(len(parts))[::-1], parts, strict=True):
            # Parts of a map unit share a window: only the last one has the unit's duration.
            self.protected.push(bytes(part), timestamp, 0.0 if left else duration, now)

    def poll(self, now: float) -> list[Segment]:
        """The segments to be sent now, in order; tell `sent` of each."""
        return self.protected.poll(now)

    def control(self, now: float) -> list[bytes]:
        """The control messages to be sent now: the legend."""
        if now < self._told_at + self._pause:
            return []
        self._ceiling.reserve = self._legend_bytes
        self._wanted_at = min(self._wanted_at, now)
        if self._ceiling.room(now) <= 0.0 and now - self._wanted_at < PATIENCE_S:
            return []
        self._ceiling.reserve, self._wanted_at = 0, math.inf
        self._told_at = now
        self._tellings += 1
        return self._legend

    def next_time(self, now: float) -> float:
        """When to poll again, at the latest."""
        legend = self._told_at + self._pause if self._wanted_at == math.inf else now + WAIT_S
        times = [self.protected.next_time(), legend]
        return min(time for time in times if time is not None)

    def greet(self) -> None:
        """A receiver has come that knows neither the legend nor any instance."""
        self._tellings = 0
        self._greeted = True

    def take_greeting(self) -> bool:
        """Whether one has come since the last call. The thread of maps."""
        greeted, self._greeted = self._greeted, False
        return greeted

    def sent(self, segment: Segment, session: bytes, counter: int, now: float) -> None:
        """A segment of the stream left in packet `counter` of a session."""
        if session != self._session:
            self._session = session
            self._fates.renew()
        try:
            symbol = parse(segment.index, segment.payload)
            if not isinstance(symbol, Source):
                self._fates.sent(segment.unit, counter, None, now)
                return
            part = MapPart.parse(symbol.data)
        except WireError:  # a piece of a unit that was too long for one packet
            return
        self._fates.sent(segment.unit, counter, (part.unit, part.index), now)

    def told(self, session: bytes, arrived: list[int]) -> None:
        """A report came: these packets of a session arrived."""
        if session == self._session:
            self._fates.arrived(arrived)

    def settle(self, alive: bool, told_s: float, now: float) -> None:
        """Time passes; `alive`: whether reports come; `told_s`: how long after it was sent a packet is told of."""
        verdicts = self._fates.take(now, self.share.plan.spread_s + told_s + SLACK_S)
        if alive:
            self._verdicts.extend(verdicts)

    def take_verdicts(self) -> list[Verdict]:
        """What became of map units since the last call. Any thread."""
        taken: list[Verdict] = []
        while self._verdicts:
            taken.append(self._verdicts.popleft())
        return taken

    @property
    def _pause(self) -> float:
        if self._tellings == 0:
            return 0.0
        afforded = self._legend_bytes / (LEGEND_SHARE * self._rate)
        if self._tellings < FIRST_TELLINGS:
            return max(LEGEND_S, afforded / 4)
        return min(LONGEST_LEGEND_S, max(LEGEND_S, afforded))
