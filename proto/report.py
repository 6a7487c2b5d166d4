"""The receiver's report: what arrived, when, and what was shown. README.md, section on reports, is the spec.

All counts only grow (modulo their size), and units and arrivals are told several times, so that the loss of any report
costs nothing but time. A report says when packets arrived, as RFC 8888 does, and not how long they took: the sender
knows when they left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from proto.wire import MAX_COUNT, Reason, WireError

REPORT_VERSION = 1
CLOCK_SPAN = 1 << 32  # milliseconds after which the receiver's clock wraps: 49 days
RUN_LIMITS = (1, 2, 4, 8, 16)  # longest run of losses that each bin but the last counts
RUN_BINS = len(RUN_LIMITS) + 1
MOST_VARINT = (1 << 14) - 1  # two bytes
MOST_FIELD = 255  # bytes of a field's value
INTERVAL_UNIT_MS = 10

_HEAD = Struct(">BBHHIIIIHB")
_PLAYBACK = Struct(">HHH")
_DELAY = Struct(">hH")


class PlayoutState(IntEnum):
    """What the receiver shows."""

    WAITING = 0  # nothing yet
    PLAYING = 1
    HOLDING = 2  # no new pictures: the last one stands, or the gap is concealed
    LOST = 3  # the signal is gone


class _Field(IntEnum):
    ARRIVALS = 1
    UNITS = 2
    RUNS = 3
    PLAYBACK = 4
    DELAY = 5


@dataclass(frozen=True, slots=True)
class Earlier:
    """A packet that arrived before another one of the list."""

    step: int  # how far its counter is below that of the packet listed before it, 1..MOST_VARINT
    milliseconds: int  # how much earlier than the newest it arrived, 0..MOST_VARINT (or longer ago)


@dataclass(frozen=True, slots=True)
class UnitMask:
    """What arrived of a unit that is closed."""

    unit: int  # modulo 2**16
    arrived: tuple[
        bool, ...
    ]  # for each of its packets; empty where nothing arrived: the count is not known then
    refused: bool = False  # it could not be decoded


@dataclass(frozen=True, slots=True)
class Report:
    """One report. Numbers that count something are cumulative since the session's first packet and wrap."""

    number: int  # of this report, modulo 2**16
    session: int  # first two bytes of the id of the session whose packets are counted
    state: PlayoutState
    newest: int  # highest packet counter that arrived
    packets: int  # arrived, modulo 2**32
    wire_bytes: int  # of these, IP and UDP headers included, modulo 2**32
    clock_ms: int  # receiver's clock when the report was built, modulo 2**32
    age_ms: int  # how long before that the packet `newest` arrived; 65535: or longer
    interval_ms: int  # until the next report, in steps of 10, up to 2550
    earlier: tuple[Earlier, ...] = ()  # packets that arrived before `newest`, by falling counter
    units: tuple[UnitMask, ...] = ()  # closed units, newest first
    runs: tuple[int, ...] = (
        0,
    ) * RUN_BINS  # runs of lost packets of 1, 2, 3-4, 5-8, 9-16 and more, modulo 256
    shown: int = 0  # units shown from what arrived, modulo 2**16
    due: int = 0  # units that should have been, modulo 2**16
    playout_delay_ms: int = 0  # from the earliest possible arrival to display
    gradient: int = 0  # ms a second by which units take longer and longer, smoothed, -32768..32767
    jitter_ms: int = 0  # of the units' transit, RFC 3550 section 6.4.1

    def __bytes__(self) -> bytes:
        """The payload of a report packet. Raises WireError (malformed) for a number out of range."""
        return _head(self) + b"".join(_field(kind, value) for kind, value in _values(self) if value)

    @classmethod
    def parse(cls, payload: bytes) -> Report:
        """The report in a payload. Raises only WireError (short, malformed); unknown fields are skipped."""
        if len(payload) < _HEAD.size:
            raise WireError(Reason.SHORT, f"report: {len(payload)} bytes, {_HEAD.size} needed")
        version, state, number, session, newest, packets, wire, clock, age, interval = _HEAD.unpack_from(
            payload
        )
        if version != REPORT_VERSION:
            raise WireError(Reason.MALFORMED, f"report: version {version}")
        values = dict(_fields(payload[_HEAD.size :]))
        shown, due, delay = _numbers(_PLAYBACK, values.get(_Field.PLAYBACK))
        gradient, jitter = _numbers(_DELAY, values.get(_Field.DELAY))
        return cls(
            number,
            session,
            PlayoutState(state & 3),
            newest,
            packets,
            wire,
            clock,
            age,
            interval * INTERVAL_UNIT_MS,
            earlier=tuple(_earlier(values.get(_Field.ARRIVALS, b""))),
            units=tuple(_units(values.get(_Field.UNITS, b""))),
            runs=_numbers(Struct(f">{RUN_BINS}B"), values.get(_Field.RUNS)),
            shown=shown,
            due=due,
            playout_delay_ms=delay,
            gradient=gradient,
            jitter_ms=jitter,
        )


def mask_bytes(count: int) -> int:
    """The most bytes that a unit of `count` packets needs in a report."""
    return 3 + (count + 7) // 8


