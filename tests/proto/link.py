"""A link in memory: a manual clock, and datagrams that are delivered, lost, delayed or repeated as told."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count, cycle

from proto.session import Event, ReceiverEndpoint

PSK = bytes(range(32))
UNIT_SECONDS = 4 / 15
EPOCH = 1_800_000_000.0  # the sender's time when a test begins


@dataclass
class Link:
    """Carries datagrams to an endpoint. `pattern`: which of them survive, repeated for ever."""

    endpoint: ReceiverEndpoint
    pattern: Iterable[bool] = (True,)
    delay: Callable[[int], float] = lambda number: 0.0  # s, by packet number
    now: float = 50.0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._survives = cycle(self.pattern)
        self._numbers = count()
        self._queue: list[tuple[float, int, bytes]] = []

    def send(self, datagrams: Iterable[bytes]) -> None:
        """Put datagrams on the link at the present time."""
        for datagram in datagrams:
            number = next(self._numbers)
            if next(self._survives):
                heapq.heappush(self._queue, (self.now + self.delay(number), number, datagram))

    def advance(self, seconds: float) -> None:
        """Let time pass, delivering what is due on the way."""
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            at, _, datagram = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            self.events.append(self.endpoint.receive(datagram, self.now))
        self.now = until
