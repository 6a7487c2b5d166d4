"""Builds the receiver's reports and decides when one is due. Pure: `now` (monotonic seconds) is passed in.

Reports take a bounded share of the forward rate: more of them while something changes, few while nothing does, never
less than 0.1 s apart. Each tells again what the ones before it told, the more often the more packets are lost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from proto.report import (
    MOST_VARINT,
    RUN_BINS,
    RUN_LIMITS,
    Earlier,
    PlayoutState,
    Report,
    UnitMask,
    mask_bytes,
)
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES

SHORTEST_S, LONGEST_S = 0.1, 1.0  # between two reports
SHARE, STEADY_SHARE = 0.05, 0.025  # of the forward rate, while something changes and while nothing does
ACTIVE_S = 2.0  # after a change that was noticed
START_ACTIVE_S = 5.0  # after the first packet
SILENT_S = 10.0  # without a packet: nobody is there to be told
CHANGE_S = 0.025  # by which a unit's transit differs from what is usual
LOSSY = 0.3  # where reports are lost as often, something always changes
MOST_EXTRA = 2.0  # times that share at most, to make up for the reports that are lost
LOSS_CHANGE = 0.15  # likewise, of the loss of the last second or so
FORGOTTEN = 0.02  # chance, at most, that all reports which tell of a unit are lost, if as often as packets
MOST_UNITS, FEWEST_UNITS = 16, 4
MOST_EARLIER, FEWEST_EARLIER = 24, 4
MASK_BYTES, EARLIER_BYTES = 64, 48  # of a report, at most
REORDER = 16  # packets by which one may come late and not be taken for lost
RATE_WINDOW_S = 2.0
STRAGGLER_S = 0.2  # by which packets of the former session may come late


@dataclass(slots=True)
class PathTally:
    """What became of packets on the way, over all sessions; by their counters. Plain counters that only grow."""

    runs: list[int] = field(
        default_factory=lambda: [0] * RUN_BINS
    )  # of lost packets, by length, see Report.runs
    lost: int = 0  # packets in these
    reordered: int = 0  # packets that came after one with a higher counter (RFC 4737 section 3.3)


class LossRuns:
    """Lengths of the runs of lost packets, from counters. Those up to REORDER behind the newest may still come."""

    def __init__(self, first: int, tally: PathTally | None = None) -> None:
        """`tally` counts on where another session begins."""
        self._tally = PathTally() if tally is None else tally
        self.counts = [0] * RUN_BINS  # by length, see Report.runs
        self._newest = first
        self._seen = 1  # bit i: packet newest - i
        self._seen |= ((1 << REORDER) - 1) << 1  # nothing is known of what was before
        self._run = 0

    def add(self, counter: int) -> None:
        """A packet arrived."""
        ahead = counter - self._newest
        if ahead <= 0:
            self._tally.reordered += ahead < 0
            if -ahead < REORDER:
                self._seen |= 1 << -ahead
            return
        for _ in range(min(ahead, REORDER)):
            self._settle(bool(self._seen >> (REORDER - 1) & 1))
            self._seen = (self._seen << 1) & ((1 << REORDER) - 1)
        self._run += max(0, ahead - REORDER)
        self._newest = counter
        self._seen |= 1

    def _settle(self, arrived: bool) -> None:
        if not arrived:
            self._run += 1
        elif self._run:
            length = sum(self._run > limit for limit in RUN_LIMITS)
            self.counts[length] += 1
            self._tally.runs[length] += 1
            self._tally.lost += self._run
            self._run = 0


class Transit:
    """Jitter (RFC 3550 section 6.4.1) and gradient of the units' transit, from the first packet of each."""

    def __init__(self) -> None:
        self.jitter = 0.0  # s
        self.gradient = 0.0  # s a second
        self._media_time = -math.inf
        self._last = self._usual = 0.0

    @property
    def known(self) -> bool:
        """Whether a unit has come."""
        return self._media_time > -math.inf

    def add(self, media_time: float, now: float) -> bool:
        """A packet of the unit captured at `media_time` arrived. Returns whether transit has changed."""
        if media_time <= self._media_time:
            return False
        transit, passed = now - media_time, media_time - self._media_time
        first, self._media_time = self._media_time == -math.inf, media_time
        if first or passed > RATE_WINDOW_S:
            self._last = self._usual = transit
            return False
        changed = abs(transit - self._usual) > max(CHANGE_S, 3 * self.jitter)
        difference = transit - self._last
        self.jitter += (abs(difference) - self.jitter) / 16
        self.gradient += (difference / passed - self.gradient) / 4
        self._usual += (transit - self._usual) / 8
        self._last = transit
        return changed