def _head(report: Report) -> bytes:
    numbers = (report.number, report.session, report.newest, report.packets, report.wire_bytes)
    sizes = (16, 16, 32, 32, 32)
    if any(not 0 <= value < 1 << bits for value, bits in zip(numbers, sizes, strict=True)):
        raise WireError(Reason.MALFORMED, f"report: a number of {numbers} is out of range")
    if not 0 <= report.clock_ms < CLOCK_SPAN or report.age_ms < 0 or report.interval_ms < 0:
        raise WireError(Reason.MALFORMED, "report: a time is out of range")
    interval = min(255, report.interval_ms // INTERVAL_UNIT_MS)
    age = min(0xFFFF, report.age_ms)
    return _HEAD.pack(REPORT_VERSION, report.state, *numbers, report.clock_ms, age, interval)


def _values(report: Report) -> Iterator[tuple[_Field, bytes]]:
    yield _Field.ARRIVALS, b"".join(_varint(e.step) + _varint(e.milliseconds) for e in report.earlier)
    yield _Field.UNITS, _masks(report.units)
    if any(report.runs):
        yield _Field.RUNS, bytes(run & 0xFF for run in report.runs)
    shown, due = report.shown & 0xFFFF, report.due & 0xFFFF
    if due or report.playout_delay_ms:
        yield _Field.PLAYBACK, _PLAYBACK.pack(shown, due, min(0xFFFF, max(0, report.playout_delay_ms)))
    gradient, jitter = max(-32768, min(32767, report.gradient)), max(0, min(0xFFFF, report.jitter_ms))
    if gradient or jitter:
        yield _Field.DELAY, _DELAY.pack(gradient, jitter)


def _field(kind: _Field, value: bytes) -> bytes:
    if len(value) > MOST_FIELD:
        raise WireError(Reason.MALFORMED, f"report: {kind.name} has {len(value)} bytes, at most {MOST_FIELD}")
    return bytes((kind, len(value))) + value


def _fields(rest: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(rest):
        if at + 2 > len(rest) or at + 2 + rest[at + 1] > len(rest):
            raise WireError(Reason.SHORT, "report: a field is cut off")
        yield rest[at], rest[at + 2 : at + 2 + rest[at + 1]]
        at += 2 + rest[at + 1]


def _numbers(layout: Struct, value: bytes | None) -> tuple[int, ...]:
    """The numbers of a field, zeros where it is absent. A longer field is of a later version: its start counts."""
    if value is None:
        return layout.unpack(bytes(layout.size))
    if len(value) < layout.size:
        raise WireError(Reason.SHORT, f"report: a field of {len(value)} bytes, {layout.size} needed")
    return layout.unpack_from(value)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the low ones first; the top bit says that another byte follows."""
    if not 0 <= number <= MOST_VARINT:
        raise WireError(Reason.MALFORMED, f"report: {number} is not 0..{MOST_VARINT}")
    return bytes((number,)) if number < 128 else bytes((number & 127 | 128, number >> 7))


class _Reader:
    """Reads a field's value from its start."""

    def __init__(self, value: bytes) -> None:
        self._value, self._at = value, 0

    @property
    def more(self) -> bool:
        return self._at < len(self._value)

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._value):
            raise WireError(Reason.SHORT, "report: a field ends within an entry")
        self._at += count
        return self._value[self._at - count : self._at]

    def varint(self) -> int:
        low = self.take(1)[0]
        if low < 128:
            return low
        high = self.take(1)[0]
        if high > 127:
            raise WireError(Reason.MALFORMED, "report: a number of more than two bytes")
        return low & 127 | high << 7


def _earlier(value: bytes) -> Iterator[Earlier]:
    reader = _Reader(value)
    while reader.more:
        step, milliseconds = reader.varint(), reader.varint()
        if step == 0:
            raise WireError(Reason.MALFORMED, "report: a packet is listed twice")
        yield Earlier(step, milliseconds)


def _masks(units: tuple[UnitMask, ...]) -> bytes:
    """First the newest unit's number; then for each its distance from the one before, doubled, its count and bits."""
    if not units:
        return b""
    out, last = (units[0].unit & 0xFFFF).to_bytes(2, "big"), units[0].unit
    for mask in units:
        count = len(mask.arrived)
        if count > MAX_COUNT:
            raise WireError(Reason.MALFORMED, f"report: a unit of {count} packets, at most {MAX_COUNT}")
        bits = sum(1 << i for i, arrived in enumerate(mask.arrived) if arrived)
        out += _varint(((last - mask.unit) & 0xFFFF) << 1 | mask.refused) + bytes((count,))
        out += bits.to_bytes((count + 7) // 8, "little")
        last = mask.unit
    return out


def _units(value: bytes) -> Iterator[UnitMask]:
    if not value:
        return
    reader = _Reader(value)
    unit = int.from_bytes(reader.take(2), "big")
    while reader.more:
        step, count = reader.varint(), reader.take(1)[0]
        bits = int.from_bytes(reader.take((count + 7) // 8), "little")
        unit = (unit - (step >> 1)) & 0xFFFF
        yield UnitMask(unit, tuple(bool(bits >> i & 1) for i in range(count)), bool(step & 1))
