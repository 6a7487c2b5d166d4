"""A reliable stream over a link in memory, in virtual time: from one event to the next, no clock and no waiting."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from proto.reliable import ReliableReceiver, ReliableSender, SenderFull
from proto.wire import WireError

RETRY_SECONDS = 0.1

Fate = Callable[[float], list[float]]  # sending time -> arrival times: none, one or several


@dataclass
class TwoWayLink:
    """Both ends of one stream. `submit` messages, then `run`; what was delivered when is in `delivered`."""

    sender: ReliableSender
    receiver: ReliableReceiver
    forth: Fate
    back: Fate
    now: float = 0.0
    delivered: list[tuple[float, bytes]] = field(default_factory=list)
    stale: int = 0  # acknowledgements refused

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Call `action` at a time; sends what is due afterwards."""
        heapq.heappush(self._events, (time, next(self._numbers), action))

    def submit(self, message: bytes, time: float) -> None:
        """Send a message at a time, or as soon after it as the sender is no longer full."""

        def send() -> None:
            try:
                self.sender.send(message, self.now)
            except SenderFull:
                self.submit(message, self.now + RETRY_SECONDS)

        self.at(time, send)

    def run(self, until: float) -> None:
        """Let time pass."""
        while True:
            timer = self.sender.next_time(self.now)
            event = self._events[0][0] if self._events else None
            times = [time for time in (timer, event) if time is not None]
            if not times or min(times) > until:
                break
            self.now = max(self.now, min(times))
            if event is not None and event <= self.now:
                heapq.heappop(self._events)[2]()
            self._poll()
        self.now = until

    def _poll(self) -> None:
        for payload in self.sender.poll(self.now):
            for arrival in self.forth(self.now):
                self.at(arrival, lambda payload=payload: self._receive(payload))  # type: ignore[misc]

    def _receive(self, payload: bytes) -> None:
        self.delivered += [(self.now, message) for message in self.receiver.receive(payload, self.now)]
        answer = self.receiver.acknowledgement(self.now)
        assert answer is not None
        for arrival in self.back(self.now):
            self.at(arrival, lambda: self._acknowledge(answer))

    def _acknowledge(self, answer: bytes) -> None:
        try:
            self.sender.acknowledge(answer, self.now)
        except WireError:
            self.stale += 1
