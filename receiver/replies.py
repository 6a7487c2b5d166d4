"""What the receiver says to the sender: answers, signs of life, and reports of what arrived. Pure.

`now` (monotonic seconds) is passed in. The event loop owns it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from proto.origins import Address
from proto.reassembler import Reassembler
from proto.report import PlayoutState
from proto.session import Arrival, ReceiverEndpoint
from proto.streams import REPORT, VIDEO
from receiver.reports import Reporter

SHORTEST_PAUSE = 0.01  # between two polls
LONGEST_PAUSE = 0.25
UNDECIDED_SECONDS = 1.5  # after which a closed unit that no decoder has finished was not shown
MOST_UNDECIDED = 64

Reply = tuple[bytes, Address]


class Fate(NamedTuple):
    """What became of a unit."""

    unit: int
    arrived: tuple[bool, ...]  # which of its packets; empty where none did
    refused: bool  # something arrived, and was not decoded
    shown: bool  # pictures were made from what arrived
    now: float


class Fates:
    """Units that are closed, until it is known whether they were decoded: what came too late was not."""

    def __init__(self, tell: Callable[[Fate], None]) -> None:
        """`tell` is called once a unit, in rising order."""
        self._tell = tell
        self._closed: deque[tuple[int, tuple[bool, ...], float]] = deque()

    def closed(self, unit: int, arrived: tuple[bool, ...], now: float) -> None:
        """Unit number `unit` will not grow any more."""
        self._closed.append((unit, arrived, now))
        if len(self._closed) > MOST_UNDECIDED:
            self._pass_over(now)

    def decoded(self, unit: int, refused: bool, shown: bool, now: float) -> None:
        """It was handed to the decoder, which `refused` it, or made pictures from what had arrived (`shown`) or not."""
        while self._closed and self._closed[0][0] < unit:
            self._pass_over(now)
        if self._closed and self._closed[0][0] == unit:
            _, arrived, _ = self._closed.popleft()
            self._tell(Fate(unit, arrived, refused, shown, now))

    def expire(self, now: float) -> None:
        """Tell of those of which nothing was heard for too long."""
        while self._closed and now - self._closed[0][2] >= UNDECIDED_SECONDS:
            self._pass_over(now)

    def _pass_over(self, now: float) -> None:
        unit, arrived, _ = self._closed.popleft()
        self._tell(Fate(unit, arrived, any(arrived), False, now))


class Replies:
    """Feeds the reporter from the endpoint, and says what is to be sent, and when."""

    def __init__(self, endpoint: ReceiverEndpoint, playing: Callable[[], tuple[PlayoutState, float]]) -> None:
        """`playing`: what is on show now, and the playout delay (s)."""
        self.sent = 0
        """Reports sent."""
        self._endpoint = endpoint
        self._playing = playing
        self._reporter = Reporter()
        self._now = 0.0
        self._shown = self._due = 0
        self._fates = Fates(self._told)
        endpoint.heard = self._reporter.packet

    @property
    def reporter(self) -> Reporter:
        """What is known of the path."""
        return self._reporter

    def arrived(self, arrival: Arrival, now: float) -> None:
        """A segment was taken in."""
        reassembler = self._endpoint.reassembler(arrival.stream)
        if not arrival.active or arrival.stream != VIDEO.id or reassembler is None:
            return
        self._now = now
        if reassembler.closed is None or arrival.took_over:
            self._fates = Fates(self._told)
            self._reporter.take_over()
            reassembler.closed = partial(self._closed, reassembler)
        timestamp = reassembler.timestamp(arrival.unit)
        if timestamp is not None:
            self._reporter.media(timestamp, now)

    def decoded(self, unit: int, refused: bool, shown: bool, now: float) -> None:
        """A unit of the run on show has been through the decoder, see Fates.decoded."""
        self._fates.decoded(unit, refused, shown, now)

    def poll(self, now: float) -> list[Reply]:
        """What is due. Call at `next_time`."""
        self._now = now
        self._fates.expire(now)
        due = self._endpoint.poll(now)
        if self._endpoint.can_reply and self._reporter.due(now):
            state, delay = self._playing()
            self._reporter.playout(state, self._shown, self._due, delay)
            datagram = self._endpoint.seal_reply(REPORT.id, self._reporter.build(now), now)
            address = self._endpoint.reply_to
            if datagram is not None and address is not None:
                self.sent += 1
                due.append((datagram, address))
        return due

    def next_time(self, now: float) -> float:
        """When to poll again, unless something arrives before."""
        report = self._reporter.next_time(now) if self._endpoint.can_reply else None
        wanted = min(self._endpoint.next_time(), now + LONGEST_PAUSE if report is None else report)
        return min(max(wanted, now + SHORTEST_PAUSE), now + LONGEST_PAUSE)

    def _closed(self, reassembler: Reassembler, unit: int, arrived: tuple[bool, ...]) -> None:
        if reassembler is not self._endpoint.reassembler(VIDEO.id):
            return  # of a sender that was on show before
        self._fates.closed(unit, arrived, self._now)

    def _told(self, fate: Fate) -> None:
        self._due += 1
        self._shown += fate.shown
        count = len(fate.arrived)
        self._reporter.unit_closed(fate.unit, count, fate.arrived, fate.now, refused=fate.refused)
