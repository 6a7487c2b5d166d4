"""Protected streams, receiving side: segments in, each unit out as soon as it is whole.

Pure and clock-free: `now` (s, monotonic) is passed in. README.md section 10 is the spec.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proto import erasure
from proto.packet import Segment
from proto.protected import LENGTH_BYTES, MAX_UNITS, SOURCE_HEADER_BYTES, Parity, Source, pack, parse, unpack
from proto.reassembler import unwrap_unit
from proto.wire import (
    TICK_SECONDS,
    TICKS_PER_SECOND,
    Reason,
    WireError,
    unwrap16,
)

MAX_WINDOWS = 16  # open at a time: with windows of 0.25 s 4 s, beyond any playout delay


@dataclass(slots=True)
class RecoverTally:
    """What became of a protected stream. Plain counters that only grow; may outlive many Recovers."""

    received: int = 0  # segments taken in
    spare: int = 0  # of these, parity that was not needed any more
    duplicate: int = 0
    late: int = 0
    conflict: int = 0
    windows_closed: int = 0  # windows of which something arrived
    windows_recovered: int = 0  # of these, made whole with the help of parity
    windows_failed: int = 0  # of these, closed with units missing
    windows_broken: int = 0  # of these, their parity was nonsense
    units_delivered: int = 0
    units_repaired: int = 0  # of these, units that parity was needed for
    units_lost: int = 0  # units missing for good, windows of which nothing arrived included

    @property
    def residual_loss(self) -> float:
        """Share of units lost after recovery; 0 before any."""
        units = self.units_delivered + self.units_lost
        return self.units_lost / units if units else 0.0


@dataclass(frozen=True, slots=True)
class RecoveredUnit:
    """One whole access unit."""

    unit: int  # unwrapped; congruent modulo 2**16 to the sender's number
    timestamp: float  # s, unwrapped within the session; congruent modulo 262.144 s to the sender's time
    data: bytes
    repaired: bool  # whether parity was needed


@dataclass(slots=True)
class _Window:
    """A window that may still grow. Its units are known by their `order`."""

    number: int  # unwrapped
    ticks: int  # unwrapped
    opened: float
    seen: int = 0  # a bit for each segment that arrived
    source: dict[int, Source] = field(default_factory=dict)
    parity: dict[int, Parity] = field(default_factory=dict)
    units: dict[int, Source] = field(default_factory=dict)  # any symbol of each unit: tells where it lies
    delivered: set[int] = field(default_factory=set)
    needed: int | None = None
    symbol_bytes: int = 0  # of parity
    longest: int = 0  # bytes of the longest source payload
    whole: bool = False  # every unit has been delivered, and no other can come
    repaired: bool = False
    broken: bool = False  # its parity contradicts itself

    @property
    def orders(self) -> int:
        """How many units it is known to have."""
        return max(self.units, default=-1) + 1

    @property
    def parity_free(self) -> bool:
        """Whether all of its units came by themselves."""
        return self.whole and not self.repaired

    def check(self, symbol: Source | Parity, room: int) -> None:
        """Raises WireError (conflict) for what contradicts the symbols before, or needs more than `room` units."""
        if isinstance(symbol, Parity):
            size, needed = len(symbol.symbol), symbol.needed
            same = self.needed is None or (self.needed, self.symbol_bytes) == (needed, size)
            fits = all(unit.end <= needed for unit in self.units.values())
            if not (same and fits and LENGTH_BYTES + self.longest <= size):
                raise WireError(Reason.CONFLICT, f"parity of window {self.number} differs")
            return
        if symbol.order >= room:
            raise WireError(Reason.CONFLICT, f"unit {self.number + symbol.order} belongs to a later window")
        for order, unit in self.units.items():
            if order == symbol.order:
                agrees = (unit.first, unit.pieces, unit.offset) == (
                    symbol.first,
                    symbol.pieces,
                    symbol.offset,
                )
            else:
                agrees = unit.end <= symbol.first if order < symbol.order else symbol.end <= unit.first
            if not agrees:
                raise WireError(Reason.CONFLICT, f"units {order} and {symbol.order} of a window disagree")
        size = LENGTH_BYTES + SOURCE_HEADER_BYTES + len(symbol.data)
        if self.needed is not None and (symbol.end > self.needed or size > self.symbol_bytes):
            raise WireError(Reason.CONFLICT, f"symbol {symbol.index} does not fit the parity of its window")

    def add(self, symbol: Source | Parity) -> None:
        """Keep a checked symbol."""
        self.seen |= 1 << symbol.index
        if isinstance(symbol, Parity):
            self.needed, self.symbol_bytes = symbol.needed, len(symbol.symbol)
            self.parity[symbol.index] = symbol
        else:
            self.source[symbol.index] = symbol
            self.units.setdefault(symbol.order, symbol)
            self.longest = max(self.longest, SOURCE_HEADER_BYTES + len(symbol.data))

    def repair(self, room: int) -> bool:
        """Rebuild the missing source symbols if there are enough others; whether it did.

        Parity that gives nonsense (no honest sender makes it) breaks the window: only what came by itself counts.
        """
        needed = self.needed
        if needed is None or self.broken or len(self.source) + len(self.parity) < needed:
            return False
        missing = [index for index in range(needed) if index not in self.source]
        if not missing:
            return False
        symbols = {i: pack(bytes(source), self.symbol_bytes) for i, source in self.source.items()}
        symbols |= {i: parity.symbol for i, parity in self.parity.items()}
        seen, before = self.seen, (dict(self.source), dict(self.units), self.longest)
        rebuilt = erasure.decode(symbols, needed)
        try:
            for index in missing:
                symbol = Source.parse(index, unpack(rebuilt[index]))
                self.check(symbol, room)
                self.add(symbol)
        except WireError:
            self.source, self.units, self.longest = before
            self.broken = True
            self.parity.clear()
        self.seen = seen  # what was rebuilt may still arrive, which is no duplicate
        return not self.broken


class Recover:
    """The open windows of one protected stream. Bounded: 16 windows of 255 payloads, whatever arrives.

    The caller pushes every segment that the Opener passed and hands on the units that come out; they come in the order
    in which they become whole, which is not always that of their numbers. One thread at a time.
    """

    def __init__(self, deadline_s: float, tally: RecoverTally | None = None) -> None:
        """`deadline_s`: how long after its first segment a window is given up; what comes later is late."""
        if not deadline_s > 0.0:
            raise ValueError(f"deadline_s: must be above 0 (got {deadline_s})")
        self.deadline_s = deadline_s
        self.tally = RecoverTally() if tally is None else tally
        self._open: dict[int, _Window] = {}
        self._floor: int | None = None  # the lowest unit that may still come; None before the first segment
        self._newest = 0  # window
        self._newest_ticks = 0
        self._newest_at = 0.0
        self.accepted_at = 0.0
        """Monotonic time (s) of the last segment that was taken in."""

    @property
    def pending(self) -> tuple[int, ...]:
        """The numbers of the open windows, in rising order."""
        return tuple(sorted(self._open))

    @property
    def newest(self) -> int | None:
        """The number of the newest window; None before the first segment."""
        return None if self._floor is None else self._newest

    def push(self, segment: Segment, now: float) -> list[RecoveredUnit]:
        """Take in one segment; returns the units that it makes whole.

        Raises WireError (short, malformed, late, conflict, duplicate) if it is of no use.
        """
        self.expire(now)
        symbol = parse(segment.index, segment.payload)
        try:
            window = self._window(segment, now)
            self._check(window, symbol, segment)
        except WireError as error:
            self._count(error.reason)
            raise
        self._keep(window, now)
        self.tally.received += 1
        if window.whole or (window.broken and isinstance(symbol, Parity)):
            window.seen |= 1 << symbol.index
            self.tally.spare += 1
            return []
        window.add(symbol)
        out = self._deliver(window)
        self.tally.spare += isinstance(symbol, Parity) and window.parity_free
        return out

    def expire(self, now: float) -> None:
        """Close every window that is past its deadline, and all older ones. Also done by `push`."""
        for number in sorted(self._open, reverse=True):
            if now - self._open[number].opened >= self.deadline_s:
                self._close_to(number)
                return

    def _count(self, reason: Reason) -> None:
        if reason is Reason.LATE:
            self.tally.late += 1
        elif reason is Reason.DUPLICATE:
            self.tally.duplicate += 1
        else:
            self.tally.conflict += 1

    def _window(self, segment: Segment, now: float) -> _Window:
        """The segment's window, perhaps a new one that is not kept yet. Raises WireError (late, conflict)."""
        number = segment.unit
        if self._floor is not None:
            number = unwrap_unit(number, self._newest, now - self.accepted_at)
        if number in self._open:
            return self._open[number]
        if self._floor is not None and number < self._floor:
            raise WireError(
                Reason.LATE, f"window {number} is closed, the oldest unit to come is {self._floor}"
            )
        if len(self._open) >= MAX_WINDOWS and number < min(self._open):
            raise WireError(Reason.LATE, f"{MAX_WINDOWS} newer windows than {number} are open")
        if any(w.number < number < w.number + w.orders for w in self._open.values()):
            raise WireError(Reason.CONFLICT, f"window {number} begins inside another")
        ticks = segment.timestamp
        if self._floor is not None:
            passed = round((now - self._newest_at) * TICKS_PER_SECOND)
            ticks = unwrap16(ticks, self._newest_ticks + passed)
        return _Window(number, ticks, now)

    def _check(self, window: _Window, symbol: Source | Parity, segment: Segment) -> None:
        """Raises WireError (conflict, duplicate)."""
        if segment.timestamp != window.ticks & 0xFFFF:
            raise WireError(Reason.CONFLICT, f"timestamp differs within window {window.number}")
        if window.seen >> symbol.index & 1:
            raise WireError(Reason.DUPLICATE, f"symbol {symbol.index} of window {window.number} is there")
        if window.whole:
            return
        window.check(symbol, self._room(window))

    def _room(self, window: _Window) -> int:
        """How many units it may have: those up to the next window heard of."""
        return min(
            (other - window.number for other in self._open if other > window.number), default=MAX_UNITS
        )

    def _keep(self, window: _Window, now: float) -> None:
        """Make a new window one of the open ones."""
        self.accepted_at = now
        if window.number in self._open:
            return
        if self._floor is None or window.number > self._newest:
            self._newest, self._newest_ticks, self._newest_at = window.number, window.ticks, now
        if self._floor is None:
            self._floor = window.number
        if len(self._open) >= MAX_WINDOWS:
            self._close_to(min(self._open))
        self._open[window.number] = window

    def _deliver(self, window: _Window) -> list[RecoveredUnit]:
        direct = set(window.source)
        window.repaired |= window.repair(self._room(window))
        out = []
        for order in sorted(set(window.units) - window.delivered):
            unit = window.units[order]
            indices = range(unit.first, unit.end)
            if all(index in window.source for index in indices):
                window.delivered.add(order)
                data = b"".join(window.source[index].data for index in indices)
                time = (window.ticks + unit.offset) * TICK_SECONDS
                rebuilt = not direct.issuperset(indices)
                out.append(RecoveredUnit(window.number + order, time, data, rebuilt))
        self.tally.units_delivered += len(out)
        self.tally.units_repaired += sum(unit.repaired for unit in out)
        if window.needed is not None and len(window.source) >= window.needed:
            window.whole = True
            window.source.clear()
            window.parity.clear()
        return out

    def _close_to(self, number: int) -> None:
        """Close the windows up to `number` and count what is missing of them."""
        for closed in sorted(window for window in self._open if window <= number):
            window = self._open.pop(closed)
            floor = closed if self._floor is None else self._floor
            units = max(window.orders, 1)
            lost = units - len(window.delivered)
            self.tally.units_lost += max(closed - floor, 0) + lost
            self.tally.windows_closed += 1
            self.tally.windows_broken += window.broken
            self.tally.windows_recovered += window.repaired
            self.tally.windows_failed += lost > 0 or (window.needed is not None and not window.whole)
            self._floor = closed + units
