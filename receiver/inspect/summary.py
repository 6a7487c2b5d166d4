"""What a capture says of the link: loss, bursts, rates, jitter, outages. Pure: records in, figures out."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.capture.records import SENT, Decoded, Dropped, Packet, Record, Start, Steps
from proto.announce import KIND_ANNOUNCEMENT, Announcement
from proto.packet import Segment
from proto.report import RUN_LIMITS
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
class _Session:
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
class Sender:
    """One run of a sender."""

    origin: bytes
    first: float
    last: float
    name: str = ""
    mode: str = ""
    profiles: dict[int, str] = field(default_factory=dict)
    sessions: dict[bytes, _Session] = field(default_factory=dict)
    flows: dict[int, Flow] = field(default_factory=dict)


class Summary:
    """Feed it every record, in order, then ask `figures`. `unit` is told of every unit once it is closed."""

    def __init__(self, unit: Callable[[Sender, int, Unit], None] = lambda sender, stream, unit: None) -> None:
        self.start: Start | None = None
        self.senders: dict[bytes, Sender] = {}
        self.packets = self.missing = self.more_senders = 0
        self.first, self.last = math.inf, -math.inf
        self._unit = unit
        self._per_second: array[int] = array("Q")
        self._gaps: list[tuple[float, float]] = []
        self._gap_count, self._gap_total = 0, 0.0
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
            self.first = self.last_packet = now
        if now - self.last_packet >= GAP_S:
            self._gap_count += 1
            self._gap_total += now - self.last_packet
            self._gaps.append((self.last_packet - self.first, now - self.last_packet))
            self._gaps = sorted(self._gaps, key=lambda gap: -gap[1])[:MOST_GAPS]
        self.last_packet = max(self.last_packet, now)
        self.last = max(self.last, now)
        second = max(0, int(now - self.first))
        if second < MOST_SECONDS:
            self._per_second.extend([0] * (second + 1 - len(self._per_second)))
            self._per_second[second] += wire

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
            session = sender.sessions[packet.session] = _Session(
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

    def figures(self) -> dict[str, Any]:
        """Everything, ready for JSON. Times in seconds, rates in kbit/s, shares 0 to 1."""
        duration = max(0.0, self.last - self.first) if self.packets else 0.0
        rates = np.array(self._per_second, dtype=float) * 8 / 1000
        return {
            "kind": "sent" if self.start is not None and self.start.role == SENT else "received",
            "begun_at": None if self.start is None else round(self._wall(self.first), 3),
            "duration": round(duration, 3),
            "packets": self.packets,
            "records_missing": self.missing,
            "rate_kbps": {
                "mean": _rounded(rates.sum() / max(duration, 1.0), 1),
                **_spread(rates[:-1] if len(rates) > 1 else rates, 1),
                "per_second": [round(float(rate), 1) for rate in rates],
            },
            "gaps": {
                "count": self._gap_count,
                "seconds": round(self._gap_total, 3),
                "longest": [{"at": round(at, 3), "seconds": round(length, 3)} for at, length in self._gaps],
            },
            "senders": [self._sender_figures(sender) for sender in self.senders.values()],
            "packets_of_more_senders": self.more_senders,
        }

    def _wall(self, time: float) -> float:
        if self.start is None or time == math.inf:
            return 0.0 if self.start is None else self.start.wall
        return self.start.wall + time - self.start.clock

    def _sender_figures(self, sender: Sender) -> dict[str, Any]:
        sessions = sender.sessions.values()
        sent = sum(session.newest - session.first + 1 for session in sessions)
        got = sum(session.packets for session in sessions)
        runs = [sum(counts) for counts in zip(*(session.runs.counts for session in sessions), strict=True)]
        return {
            "name": sender.name,
            "origin": sender.origin.hex(),
            "mode": sender.mode,
            "from": round(sender.first - self.first, 3),
            "to": round(sender.last - self.first, 3),
            "sessions": len(sessions),
            "two_way": any(session.two_way for session in sessions),
            "packets": got,
            "loss": _rounded(1 - got / sent if sent else 0.0, 4),
            "bursts": dict(zip(_run_names(), runs, strict=False)),
            "streams": [self._flow_figures(sender, stream, flow) for stream, flow in sender.flows.items()],
        }

    def _flow_figures(self, sender: Sender, stream: int, flow: Flow) -> dict[str, Any]:
        out: dict[str, Any] = {
            "id": stream,
            "name": STREAMS[stream].name if stream in STREAMS else "unknown",
            "profile": sender.profiles.get(stream, ""),
            "packets": flow.packets,
            "bytes": flow.bytes,
        }
        if flow.units is not None:
            out |= {
                "units": flow.units.seen,
                "units_complete": flow.complete,
                "units_missed": flow.units.missed,
                "packets_expected": flow.expected,
                "packets_received": flow.received,
                "packets_late": flow.late,
                "packets_unreadable": flow.unreadable,
                "concealed": flow.concealed,
                "refused": flow.refused,
                "jitter_ms": _rounded(flow.transit.jitter * 1000, 1),
                "lateness_ms": _spread(np.array(flow.lateness) * 1000, 1),
            }
        return out


def _run_names() -> list[str]:
    """Of the bins that LossRuns counts in."""
    names, least = [], 1
    for limit in RUN_LIMITS:
        names.append(str(limit) if limit == least else f"{least}-{limit}")
        least = limit + 1
    return [*names, f"{least}+"]


def _spread(values: Any, digits: int) -> dict[str, float | None]:
    if not len(values):
        return {"p50": None, "p95": None, "max": None}
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": _rounded(p50, digits), "p95": _rounded(p95, digits), "max": _rounded(max(values), digits)}


def _rounded(value: float, digits: int) -> float:
    return round(float(value), digits)


def share(part: float, whole: float) -> float:
    """part / whole; 0 of nothing."""
    return part / whole if whole else 0.0


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """The values as a row of blocks, averaged to at most `width`."""
    if not values:
        return ""
    blocks = "▁▂▃▄▅▆▇█"
    means = [float(np.mean(part)) for part in np.array_split(np.array(values), min(width, len(values)))]
    top = max(means) or 1.0
    return "".join(blocks[min(7, int(mean / top * 7.99))] for mean in means)