class Reporter:
    """One per receiver; the event loop owns it. Feed it every packet, closed unit and tick, then ask `due`.

    Raises nothing, whatever arrives; memory is bounded.
    """

    def __init__(self) -> None:
        self.number = 0  # reports built
        self.interval = SHORTEST_S  # s until the next one
        self.tally = PathTally()
        self._session = self._former = b""
        self._runs = LossRuns(0, self.tally)
        self._former_newest = 0
        self._newest = self._first = 0
        self._newest_at = -math.inf
        self._packets = self._bytes = 0
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=2 * MOST_EARLIER)
        # (time, counter, packets, bytes), 0.25 s apart
        self._rates: deque[tuple[float, int, int, int]] = deque()
        self._transit = Transit()
        self._units: deque[UnitMask] = deque(maxlen=MOST_UNITS)
        self._unit_seconds = LONGEST_S / 4
        self._unit_at: float | None = None
        self._state = PlayoutState.WAITING
        self._shown = self._due = 0
        self._delay = 0.0
        self._active_until = -math.inf
        self._loss = 0.0
        self._last_at = -math.inf
        self._hurry = False

    @property
    def jitter(self) -> float | None:
        """Interarrival jitter of the units in seconds (RFC 3550 section 6.4.1); None before any."""
        return self._transit.jitter if self._transit.known else None

    @property
    def gradient(self) -> float | None:
        """Seconds a second by which units take longer and longer; None before any."""
        return self._transit.gradient if self._transit.known else None

    def packet(self, session: bytes, counter: int, wire_bytes: int, now: float) -> None:
        """A packet of the sender's authenticated. `wire_bytes`: IP and UDP headers included. Counts start again with a
        new session; packets of the former are then stragglers, unless the sender has gone back to it."""
        if session == self._former and not self._went_back(counter, now):
            return
        if session != self._session:
            self._start(session, counter, now)
        elif now - self._newest_at > SILENT_S:
            self._active_until = now + START_ACTIVE_S
        self._packets += 1
        self._bytes += wire_bytes
        self._runs.add(counter)
        self._arrivals.append((counter, now))
        if counter >= self._newest:
            self._newest, self._newest_at = counter, now
        if not self._rates or now - self._rates[-1][0] >= RATE_WINDOW_S / 8:
            self._rates.append((now, self._newest, self._packets, self._bytes))
            while now - self._rates[0][0] > RATE_WINDOW_S:
                self._rates.popleft()

    def take_over(self) -> None:
        """Another sender is on show: what was seen of the one before says nothing of it."""
        self._transit = Transit()
        self._units.clear()
        self._unit_at = None

    def media(self, media_time: float, now: float) -> None:
        """A packet of the unit captured at `media_time` (s, unwrapped) was taken in."""
        if self._transit.add(media_time, now):
            self._active_until = now + ACTIVE_S

    def unit_closed(
        self, unit: int, count: int, arrived: Sequence[bool], now: float, *, refused: bool = False
    ) -> None:
        """Unit number `unit` will not grow any more. Of one that is missed wholly, `count` is 0; `refused`: it could
        not be decoded. Call once a unit, in rising order."""
        mask = tuple(arrived[:count]) if any(arrived) else ()
        self._units.append(UnitMask(unit & 0xFFFF, mask, refused))
        if self._unit_at is not None:
            passed = min(LONGEST_S, max(0.0, now - self._unit_at))
            self._unit_seconds += (passed - self._unit_seconds) / 8
        self._unit_at = now

    def playout(self, state: PlayoutState, shown: int, due: int, delay: float) -> None:
        """What is on show: units shown from what arrived, of so many that were due, ever; the playout delay (s)."""
        if state is not self._state:
            self._hurry = True
        self._state, self._shown, self._due, self._delay = state, shown, due, delay

    def next_time(self, now: float) -> float | None:
        """When the next report is due (monotonic seconds); None while there is nobody to be told."""
        if not self._session or now - self._newest_at > SILENT_S:
            return None
        return self._last_at + (SHORTEST_S if self._hurry else self.interval)

    def due(self, now: float) -> bool:
        """Whether to send a report now."""
        at = self.next_time(now)
        return at is not None and now >= at

    def build(self, now: float) -> bytes:
        """The payload of the report that is due. Raises RuntimeError before the first packet."""
        if not self._session:
            raise RuntimeError("there is nothing to report before the first packet")
        rate, loss = self._forward(now)
        if abs(loss - self._loss) > LOSS_CHANGE:
            self._active_until, self._loss = now + ACTIVE_S, loss
        repeats = math.ceil(math.log(FORGOTTEN) / math.log(min(0.9, max(0.01, loss))))
        out = bytes(self._report(now, rate, loss, repeats))
        cost = len(out) + OVERHEAD_BYTES + IP_UDP_BYTES
        active = now < self._active_until or loss > LOSSY
        share = (SHARE if active else STEADY_SHARE) * min(MOST_EXTRA, 1 / max(0.01, 1 - loss))
        self.interval = min(LONGEST_S, max(SHORTEST_S, cost / max(1.0, share * rate)))
        self.number, self._last_at, self._hurry = self.number + 1, now, False
        return out

    def _went_back(self, counter: int, now: float) -> bool:
        """Whether a packet of the former session tells that the sender uses its keys again: it does so when it hears us
        after a silence."""
        return counter > self._former_newest and now - self._newest_at > STRAGGLER_S

    def _start(self, session: bytes, counter: int, now: float) -> None:
        self._former, self._session = self._session, session
        self._former_newest = self._newest
        self._runs = LossRuns(counter, self.tally)
        self._newest = self._first = counter
        self._packets = self._bytes = 0
        self._arrivals.clear()
        self._rates.clear()
        self._active_until = now + START_ACTIVE_S

    def _forward(self, now: float) -> tuple[float, float]:
        """Bytes a second that are being sent, and the share that is lost, from what arrived lately."""
        if not self._rates or now - self._newest_at > RATE_WINDOW_S:
            return 0.0, 1.0
        at, counter, packets, size = self._rates[0]
        sent, arrived = self._newest - counter, self._packets - packets
        loss = 1 - min(1.0, arrived / sent) if sent else 0.0
        rate = (self._bytes - size) / max(SHORTEST_S, now - at)
        return rate / max(0.05, 1 - loss), loss

    def _report(self, now: float, rate: float, loss: float, repeats: int) -> Report:
        recent = sum(at > now - repeats * self.interval for _, at in self._arrivals)
        units = 1 + math.ceil(repeats * self.interval / max(0.05, self._unit_seconds))
        return Report(
            number=self.number & 0xFFFF,
            session=int.from_bytes(self._session[:2], "big"),
            state=self._state,
            newest=self._newest,
            packets=self._packets & 0xFFFFFFFF,
            wire_bytes=self._bytes & 0xFFFFFFFF,
            clock_ms=round(now * 1000) & 0xFFFFFFFF,
            age_ms=min(0xFFFF, round(now * 1000) - round(self._newest_at * 1000)),
            interval_ms=round(self.interval * 1000),
            earlier=self._earlier(min(MOST_EARLIER, max(FEWEST_EARLIER, recent))),
            units=self._masks(min(MOST_UNITS, max(FEWEST_UNITS, units))),
            runs=tuple(count & 0xFF for count in self._runs.counts),
            shown=self._shown & 0xFFFF,
            due=self._due & 0xFFFF,
            playout_delay_ms=round(self._delay * 1000),
            gradient=round(self._transit.gradient * 1000),
            jitter_ms=round(self._transit.jitter * 1000),
        )

    def _earlier(self, most: int) -> tuple[Earlier, ...]:
        """Packets below the newest by falling counter, as many as there is room for."""
        out: list[Earlier] = []
        room, last = EARLIER_BYTES, self._newest
        newest_ms = round(self._newest_at * 1000)
        for counter, at in sorted(self._arrivals, reverse=True):
            step, before = last - counter, max(0, newest_ms - round(at * 1000))
            if step == 0:
                continue
            room -= 2 + (step > 127) + (before > 127)
            if step > MOST_VARINT or before > MOST_VARINT or room < 0 or len(out) == most:
                break
            out.append(Earlier(step, before))
            last = counter
        return tuple(out)

    def _masks(self, most: int) -> tuple[UnitMask, ...]:
        out: list[UnitMask] = []
        room = MASK_BYTES
        for mask in reversed(self._units):
            room -= mask_bytes(len(mask.arrived))
            if len(out) == most or (room < 0 and out) or (out and (out[-1].unit - mask.unit) & 0xFFFF > 4000):
                break
            out.append(mask)
        return tuple(out)
