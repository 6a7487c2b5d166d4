"""Reliable streams with a way back: small messages, repeated until acknowledged, delivered once and in order.

Selective repeat. Each transmission carries a time stamp that the acknowledgement returns, so the round-trip time is
known though most of both are lost (RFC 7323 section 4; Karn's rule would leave no samples). Pure: `now` (s, monotonic)
is passed in. README.md section 11 is the spec.
"""

from __future__ import annotations

from dataclasses import dataclass

from proto.budget import Budget
from proto.reliable_packet import MAX_HELD, SPAN, Acknowledgement, Messages, check_length, longest_message
from proto.rtt import RttEstimator
from proto.wire import Reason, WireError, unwrap16

BUNDLE_BYTES = 200  # of payload; small messages share a packet up to here: more would hold up what comes next
_HEADERS = Messages.HEADER.size + Messages.ENTRY.size
_MAX_RTT = 30.0  # s; longer readings are of stamps that have wrapped


class SenderFull(RuntimeError):
    """`ReliableSender.send` refuses: too many messages wait for their acknowledgement. Nothing was taken."""


@dataclass(slots=True)
class _Waiting:
    """A message that is not acknowledged yet."""

    content: bytes
    since: float
    sent: float | None = None  # last time

    def due(self, rto: float) -> float:
        """When it is to be sent, again or for the first time."""
        return self.since if self.sent is None else self.sent + rto


class ReliableSender:
    """One reliable stream's sending end. Bounded: 64 messages. One thread at a time.

    The caller sends what `poll` returns, calls it after `send` and at `next_time`, and hands every acknowledgement to
    `acknowledge`.
    """

    def __init__(self, rate: float, payload_limit: int, limit: int = SPAN) -> None:
        """`rate`: wire bytes a second that this stream may take. `payload_limit`: as of SenderSession.

        `limit`: messages not acknowledged, 1..64. Raises ValueError.
        """
        if not 1 <= limit <= SPAN:
            raise ValueError(f"limit: must be 1..{SPAN} (got {limit})")
        self.budget = Budget(rate)
        self.rtt = RttEstimator()
        self.max_message_bytes = longest_message(payload_limit, _HEADERS)
        self.packets = 0
        self.transmissions = 0  # of messages, of which a packet may carry several
        self.repeats = 0  # of these, not the first of their message
        self.acknowledged = 0  # messages
        self._limit = limit
        self._bundle_bytes = min(payload_limit, BUNDLE_BYTES) - Messages.HEADER.size
        self._base = 0  # the oldest id that is not acknowledged
        self._next = 0
        self._waiting: dict[int, _Waiting] = {}

    def __len__(self) -> int:
        """Messages that are not acknowledged."""
        return len(self._waiting)

    def send(self, message: bytes, now: float) -> int:
        """Take a message of at most `max_message_bytes`; returns its id (counted from 0, never wrapped).

        Raises SenderFull while `limit` ids from the oldest unacknowledged one on are in use, ValueError for one too
        long.
        """
        check_length(message, self.max_message_bytes)
        if self._next - self._base >= self._limit:
            raise SenderFull(f"message {self._base} is not acknowledged, {self._limit} at a time")
        number = self._next
        self._next += 1
        self._waiting[number] = _Waiting(bytes(message), now)
        return number

    def poll(self, now: float) -> list[bytes]:
        """The payloads to be sent now: what is due, as far as the rate allows."""
        out = []
        for numbers in self._packed(now):
            contents = tuple(
                (number - self._base, self._waiting[number].content) for number in sorted(numbers)
            )
            payload = bytes(Messages(self._base & 0xFFFF, _stamp(now), contents))
            if not self.budget.spend(len(payload), now):
                break
            out.append(payload)
            self.packets += 1
            self.transmissions += len(numbers)
            for entry in (self._waiting[number] for number in numbers):
                self.repeats += entry.sent is not None
                entry.sent = now
        return out

    def _packed(self, now: float) -> list[list[int]]:
        """The ids that are due, a list for each packet: those never sent first, then the longest due."""
        rto, packets, room = self.rtt.rto, list[list[int]](), 0
        waiting = ((entry.sent is not None, entry.due(rto), n) for n, entry in self._waiting.items())
        for _, _, number in sorted(item for item in waiting if item[1] <= now):
            size = Messages.ENTRY.size + len(self._waiting[number].content)
            if size > room:
                packets.append([])
                room = max(self._bundle_bytes, size)
            packets[-1].append(number)
            room -= size
        return packets

    def next_time(self, now: float) -> float | None:
        """When `poll` may next return something; None while nothing waits or the rate is 0."""
        ready = self.budget.ready(now)
        if ready is None or not self._waiting:
            return None
        return max(ready, min(entry.due(self.rtt.rto) for entry in self._waiting.values()))

    def acknowledge(self, payload: bytes, now: float) -> list[int]:
        """Take an acknowledgement; the ids that it is the first to confirm, in rising order.

        Raises WireError: short, malformed, oversized, late (older than what is known), conflict (of ids never sent).
        """
        given = Acknowledgement.parse(payload)
        expected = unwrap16(given.expected, self._base)
        if expected < self._base:
            raise WireError(Reason.LATE, f"acknowledged up to {expected}, known up to {self._base}")
        if max(expected, expected + 1 + given.bits.bit_length() if given.bits else 0) > self._next:
            raise WireError(Reason.CONFLICT, f"acknowledges ids of {self._next} or more, which were not sent")
        done = [
            n
            for n in self._waiting
            if n < expected or (n > expected and given.bits >> (n - expected - 1) & 1)
        ]
        for number in done:
            del self._waiting[number]
        self._base = min(self._waiting, default=self._next)
        self.acknowledged += len(done)
        self._sample(given, now)
        return done

    def _sample(self, given: Acknowledgement, now: float) -> None:
        rtt = (((_stamp(now) - given.stamp) & 0xFFFF) - given.held) / 1000.0
        if given.held < MAX_HELD and 0.0 <= rtt <= _MAX_RTT:
            self.rtt.sample(rtt)


