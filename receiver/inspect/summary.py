"""What a capture says of the link: loss, bursts, rates, jitter, outages. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from common.capture.records import Decoded, Dropped, Packet, Record, Start, Steps
from proto.announce import KIND_ANNOUNCEMENT, Announcement
from proto.packet import Segment
from proto.streams import CONTROL, STREAMS
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES, WireError
from receiver.inspect.units import Unit, Units
from receiver.reports import REORDER, LossRuns, Transit

GAP_S = 0.5
"""Silence that counts as a gap."""

MOST_GAPS = 20
MOST_SECONDS = 31 * 86_400
"""Of which the rate is kept one by one."""

MOST_ORIGINS, MOST_SESSIONS = 64, 1024
SEAL_BYTES = OVERHEAD_BYTES - Segment.HEADER.size
"""What sealing adds to the body of a packet."""


@dataclass(slots=True)
class Session:
    """The keys of one stretch of a sender's run, and the counters seen under them."""

    first: int
    newest: int
    runs: LossRuns
    packets: int = 0
    two_way: bool = False


@dataclass(slots=True)
class Flow:
    """One stream of one sender."""

    packets: int = 0
    bytes: int = 0
    """On the wire, IP and UDP headers included."""
    unreadable: int = 0
    expected: int = 0
    """Packets of all units of which anything came."""
    received: int = 0
    late: int = 0
    complete: int = 0
    concealed: int = 0
    refused: int = 0
    units: Units | None = None
    transit: Transit = field(default_factory=Transit)
    lateness: array[float] = field(default_factory=lambda: array("f"))
    """Of the first packet of each unit, seconds after the fastest one."""
    fastest: float = math.inf


@dataclass(slots=True)
class Gaps:
    """Times in which no packet came."""

    count: int = 0
    seconds: float = 0.0
    longest: list[tuple[float, float]] = field(default_factory=list)
    """(when it began, its length), in s, the longest first."""

    def add(self, at: float, seconds: float) -> None:
        """Of any length; short ones are none."""
        if seconds >= GAP_S:
            self.count += 1
            self.seconds += seconds
            self.longest = sorted([*self.longest, (at, seconds)], key=lambda gap: -gap[1])[:MOST_GAPS]


@dataclass(slots=True)
class Sender:
    """One run of a sender."""

    origin: bytes
    first: float
    last: float
    name: str = ""
    mode: str = ""
    profiles: dict[int, str] = field(default_factory=dict)
    sessions: dict[bytes, Session] = field(default_factory=dict)
    flows: dict[int, Flow] = field(default_factory=dict)


