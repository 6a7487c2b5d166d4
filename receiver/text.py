"""The operator's text as it arrives: each line once, whichever way it came. Pure."""

from __future__ import annotations

from common.log import Log
from common.text import Line
from proto.events import Delivered
from proto.wire import WireError

MAX_SENDERS = 8

log = Log("text")


class TextLog:
    """The last line of each sender. Bounded: the MAX_SENDERS heard last. The event loop owns it."""

    def __init__(self) -> None:
        self.lines = 0
        """Lines taken in."""
        self.refused = 0
        """Messages that were no text."""
        self._last: dict[bytes, tuple[Line, float]] = {}  # by origin: the line and when it came

    def last(self, origin: bytes | None) -> str | None:
        """What is to be shown of a sender; None before a line, and after an empty one."""
        return None if origin not in self._last else self._last[origin][0].text or None

    def age(self, origin: bytes | None, now: float) -> float | None:
        """Seconds since that line came; None where none is to be shown."""
        return None if origin is None or self.last(origin) is None else now - self._last[origin][1]

    def delivered(self, event: Delivered, now: float) -> None:
        """Take in what came."""
        for message in event.messages:
            try:
                self._take(event.origin, Line.parse(message), now)
            except WireError as error:
                self.refused += 1
                log.debug("text refused", reason=str(error))

    def _take(self, origin: bytes, line: Line, now: float) -> None:
        known = self._last.get(origin)
        if known is not None and line.number <= known[0].number:
            return
        self._last.pop(origin, None)
        self._last[origin] = (line, now)
        if len(self._last) > MAX_SENDERS:
            del self._last[next(iter(self._last))]
        self.lines += 1
        log.info("text", line=line.text)
