"""The operator's text as it arrives: each line once, whichever way it came. Pure."""

from __future__ import annotations

from common.log import Log
from common.text import Line
from proto.events import Delivered
from proto.wire import WireError

log = Log("text")


class TextLog:
    """The last line of the sender on show. The event loop owns it."""

    def __init__(self) -> None:
        self.lines = 0
        """Lines taken in."""
        self.refused = 0
        """Messages that were no text."""
        self._origin = b""
        self._last: Line | None = None
        self._at = 0.0

    @property
    def last(self) -> str | None:
        """What is to be shown; None before a line, and after an empty one."""
        return None if self._last is None else self._last.text or None

    def age(self, now: float) -> float | None:
        """Seconds since the line came; None where none is to be shown."""
        return None if self.last is None else now - self._at

    def delivered(self, event: Delivered, now: float) -> list[str]:
        """Take in what came; the lines that are new. Those of a sender that is not on show are passed over."""
        if not event.active:
            return []
        if event.origin != self._origin:
            self._origin, self._last = event.origin, None
        return [line.text for message in event.messages if (line := self._take(message, now)) is not None]

    def _take(self, message: bytes, now: float) -> Line | None:
        try:
            line = Line.parse(message)
        except WireError as error:
            self.refused += 1
            log.debug("text refused", reason=str(error))
            return None
        if self._last is not None and line.number <= self._last.number:
            return None
        self._last, self._at = line, now
        self.lines += 1
        log.info("text", line=line.text)
        return line
