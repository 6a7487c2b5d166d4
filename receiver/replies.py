"""What the receiver says to the sender: answers, signs of life, and reports of what arrived. Pure.

`now` (monotonic seconds) is passed in. The event loop owns it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from proto.origins import Address
from proto.reassembler import Reassembler
from proto.report import PlayoutState
from proto.session import Arrival, ReceiverEndpoint
from proto.streams import LATENTS, REPORT
from receiver.reports import Reporter

SHORTEST_PAUSE = 0.01  # between two polls
LONGEST_PAUSE = 0.25

Reply = tuple[bytes, Address]


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
        endpoint.heard = self._reporter.packet

    def arrived(self, arrival: Arrival, now: float) -> None:
        """A segment was taken in."""
        reassembler = self._endpoint.reassembler(arrival.stream)
        if not arrival.active or arrival.stream != LATENTS.id or reassembler is None:
            return
        self._now = now
        if reassembler.closed is None:
            reassembler.closed = partial(self._closed, reassembler)
        timestamp = reassembler.timestamp(arrival.unit)
        if timestamp is not None:
            self._reporter.media(timestamp, now)

    def poll(self, now: float) -> list[Reply]:
        """What is due. Call at `next_time`."""
        self._now = now
        due = self._endpoint.poll(now)
        if self._reporter.due(now):
            state, delay = self._playing()
            tally = self._endpoint.tallies[LATENTS.id]
            self._reporter.playout(state, tally.units_closed, tally.units_closed + tally.units_missed, delay)
            datagram = self._endpoint.seal_reply(REPORT.id, self._reporter.build(now), now)
            address = self._endpoint.reply_to
            if datagram is not None and address is not None:
                self.sent += 1
                due.append((datagram, address))
        return due

    def next_time(self, now: float) -> float:
        """When to poll again, unless something arrives before."""
        report = self._reporter.next_time(now)
        wanted = min(self._endpoint.next_time(), now + LONGEST_PAUSE if report is None else report)
        return min(max(wanted, now + SHORTEST_PAUSE), now + LONGEST_PAUSE)

    def _closed(self, reassembler: Reassembler, unit: int, arrived: tuple[bool, ...]) -> None:
        if reassembler is not self._endpoint.reassembler(LATENTS.id):
            return  # of a sender that was on show before
        self._reporter.unit_closed(unit, len(arrived), arrived, self._now)
