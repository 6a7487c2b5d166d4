"""What the receiver's reports say of what was sent. Pure: `now` (monotonic seconds) is passed in.

Each report is turned into an `Update`: what became known with it. Reports may be lost, come late or come twice.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace

from proto.report import CLOCK_SPAN, PlayoutState, Report
from proto.wire import seq16_delta, unwrap16

MOST_SENT = 4096  # packets remembered: 16 s at 2 Mbit/s and 1000 bytes
MOST_UNITS = 256
WINDOW_S = 10.0  # of the figures
DEAD_S, DEAD_INTERVALS = 1.5, 5.0  # feedback is dead after so long without a report, whichever is longer
MOST_INTERVAL_S = 1.0
MOST_DEAD_S = 15.0
OTHER_CLOCK_S = (
    0.5  # by which a receiver's clock may be off what has passed here, or it is another receiver's
)
SETTLE_S = 3.0  # after a packet left: by then reports have told whether it arrived, or none will
MOST_TOLD = 512  # packets between two reports of which each can be told

Fate = tuple[int, bool]
"""Wire bytes of a packet, and whether it arrived."""


@dataclass(slots=True)
class _Sent:
    at: float
    wire_bytes: int
    total: int  # wire bytes of the session up to and with this packet
    known: bool = False  # that it arrived
    arrived: bool | None = None  # None where it cannot be told: what is known is then mostly what arrived


@dataclass(slots=True)
class _Cut:
    """A unit, and which of its packets have left."""

    packets: int
    left: int = 0
    counters: list[int] = field(default_factory=list)  # of those of this session


@dataclass(frozen=True, slots=True)
class Sample:
    """A packet that arrived."""

    sent_at: float  # s, sender's monotonic clock
    arrived_at: float  # s, receiver's clock, unwrapped
    wire_bytes: int
    total: int  # wire bytes sent up to and with this packet


@dataclass(frozen=True, slots=True)
class Update:
    """What a report added to what was known."""

    samples: tuple[Sample, ...]  # newly known arrivals, by rising counter
    expected: int  # packets sent since the last report's newest one
    received: int  # of these, arrived
    runs: int  # runs of lost packets that have ended
    sent_seconds: float  # over which they were sent
    sent_bytes: int
    hole: float  # s, the longest time between arrivals (so far as listed), and from the last arrival to the report
    units: tuple[tuple[int, tuple[bool, ...] | None], ...]  # for UnitEncoder.report, each unit once
    fates: tuple[
        Fate, ...
    ] = ()  # of packets sent SETTLE_S ago, by rising counter; those not told are left out
    arrived: tuple[int, ...] = ()  # counters of this session's packets that are now known to have arrived


class Feedback:
    """One per sender; the event loop owns it. Tell it every packet and unit sent, and every report."""

    def __init__(self) -> None:
        self.reports = 0  # taken in
        self.stale = 0  # older than one taken in before (their units count)
        self.strange = 0  # about another session, or about packets never sent
        self.last: Report | None = None
        self.rtt: float | None = None  # s, smoothed
        self.min_rtt = math.inf
        self._session = b""
        self._sent: OrderedDict[int, _Sent] = OrderedDict()
        self._news: list[int] = []
        self._unsettled: deque[_Sent] = deque(maxlen=MOST_SENT)
        self._newest = 0  # counter sent
        self._total = 0
        self._units: OrderedDict[int, _Cut] = OrderedDict()
        self._unit = 0
        self._clock: int | None = None  # receiver's, ms, unwrapped
        self._clock_offset = (
            0  # ms, added to it: a receiver that took over goes on in the time of the one before
        )
        self._base: Report | None = None  # the last report about this session
        self._last_at: float | None = None
        self._arrived_last = -math.inf
        self._window: deque[tuple[float, int, int, int, int]] = deque(maxlen=128)
        self._report_loss = 0.8  # nothing is known of it: be patient

    def sent(self, session: bytes, counter: int, wire_bytes: int, now: float) -> None:
        """A packet left. Counters rise within a session; a new session starts them again."""
        if session != self._session:
            self._session, self._base = session, None
            self._sent.clear()
            for cut in self._units.values():
                cut.counters.clear()
        self._total += wire_bytes
        packet = self._sent[counter] = _Sent(now, wire_bytes, self._total)
        self._unsettled.append(packet)
        self._newest = counter
        if len(self._sent) > MOST_SENT:
            self._sent.popitem(last=False)

    def unit_sent(self, unit: int, packets: int) -> None:
        """Unit number `unit` (never wrapped) was cut into so many packets."""
        self._units[unit] = _Cut(packets)
        self._unit = unit
        if len(self._units) > MOST_UNITS:
            self._units.popitem(last=False)

    def segment_sent(self, unit: int) -> None:
        """The packet that `sent` was last told of is the next one of a unit; `unit` as on the wire."""
        cut = self._units.get(unwrap16(unit, self._unit))
        if cut is not None:
            cut.left += 1
            cut.counters.append(self._newest)

    def report(self, report: Report, now: float) -> Update | None:
        """Take in an authentic report that came at `now`. None if it says nothing new."""
        units = self._take_units(report)
        # A receiver that has restarted numbers from 0 again: numbers compare within a session only.
        before = self.last if self.last is not None and self.last.session == report.session else None
        late = before is not None and seq16_delta(report.number, before.number) <= 0
        strange = (
            report.session != int.from_bytes(self._session[:2], "big") or report.newest not in self._sent
        )
        if late or strange:
            self.stale += late
            self.strange += strange and not late
            return Update((), 0, 0, 0, 0.0, 0, 0.0, units) if units else None
        missed = 0 if before is None else seq16_delta(report.number, before.number) - 1
        self._report_loss += (1 - 1 / (1 + missed) - self._report_loss) * min(0.5, 0.1 * (1 + missed))
        self.reports += 1
        arrived_at = self._unwrap(report.clock_ms, now, may_jump=before is None) - report.age_ms
        self.last, self._last_at = report, now
        newest = self._sent[report.newest]
        self._measure_rtt(now - newest.at - report.age_ms / 1000)
        samples, hole = self._samples(report, arrived_at)
        update = self._difference(report, newest, samples, max(hole, report.age_ms / 1000), units, now)
        self._base = report
        return replace(update, fates=self._settle(now), arrived=tuple(self._news))

    @property
    def session(self) -> bytes:
        """That the counters of `Update.arrived` are of."""
        return self._session

    def dead(self, now: float) -> bool:
        """Whether reports have stayed away for longer than their loss explains. False before the first one."""
        if self._last_at is None or self.last is None:
            return False
        usual = min(MOST_INTERVAL_S, max(0.1, self.last.interval_ms / 1000))
        lost = max(
            self._report_loss, self.loss(self._last_at)
        )  # the way back may be no better than the way there
        patience = min(MOST_DEAD_S, DEAD_INTERVALS * usual / max(0.1, 1 - lost))
        return now - self._last_at > max(DEAD_S, patience)

    def loss(self, now: float) -> float:
        """Share of packets lost over the last 10 s, before any recovery."""
        expected, received = self._sums(now)[:2]
        return 1 - received / expected if expected else 0.0

    def residual_loss(self, now: float) -> float:
        """Share of units that could not be shown from what arrived, over the last 10 s: loss after recovery."""
        due, shown = self._sums(now)[2:]
        return 1 - min(1.0, shown / due) if due else 0.0

    @property
    def told_after(self) -> float:
        """Seconds after which a packet that arrived has been told of, if one report was lost."""
        interval = MOST_INTERVAL_S if self.last is None else self.last.interval_ms / 1000
        return (self.rtt or 0.0) + 2 * interval

    @property
    def report_loss(self) -> float:
        """Share of reports that are lost, smoothed."""
        return self._report_loss

    @property
    def state(self) -> PlayoutState:
        """What the receiver last said that it shows."""
        return PlayoutState.WAITING if self.last is None else self.last.state

    def _sums(self, now: float) -> tuple[int, int, int, int]:
        recent = [entry[1:] for entry in self._window if entry[0] > now - WINDOW_S]
        expected, received, due, shown = (
            (sum(column) for column in zip(*recent, strict=True)) if recent else [0] * 4
        )
        return expected, received, due, shown

    def _take_units(self, report: Report) -> tuple[tuple[int, tuple[bool, ...] | None], ...]:
        out: list[tuple[int, tuple[bool, ...] | None]] = []
        for mask in report.units:
            unit = unwrap16(mask.unit, self._unit)
            cut = self._units.pop(unit, None)
            if cut is None:
                continue
            arrived = (mask.arrived or (False,) * cut.packets)[: cut.packets]
            # Of a unit that did not leave whole, the mask says nothing about the link.
            told = cut.left == cut.packets and not mask.refused
            out.append((unit, arrived if told else None if mask.refused else ()))
            if told and len(cut.counters) == len(arrived):
                for counter, came in zip(cut.counters, arrived, strict=True):
                    if counter in self._sent:
                        self._sent[counter].arrived = came
        return tuple(reversed(out))

    def _measure_rtt(self, rtt: float) -> None:
        rtt = max(0.0, rtt)
        self.min_rtt = min(self.min_rtt, rtt)
        self.rtt = rtt if self.rtt is None else self.rtt + (rtt - self.rtt) / 8  # RFC 6298 section 2

    def _unwrap(self, clock: int, now: float, *, may_jump: bool) -> int:
        """Milliseconds, continuous over wraps, and over receivers where `may_jump`."""
        if self._clock is None or self._last_at is None:
            self._clock = clock
            return clock
        step = (clock - self._clock + CLOCK_SPAN // 2) % CLOCK_SPAN - CLOCK_SPAN // 2
        passed = round((now - self._last_at) * 1000)
        if may_jump and abs(step - passed) > 1000 * OTHER_CLOCK_S:
            self._clock_offset += passed - step
        self._clock += step
        return self._clock + self._clock_offset

    def _samples(self, report: Report, arrived_ms: int) -> tuple[list[Sample], float]:
        """Arrivals not known before by rising counter, and the longest time between arrivals."""
        listed, counter = [(report.newest, arrived_ms)], report.newest
        for earlier in report.earlier:
            counter -= earlier.step
            listed.append((counter, arrived_ms - earlier.milliseconds))
        out: list[Sample] = []
        self._news = []
        hole = 0.0
        for counter, at in reversed(listed):
            sent = self._sent.get(counter)
            if sent is None or sent.known:
                continue
            sent.known = True
            self._news.append(counter)
            if self._arrived_last > -math.inf:
                hole = max(hole, at / 1000 - self._arrived_last)
            self._arrived_last = max(self._arrived_last, at / 1000)
            out.append(Sample(sent.at, at / 1000, sent.wire_bytes, sent.total))
        return out, hole

    def _difference(
        self,
        report: Report,
        newest: _Sent,
        samples: list[Sample],
        hole: float,
        units: tuple[tuple[int, tuple[bool, ...] | None], ...],
        now: float,
    ) -> Update:
        base = self._base
        before = None if base is None else self._sent.get(base.newest)
        if base is None or before is None or report.newest < base.newest:
            return Update(tuple(samples), 0, 0, 0, 0.0, 0, hole, units)
        expected = report.newest - base.newest
        received = min(expected, (report.packets - base.packets) & 0xFFFFFFFF)
        self._tell(base.newest, report.newest, received)
        due, shown = (report.due - base.due) & 0xFFFF, (report.shown - base.shown) & 0xFFFF
        self._window.append((now, expected, received, due, shown))
        runs = sum((new - old) & 0xFF for old, new in zip(base.runs, report.runs, strict=True))
        seconds, size = newest.at - before.at, newest.total - before.total
        return Update(tuple(samples), expected, received, min(runs, expected), seconds, size, hole, units)

    def _tell(self, first: int, last: int, received: int) -> None:
        """Of the packets after `first` up to `last` so many arrived: where all of these are listed, the others are
        lost. Where some are not, because reports were lost, the list says nothing that is fair to all packets."""
        if last - first > MOST_TOLD:
            return
        packets = [self._sent[counter] for counter in range(first + 1, last + 1) if counter in self._sent]
        if len(packets) == last - first and sum(packet.known for packet in packets) == received:
            for packet in packets:
                packet.arrived = packet.known

    def _settle(self, now: float) -> tuple[Fate, ...]:
        out: list[Fate] = []
        while self._unsettled and self._unsettled[0].at <= now - SETTLE_S:
            packet = self._unsettled.popleft()
            if packet.arrived is not None:
                out.append((packet.wire_bytes, packet.arrived))
        return tuple(out)