class ReliableReceiver:
    """One reliable stream's receiving end, of one sender (origin). Bounded: 63 messages. One thread at a time.

    After every `receive` the caller sends an `acknowledgement`; any of them may be lost.
    """

    def __init__(self) -> None:
        self.received = 0  # messages taken in, duplicates included
        self.delivered = 0  # messages
        self.duplicates = 0
        self.skipped = (
            0  # messages that an earlier receiver had acknowledged, so that they will not come again
        )
        self._expected: int | None = None  # the next id to deliver; None before the first message
        self._early: dict[int, bytes] = {}
        self._stamp = 0
        self._arrived = 0.0

    def receive(self, payload: bytes, now: float) -> list[bytes]:
        """Take a payload; the messages that can be delivered now, in the order in which they were sent.

        Raises WireError: short, malformed, oversized.
        """
        given = Messages.parse(payload)
        base = given.base if self._expected is None else unwrap16(given.base, self._expected)
        self.received += len(given.contents)
        self._stamp, self._arrived = given.stamp, now
        out = self._advance(base)
        for ahead, content in given.contents:
            number = base + ahead
            if number < self._next or number in self._early:
                self.duplicates += 1
            else:
                self._early[number] = content
        out += self._ready()
        self.delivered += len(out)
        return out

    def acknowledgement(self, now: float) -> bytes | None:
        """All that is there, as one payload of 15 bytes; None before the first message."""
        if self._expected is None:
            return None
        bits = sum(1 << (number - self._expected - 1) for number in self._early)
        held = min(max(round((now - self._arrived) * 1000.0), 0), MAX_HELD)
        return bytes(Acknowledgement(self._expected & 0xFFFF, bits, self._stamp, held))

    @property
    def _next(self) -> int:
        assert self._expected is not None
        return self._expected

    def _advance(self, base: int) -> list[bytes]:
        """The sender repeats nothing before `base`.

        That is past what is expected here only at the start, or when acknowledgements of a receiver before this one
        (it was restarted) are still under way.
        """
        if self._expected is None:
            self._expected = base
        if base <= self._expected:
            return []
        early = sorted(number for number in self._early if number < base)
        self.skipped += base - self._expected - len(early)
        out = [self._early.pop(number) for number in early]
        self._expected = base
        return out + self._ready()

    def _ready(self) -> list[bytes]:
        out = []
        while self._next in self._early:
            out.append(self._early.pop(self._next))
            self._expected = self._next + 1
        return out


def _stamp(now: float) -> int:
    return round(now * 1000.0) & 0xFFFF
