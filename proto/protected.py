"""Protected streams, sending side: access units in, source symbols out at once, parity when a window closes.

A window is a row of units that share one erasure code (proto.erasure), bounded in media time, not in packets: at few
packets a second a block of so many packets would last longer than anyone may wait. Every packet tells by itself what
it is; units of different lengths need no padding on the wire, as only the coded symbols are padded (the scheme of
RFC 6865 section 5). README.md section 10 is the spec.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from proto import erasure
from proto.packet import Segment
from proto.protection import MAX_SOURCE, MAX_WINDOW_SECONDS, Choice, Policy
from proto.wire import MAX_COUNT, Reason, WireError, seq16_delta, to_ticks

SOURCE_HEADER_BYTES = 4
LENGTH_BYTES = 2  # before each source payload where it is coded
PARITY_HEADER_BYTES = 1
PIECE_COST = (
    SOURCE_HEADER_BYTES + LENGTH_BYTES + PARITY_HEADER_BYTES
)  # of a payload, so that parity fits as well
MAX_UNITS = 256  # in one window: `order` is one byte
_PARITY = 0x80
_LAST_OFFSET = 255  # ticks
_SLACK = 1e-6  # s; sums of durations are not exact


@dataclass(frozen=True, slots=True)
class Source:
    """Source symbol `index` of a window: one piece of one unit."""

    index: int  # from the segment header
    piece: int  # 0..pieces-1; its unit begins at symbol index - piece
    pieces: int  # 1..128, of its unit
    order: int  # 0..255, of its unit in the window
    offset: int  # ticks from the window's timestamp to the unit's
    data: bytes

    @property
    def first(self) -> int:
        """The symbol at which its unit begins."""
        return self.index - self.piece

    @property
    def end(self) -> int:
        """The symbol after the last one of its unit."""
        return self.first + self.pieces

    @classmethod
    def parse(cls, index: int, payload: bytes) -> Source:
        """Raises only WireError (short, malformed)."""
        if len(payload) < SOURCE_HEADER_BYTES:
            raise WireError(
                Reason.SHORT, f"source symbol: {len(payload)} bytes, {SOURCE_HEADER_BYTES} needed"
            )
        piece, pieces, order, offset = payload[:SOURCE_HEADER_BYTES]
        source = cls(index, piece, pieces + 1, order, offset, payload[SOURCE_HEADER_BYTES:])
        source.check()
        return source

    def __bytes__(self) -> bytes:
        """The payload. Raises WireError where `parse` would refuse it."""
        self.check()
        return bytes((self.piece, self.pieces - 1, self.order, self.offset)) + self.data

    def check(self) -> None:
        """Raises WireError (malformed) unless every field keeps its range and the unit lies inside the window."""
        if not 0 <= self.piece < self.pieces or not 0 <= self.first < self.end <= MAX_SOURCE:
            raise WireError(Reason.MALFORMED, f"piece {self.piece} of {self.pieces} at symbol {self.index}")
        # Every unit before it has at least one symbol.
        if not min(self.first, 1) <= self.order <= min(self.first, MAX_UNITS - 1):
            raise WireError(
                Reason.MALFORMED, f"unit {self.order} of the window begins at symbol {self.first}"
            )
        if not 0 <= self.offset <= _LAST_OFFSET:
            raise WireError(Reason.MALFORMED, f"offset: must be 0..{_LAST_OFFSET} ticks (got {self.offset})")


@dataclass(frozen=True, slots=True)
class Parity:
    """Parity symbol `index` of a window of `needed` source symbols."""

    index: int
    needed: int  # 1..128
    symbol: bytes

    @classmethod
    def parse(cls, index: int, payload: bytes) -> Parity:
        """Raises only WireError (short, malformed)."""
        if len(payload) < PIECE_COST:
            raise WireError(Reason.SHORT, f"parity symbol: {len(payload)} bytes, {PIECE_COST} needed")
        parity = cls(index, (payload[0] & ~_PARITY) + 1, payload[PARITY_HEADER_BYTES:])
        parity.check()
        return parity

    def __bytes__(self) -> bytes:
        """The payload. Raises WireError where `parse` would refuse it."""
        self.check()
        return bytes((_PARITY | (self.needed - 1),)) + self.symbol

    def check(self) -> None:
        """Raises WireError (malformed) unless it comes after the source symbols."""
        if not 1 <= self.needed <= min(MAX_SOURCE, self.index) or self.index >= MAX_COUNT:
            raise WireError(Reason.MALFORMED, f"parity symbol {self.index} of {self.needed} source symbols")


def parse(index: int, payload: bytes) -> Source | Parity:
    """What the payload of segment `index` holds. Raises only WireError (short, malformed)."""
    if payload and payload[0] & _PARITY:
        return Parity.parse(index, payload)
    return Source.parse(index, payload)


def is_parity(segment: Segment) -> bool:
    """Whether a segment of a protected stream carries parity."""
    return bool(segment.payload) and bool(segment.payload[0] & _PARITY)


def pack(payload: bytes, size: int) -> bytes:
    """A source payload as the symbol of `size` bytes that is coded: length, payload, zeros."""
    return (len(payload).to_bytes(LENGTH_BYTES) + payload).ljust(size, b"\0")


def unpack(symbol: bytes) -> bytes:
    """Inverse of `pack`. Raises WireError (malformed) for a length beyond the symbol."""
    length = int.from_bytes(symbol[:LENGTH_BYTES])
    if length > len(symbol) - LENGTH_BYTES:
        raise WireError(Reason.MALFORMED, f"rebuilt symbol: length {length} of {len(symbol)} bytes")
    return symbol[LENGTH_BYTES : LENGTH_BYTES + length]


class Protected(NamedTuple):
    """What is to be sent: source segments at once, parity spread over the time until the next window closes."""

    source: list[Segment]
    parity: list[Segment]


@dataclass(slots=True)
class _Window:
    """The open window."""

    number: int  # of its first unit
    timestamp: float
    opened: float
    payloads: list[bytes] = field(default_factory=list)
    units: int = 0


class Protector:
    """Numbers the units of one protected stream from 0 and codes them in windows. One thread at a time.

    The caller sends what `push` and `poll` return, and calls `poll` at `next_time`, so that the parity of a window is
    sent though no further unit comes. `policy` may be exchanged at any time.
    """

    def __init__(self, stream: int, payload_limit: int, policy: Policy) -> None:
        """`payload_limit`: as of SenderSession. Raises ValueError when it is too small."""
        if payload_limit <= PIECE_COST:
            raise ValueError(f"payload_limit: must be above {PIECE_COST} bytes (got {payload_limit})")
        self.policy = policy
        self.last: Choice | None = None  # of the window closed last
        self._stream = stream
        self._piece_limit = payload_limit - PIECE_COST
        self._next_unit = 0
        self._window: _Window | None = None

    @property
    def next_unit(self) -> int:
        """The number that the next unit gets."""
        return self._next_unit

    @property
    def max_unit_bytes(self) -> int:
        """The largest unit that `push` takes."""
        return self._piece_limit * MAX_SOURCE

    def push(self, data: bytes, timestamp: float, duration: float, now: float) -> Protected:
        """Take one unit that lasts from `timestamp` (s, Unix epoch) for `duration` seconds.

        The window closes with it when one more like it would not end in time. Raises ValueError when it is too large.
        """
        pieces = self._cut(data)
        parity: list[Segment] = []
        if self._window is not None and not self._fits(self._window, len(pieces), timestamp, duration):
            parity += self._close()
        window = self._window
        if window is None:
            window = self._window = _Window(self._next_unit, timestamp, now)
        source = self._add(window, pieces, timestamp)
        if not self._fits(window, len(pieces), timestamp + duration, duration) or now >= self._due(window):
            parity += self._close()
        return Protected(source, parity)

    def poll(self, now: float) -> list[Segment]:
        """The parity of the open window if its time is up, else nothing."""
        return self._close() if self._window is not None and now >= self._due(self._window) else []

    def flush(self) -> list[Segment]:
        """Closes the open window, if any, and returns its parity."""
        return self._close() if self._window is not None else []

    def next_time(self) -> float | None:
        """When `poll` will close the open window; None when there is none."""
        return None if self._window is None else self._due(self._window)

    def _due(self, window: _Window) -> float:
        return window.opened + self.policy.window_s

    def _cut(self, data: bytes) -> list[bytes]:
        """As few pieces as may be, of even length."""
        pieces = max(1, -(-len(data) // self._piece_limit))
        if pieces > MAX_SOURCE:
            raise ValueError(f"data: at most {self.max_unit_bytes} bytes (got {len(data)})")
        size = -(-len(data) // pieces)
        return [data[i * size : (i + 1) * size] for i in range(pieces)]

    def _fits(self, window: _Window, pieces: int, timestamp: float, duration: float) -> bool:
        """Whether one more unit would end before the window has to."""
        offset = seq16_delta(to_ticks(timestamp), to_ticks(window.timestamp))
        return (
            0.0 <= timestamp - window.timestamp < MAX_WINDOW_SECONDS
            and timestamp + duration - window.timestamp <= self.policy.window_s + _SLACK
            and 0 <= offset <= _LAST_OFFSET
            and len(window.payloads) + pieces <= MAX_SOURCE
            and window.units < MAX_UNITS
        )

    def _add(self, window: _Window, pieces: list[bytes], timestamp: float) -> list[Segment]:
        first, ticks = len(window.payloads), to_ticks(window.timestamp)
        offset = seq16_delta(to_ticks(timestamp), ticks)
        for piece, data in enumerate(pieces):
            source = Source(first + piece, piece, len(pieces), window.units, offset, data)
            window.payloads.append(bytes(source))
        window.units += 1
        self._next_unit += 1
        return self._segments(window, first, window.payloads[first:])

    def _close(self) -> list[Segment]:
        window, self._window = self._window, None
        assert window is not None
        payloads = window.payloads
        choice = self.last = self.policy.choose(len(payloads))
        size = LENGTH_BYTES + max(map(len, payloads))
        numbers = range(choice.needed, choice.count)
        symbols = erasure.encode([pack(payload, size) for payload in payloads], numbers) if numbers else []
        parity = [bytes(Parity(n, choice.needed, symbol)) for n, symbol in zip(numbers, symbols, strict=True)]
        return self._segments(window, choice.needed, parity)

    def _segments(self, window: _Window, first: int, payloads: list[bytes]) -> list[Segment]:
        """`count` is the number of symbols up to the end of this batch; the last batch tells n."""
        number, ticks, count = window.number & 0xFFFF, to_ticks(window.timestamp), first + len(payloads)
        return [
            Segment(self._stream, number, first + i, count, ticks, data) for i, data in enumerate(payloads)
        ]
