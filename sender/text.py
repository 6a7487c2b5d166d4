"""The operator's text on its way: reliable while the receiver answers, announced again and again otherwise. Pure.

`now` (monotonic seconds) is passed in. The event loop owns it.
"""

from __future__ import annotations

from common.text import Line
from proto.carousel import Carousel
from proto.reliable import ReliableSender, SenderFull
from proto.wire import WireError

SHARE = 0.05  # of the wire rate that text may take, though never less than LEAST
LEAST = 60.0  # wire bytes a second: a line of usual length every two seconds
MOST_SHARE = 0.1  # of the wire rate, that LEAST may be
KEY = 0  # of the announcements: the last line stands for those before


class TextStream:
    """Lines in, payloads of stream `text` out. Bounded: 64 lines that are not acknowledged."""

    def __init__(self, payload_limit: int, *, answered: bool = True) -> None:
        """`answered`: whether a receiver may ever acknowledge."""
        self.lines = 0
        """Lines taken."""
        self.dropped = 0
        """Of these, lines that found 64 others waiting for their acknowledgement; the last one goes after them."""
        self.refused = 0
        """Acknowledgements that could not be read."""
        self._reliable = ReliableSender(LEAST, payload_limit)
        self._carousel = Carousel(LEAST, payload_limit)
        self._answered = answered
        self._last: Line | None = None
        self._skipped = False  # whether the last line is none of those that wait

    @property
    def waiting(self) -> int:
        """Lines that are not acknowledged yet."""
        return len(self._reliable)

    def send(self, text: str, now: float) -> None:
        """Take a line; an empty one takes the last off the screen."""
        self._last = Line.of(self.lines, text)
        self.lines += 1
        self._carousel.announce(KEY, bytes(self._last), now)
        self._push(now)

    def greet(self, now: float) -> None:
        """A receiver has come that may not know the last line."""
        if self._last is not None and not self._reliable:
            self._push(now)

    def acknowledged(self, payload: bytes, now: float) -> None:
        """A packet of the stream came back. Never raises, whatever its bytes are."""
        try:
            self._reliable.acknowledge(payload, now)
        except WireError:
            self.refused += 1
        if self._skipped and not self._reliable:
            self._push(now)

    def set_rate(self, rate: float, now: float) -> None:
        """`rate`: wire bytes a second of the whole session."""
        for budget in (self._reliable.budget, self._carousel.budget):
            budget.set_rate(max(min(LEAST, MOST_SHARE * rate), SHARE * rate), now)

    def poll(self, two_way: bool, now: float) -> list[bytes]:
        """The payloads to be sent now. `two_way`: whether acknowledgements can come."""
        return (self._reliable if two_way else self._carousel).poll(now)

    def next_time(self, two_way: bool, now: float) -> float | None:
        """When `poll` may next return something."""
        return (self._reliable if two_way else self._carousel).next_time(now)

    def _push(self, now: float) -> None:
        assert self._last is not None
        if not self._answered:
            return
        try:
            self._reliable.send(bytes(self._last), now)
            self._skipped = False
        except SenderFull:
            self._skipped = True
            self.dropped += 1