class Summary:
    """Feed it every record, in order, then `finish`; see figures.py. `unit` is told of every unit once it is closed."""

    def __init__(self, unit: Callable[[Sender, int, Unit], None] = lambda sender, stream, unit: None) -> None:
        self.start: Start | None = None
        self.senders: dict[bytes, Sender] = {}
        self.packets = self.missing = self.more_senders = 0
        self.first, self.last = math.inf, -math.inf
        self._unit = unit
        """Times of the first and the last record of anything that happened."""
        self.per_second: array[int] = array("Q")
        """Bytes on the wire."""
        self.gaps = Gaps()
        self._last_packet = math.inf
        self._known: dict[bytes, Sender] = {}

    def add(self, record: Record) -> None:
        """Raises nothing."""
        if isinstance(record, Start):
            self.start = self.start or record
        elif isinstance(record, Packet):
            self._packet(record)
        elif isinstance(record, Decoded):
            self._decoded(record)
        elif isinstance(record, Dropped):
            self.missing += record.records
        elif isinstance(record, Steps) and record.times:
            self.last = max(self.last, record.times[-1])

    def finish(self) -> None:
        """After the last record: closes the units that are open."""
        for sender in self.senders.values():
            for session in sender.sessions.values():
                session.runs.add(session.newest + REORDER)  # no packet is waited for any more
            for flow in sender.flows.values():
                if flow.units is not None:
                    flow.units.finish()

    def _packet(self, packet: Packet) -> None:
        wire = len(packet.body) + SEAL_BYTES + IP_UDP_BYTES
        self._time(packet.time, wire)
        self.packets += 1
        sender = self._sender(packet)
        if sender is None:
            self.more_senders += 1
            return
        sender.last = max(sender.last, packet.time)
        self._count(sender, packet)
        flow = sender.flows.setdefault(packet.stream, Flow())
        flow.packets += 1
        flow.bytes += wire
        if packet.stream == CONTROL.id:
            self._announcement(sender, packet.body)
        elif packet.stream in STREAMS and STREAMS[packet.stream].segmented:
            self._segment(sender, flow, packet)

    def _time(self, now: float, wire: int) -> None:
        if self.first == math.inf:
            self.first = self._last_packet = now
        self.gaps.add(self._last_packet - self.first, now - self._last_packet)
        self._last_packet = max(self._last_packet, now)
        self.last = max(self.last, now)
        second = max(0, int(now - self.first))
        if second < MOST_SECONDS:
            self.per_second.extend([0] * (second + 1 - len(self.per_second)))
            self.per_second[second] += wire

    def _sender(self, packet: Packet) -> Sender | None:
        found = self._known.get(packet.session) or self._known.get(packet.origin)
        if found is None:
            if len(self.senders) >= MOST_ORIGINS:
                return None
            found = self.senders[packet.origin] = Sender(packet.origin, packet.time, packet.time)
        if len(self._known) < 2 * MOST_SESSIONS:
            self._known[packet.session] = self._known[packet.origin] = found
        return found

    def _count(self, sender: Sender, packet: Packet) -> None:
        session = sender.sessions.get(packet.session)
        if session is None:
            if len(sender.sessions) >= MOST_SESSIONS:
                return
            session = sender.sessions[packet.session] = Session(
                packet.counter, packet.counter, LossRuns(packet.counter)
            )
        session.packets += 1
        session.two_way = packet.two_way
        session.first = min(session.first, packet.counter)
        session.newest = max(session.newest, packet.counter)
        session.runs.add(packet.counter)

    def _announcement(self, sender: Sender, body: bytes) -> None:
        if body[:1] != bytes((KIND_ANNOUNCEMENT,)):
            return
        try:
            told = Announcement.parse(body)
        except WireError:
            return
        sender.name, sender.mode = told.name, "" if told.mode is None else str(told.mode)
        sender.profiles = {stream.id: stream.profile for stream in told.streams}

    def _segment(self, sender: Sender, flow: Flow, packet: Packet) -> None:
        try:
            segment = Segment.parse(packet.stream, packet.body)
        except WireError:
            flow.unreadable += 1
            return
        if flow.units is None:
            flow.units = Units(lambda unit: self._closed(sender, packet.stream, flow, unit))
        begun = flow.units.add(segment, packet.time)
        if begun is not None:
            flow.transit.add(begun.media_time, packet.time)
            transit = packet.time - begun.media_time
            flow.fastest = min(flow.fastest, transit)
            flow.lateness.append(transit - flow.fastest)

    def _closed(self, sender: Sender, stream: int, flow: Flow, unit: Unit) -> None:
        flow.expected += len(unit.arrived)
        flow.received += unit.received
        flow.late += unit.late
        flow.complete += all(unit.arrived)
        self._unit(sender, stream, unit)

    def _decoded(self, record: Decoded) -> None:
        self.last = max(self.last, record.time)
        newest = sorted(self.senders.values(), key=lambda sender: -sender.last)
        for sender in newest:
            for flow in sender.flows.values():
                if flow.units is None:
                    continue
                if record.concealed:
                    flow.concealed += 1
                    return
                if flow.units.decoded(record):
                    flow.refused += record.refused
                    return
