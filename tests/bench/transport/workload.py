"""What is to be carried: units of packets at a steady pace, and the source and the sink that all contestants share.

A packet tells its unit, its place in it and when it was handed over, by the monotonic clock of this host. What comes
out at the other end has so its latency with it.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import time
from dataclasses import dataclass, field
from struct import Struct

from sender.pacer import Pacer

HOST = "127.0.0.1"
SPREAD = 0.75  # of a unit's duration over which its packets leave, as sender.pacer has it
BUFFER_BYTES = 1 << 20
_HEAD = Struct(">4sIBBd")
_ARRIVED = Struct(">d")
_MAGIC = b"bnch"


@dataclass(frozen=True, slots=True)
class Workload:
    """`units_per_s` units of `packets` packets of `size` bytes each. `message`: small and to be told, however late."""

    name: str
    units_per_s: float
    packets: int
    size: int
    message: bool = False

    @property
    def duration(self) -> float:
        """Seconds from a unit to the next."""
        return 1.0 / self.units_per_s

    @property
    def interval(self) -> float:
        """Seconds from a packet of a unit to the next."""
        return SPREAD * self.duration / self.packets

    @property
    def kbps(self) -> float:
        """Payload, kbit/s."""
        return self.units_per_s * self.packets * self.size * 0.008


THIN = Workload("60 kbit/s", 3.75, 3, 667)
WIDE = Workload("200 kbit/s", 15.0, 2, 833)
CONTROL = Workload("control", 2.0, 1, 40, message=True)
WORKLOADS = {workload.name: workload for workload in (THIN, WIDE, CONTROL)}


@dataclass(frozen=True, slots=True)
class Piece:
    """One packet of a unit."""

    unit: int
    place: int  # 0..packets - 1
    packets: int
    sent: float  # monotonic seconds
    arrived: float | None = None  # where a receiver noted it: before it handed the packet on

    def payload(self, size: int) -> bytes:
        """As bytes."""
        return _HEAD.pack(_MAGIC, self.unit, self.place, self.packets, self.sent).ljust(size, b"\x55")

    @classmethod
    def parse(cls, payload: bytes, size: int) -> Piece | None:
        """Of `size` bytes, or followed by the time of arrival; None for anything else."""
        if len(payload) not in (size, size + _ARRIVED.size) or payload[: len(_MAGIC)] != _MAGIC:
            return None
        _, unit, place, packets, sent = _HEAD.unpack_from(payload)
        noted = _ARRIVED.unpack_from(payload, size)[0] if len(payload) > size else None
        return cls(unit, place, packets, sent, noted)


def noted(payload: bytes, arrived: float) -> bytes:
    """A payload with the time at which its receiver had it."""
    return payload + _ARRIVED.pack(arrived)


class Feed(enum.Enum):
    """How a contestant takes its packets."""

    PACED = "one by one, spread over the unit"
    AHEAD = "a unit at once, which it spreads by itself; each packet counts from its place"
    WHOLE = "a unit at once, and that is when its packets count from"


class Source:
    """Hands packets to a contestant at a UDP port of this host, from `run` on until cancelled."""

    def __init__(self, workload: Workload, port: int, feed: Feed) -> None:
        self.units: list[float] = []
        """When each unit was handed over, by number."""
        self._workload = workload
        self._feed = feed
        self._to = (HOST, port)

    async def run(self) -> None:
        """Units at even times; one that comes late for want of processor time does not move those after it."""
        loop, workload = asyncio.get_running_loop(), self._workload
        with udp_socket() as sock:
            start = loop.time()
            while True:
                due = start + len(self.units) * workload.duration
                await asyncio.sleep(due - loop.time())
                self.units.append(time.monotonic())
                for place in range(workload.packets):
                    if self._feed is Feed.PACED:
                        await asyncio.sleep(due + place * workload.interval - loop.time())
                    self._send(sock, place)

    def _send(self, sock: socket.socket, place: int) -> None:
        ahead = place * self._workload.interval if self._feed is Feed.AHEAD else 0.0
        stamp = self.units[-1] if self._feed is Feed.WHOLE else time.monotonic() + ahead
        piece = Piece(len(self.units) - 1, place, self._workload.packets, stamp)
        sock.sendto(piece.payload(self._workload.size), self._to)


@dataclass(slots=True)
class Sink:
    """Where a contestant delivers to: every packet that came out, with when. To be used in a running event loop."""

    workload: Workload
    whole: bool  # whether a unit is usable only when all of it is there
    pieces: list[tuple[Piece, float]] = field(default_factory=list)
    foreign: int = 0
    usable_at: dict[int, float] = field(default_factory=dict)  # by unit
    _sock: socket.socket = field(init=False)
    _there: dict[int, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sock = udp_socket()
        asyncio.get_running_loop().add_reader(self._sock, self._readable)

    @property
    def port(self) -> int:
        """Where to deliver to."""
        return int(self._sock.getsockname()[1])

    def first_after(self, moment: float) -> float | None:
        """When the first unit became usable after `moment`; None if none has."""
        return min((at for at in self.usable_at.values() if at >= moment), default=None)

    def close(self) -> None:
        """Ends it."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _readable(self) -> None:
        while True:
            try:
                data = self._sock.recv(1 << 16)
            except OSError:
                return
            self.take(data, time.monotonic())

    def take(self, data: bytes, now: float) -> None:
        """One packet that came out."""
        piece = Piece.parse(data, self.workload.size)
        if piece is None:
            self.foreign += 1
            return
        at = now if piece.arrived is None else piece.arrived
        self.pieces.append((piece, at))
        there = self._there.setdefault(piece.unit, set())
        there.add(piece.place)
        if not self.whole or len(there) == self.workload.packets:
            self.usable_at[piece.unit] = min(at, self.usable_at.get(piece.unit, at))


def pacer() -> Pacer[bytes]:
    """As the sender has it."""
    return Pacer(SPREAD)


def udp_socket(port: int = 0) -> socket.socket:
    """A bound socket on loopback that never blocks."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    sock.bind((HOST, port))
    return sock
