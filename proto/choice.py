"""Which of several senders somebody wants to see, and what the receiver tells of each. README.md section 7.

Pure, `now` in monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LOSS_SECONDS = 2.0  # over which the loss of a sender is counted


class SenderState(StrEnum):
    """Whether a sender is heard."""

    LIVE = "live"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class SenderView:
    """One run of one sender, as a viewer is told of it."""

    id: str  # hexadecimal; says nothing of the sender's address
    name: str  # as announced; empty before that, and for senders without one
    state: SenderState
    loss: float | None  # share of its packets that did not come, 0 to 1; None before it is known
    active: bool  # on show


@dataclass(slots=True)
class Choice:
    """The sender that is wanted on show. A named one keeps its place when it is restarted."""

    id: bytes
    name: str = ""


class Flow:
    """The loss of one sender's packets, from the numbers that they carry."""

    def __init__(self) -> None:
        self._session = b""
        self._before = b""  # the session before it, whose stragglers are not counted
        self._ended = 0  # the highest number of that
        self._highest = self._base = 0
        self._received = 0
        self._ends = 0.0
        self._loss: float | None = None

    def note(self, session: bytes, counter: int, now: float) -> None:
        """A packet of the sender has come."""
        if session != self._session:
            if session == self._before and counter <= self._ended:
                return
            self._before, self._ended, self._session = self._session, self._highest, session
            self._begin(counter - 1, now)
        elif now >= self._ends:
            expected = self._highest - self._base
            if expected > 0:
                self._loss = max(0.0, 1.0 - self._received / expected)
            self._begin(self._highest, now)
        self._highest = max(self._highest, counter)
        self._received += 1

    @property
    def loss(self) -> float | None:
        """Share of the packets that did not come, over the last full 2 s; None before that."""
        return self._loss

    def _begin(self, base: int, now: float) -> None:
        self._base = self._highest = base
        self._received = 0
        self._ends = now + LOSS_SECONDS
