"""What a receiver keeps of the protected and the reliable streams of one sender. README.md sections 10 and 11.

Pure, `now` in monotonic seconds. Bounded: one `Recover`, or one pair of reliable ends, for each stream of the table.
"""

from __future__ import annotations

from collections import defaultdict

from proto.carousel import CarouselReceiver
from proto.packet import Segment
from proto.reassembler import LATE_SPAN
from proto.recover import Recover, RecoveredUnit, RecoverTally
from proto.reliable import ReliableReceiver
from proto.reliable_packet import ACKNOWLEDGEMENT, ANNOUNCEMENT, kind
from proto.wire import Reason, WireError, seq16_delta

DEADLINE_SECONDS = 2.0  # after its first symbol a window is given up: twice the longest window
UNITS_PER_SECOND = 100  # at most, of a protected stream: so far it may be ahead after an outage


class Inbox:
    """Takes packets of protected and reliable streams of one origin. One thread at a time."""

    def __init__(self, tallies: defaultdict[int, RecoverTally]) -> None:
        """`tallies`: of protected streams by id; they outlive this."""
        self._tallies = tallies
        self._protected: dict[int, Recover] = {}
        self._reliable: dict[int, ReliableReceiver] = {}
        self._announced: dict[int, CarouselReceiver] = {}
        self._owed: set[int] = set()

    @property
    def owes(self) -> bool:
        """Whether `acknowledgements` has something to say."""
        return bool(self._owed)

    def segment(self, segment: Segment, now: float, *, near: bool) -> tuple[RecoveredUnit, ...]:
        """A segment of a protected stream; the units that it makes whole.

        `near`: refuse one that is far from those before (a packet that somebody kept back). Raises WireError.
        """
        recover = self._protected.get(segment.stream)
        if recover is None:
            recover = Recover(DEADLINE_SECONDS, self._tallies[segment.stream])
        newest = recover.newest
        # Pictures keep the check up, so that it has to let a sound through which was away for longer than they know.
        span = LATE_SPAN + UNITS_PER_SECOND * (now - recover.accepted_at)
        if near and newest is not None and abs(seq16_delta(segment.unit, newest & 0xFFFF)) > span:
            raise WireError(Reason.REPLAYED, f"window {segment.unit} is far from {newest & 0xFFFF}")
        units = recover.push(segment, now)
        self._protected[segment.stream] = recover
        return tuple(units)

    def message(self, stream: int, body: bytes, now: float) -> tuple[bytes, ...]:
        """A packet of a reliable stream; what can be delivered now, in order. Raises WireError."""
        form = kind(body)
        if form == ACKNOWLEDGEMENT:
            raise WireError(Reason.MALFORMED, "only receivers acknowledge")
        if form == ANNOUNCEMENT:
            news = self._announced.setdefault(stream, CarouselReceiver()).receive(body, now)
            return () if news is None else (news[1],)
        messages = self._reliable.setdefault(stream, ReliableReceiver()).receive(body, now)
        self._owed.add(stream)
        return tuple(messages)

    def acknowledgements(self, now: float) -> list[tuple[int, bytes]]:
        """What is owed to the sender, as (stream, payload); once."""
        out = []
        for stream in sorted(self._owed):
            payload = self._reliable[stream].acknowledgement(now)
            if payload is not None:
                out.append((stream, payload))
        self._owed.clear()
        return out

    def expire(self, now: float) -> None:
        """Give up windows that are past their deadline."""
        for recover in self._protected.values():
            recover.expire(now)
