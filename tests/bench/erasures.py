"""Seeded links of the benchmark, that lose packets and nothing else: independently, in bursts, or all for a while.

What is lost depends on the seed and on when or as which packet it is sent, never on who sends it or what is in it.
Packets leave one behind the other at the wire rate, from the moment their unit is ready; a unit that would be late is
not sent (contestant.Queue).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from tests.bench.contestant import Arrived, Queue
from tests.bench.link.draws import Purpose, uniform
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link

Kind = Literal["iid", "gilbert", "outage"]
KINDS: tuple[Kind, ...] = ("iid", "gilbert", "outage")
BURST_PACKETS = 5.0  # mean length of a run of losses on a `gilbert` link
OUTAGE_SECONDS = 1.0  # mean length of the times when an `outage` link is dead


class Weather(Protocol):
    """What becomes of one packet."""

    def arrives(self, at: float) -> bool:
        """Whether the next packet, sent at `at` seconds, arrives. `at` never goes back."""
        ...


@dataclass
class PacketLoss:
    """The emulated link (tests/bench/link), with loss alone."""

    link: Impairments
    seed: int

    def __post_init__(self) -> None:
        self._link = Link(self.link, self.seed)

    def arrives(self, at: float) -> bool:
        """See Weather."""
        return bool(self._link.transfer(b"", at))


@dataclass
class Outages:
    """Dead and alive in turn, both for times of an exponential distribution, so that `loss` is the share of dead time
    in the long run, at the beginning already. Two with one seed are dead at the same times."""

    loss: float
    seed: int

    def __post_init__(self) -> None:
        self._dead = uniform(self.seed, 0, Purpose.LOSS) < self.loss
        self._until, self._turns = 0.0, 0
        self._turn()

    def _turn(self) -> None:
        """How long the present state lasts."""
        self._turns += 1
        alive = OUTAGE_SECONDS * (1 - self.loss) / self.loss if self.loss else math.inf
        mean = OUTAGE_SECONDS if self._dead else alive
        draw = uniform(self.seed, self._turns, Purpose.LOSS)
        self._until += math.inf if self.loss in (0.0, 1.0) else -mean * math.log(1 - draw)

    def arrives(self, at: float) -> bool:
        """See Weather."""
        while at >= self._until:
            self._dead = not self._dead
            self._turn()
        return not self._dead


def weather(kind: Kind, loss: float, seed: int, back: bool = False) -> Weather:
    """A link of `kind` with a long-run loss of 0..1; or its way `back`, with other losses but the same outages."""
    if not 0 <= loss <= 1:
        raise ValueError(f"loss: must be between 0 and 1 (got {loss:g})")
    if kind == "outage":
        return Outages(loss, seed)
    # Runs cannot be shorter than when one packet gets through between two of them.
    burst = max(BURST_PACKETS, (1 + 1e-9) * loss / (1 - loss)) if kind == "gilbert" and loss < 1 else None
    return PacketLoss(Impairments(loss=loss, burst=burst), seed + int(back))


def seed_of(seed: int, loss: float, clip: str) -> int:
    """A seed of its own for each clip and loss, so that their accidents are independent."""
    digest = hashlib.blake2b(f"{seed} {loss:g} {clip}".encode(), digest_size=6).digest()
    return int.from_bytes(digest) * 2  # even; the odd ones are the ways back


@dataclass
class LossyLink:
    """See contestant.Link."""

    weather: Weather
    queue: Queue
    late: int = 0
    """Units that were not sent."""
    left_at: float = 0.0
    """When the last packet so far was sent, seconds."""
    _next: int = field(default=0, init=False)

    def send(self, unit: int, sizes: Sequence[int]) -> Arrived:
        """See contestant.Link."""
        if unit < self._next:
            raise ValueError(f"unit {unit} comes after unit {self._next - 1}")
        self._next = unit + 1
        times = self.queue.push(unit, sum(sizes))
        if times is None:
            self.late += 1
            return np.zeros(len(sizes), np.bool_)
        ends = times[0] + (times[1] - times[0]) * np.cumsum(sizes) / max(sum(sizes), 1)
        self.left_at = times[1]
        return np.array([self.weather.arrives(float(at)) for at in ends], np.bool_)


@dataclass
class TwoWay:
    """See contestant.Channel. `share`: wire bytes of a unit at the wire rate; `rtt_ms`: there and back."""

    forth: LossyLink
    back: Weather
    share: float
    rtt_ms: float

    def __call__(self, unit: int, packets: int, wire_bytes: int | None = None) -> Arrived:
        """See contestant.Channel."""
        total = round(self.share) if wire_bytes is None else wire_bytes
        return self.forth.send(unit, evenly(total, packets))

    def report(self, unit: int) -> bool:
        """See contestant.Channel; `unit` is the one sent last."""
        return self.back.arrives(self.forth.left_at + self.rtt_ms / 2000)


def evenly(total: int, parts: int) -> list[int]:
    """`total` as `parts` whole numbers that differ by one at most."""
    return [(total * (i + 1)) // parts - (total * i) // parts for i in range(parts)]
