"""What the two ends tell of a datagram that they were given."""

from __future__ import annotations

from dataclasses import dataclass

from proto.announce import Announcement
from proto.recover import RecoveredUnit
from proto.wire import Reason


@dataclass(frozen=True, slots=True)
class Dropped:
    """A datagram was refused and counted; nothing else changed."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Arrival:
    """Receiver: a segment was taken in."""

    session: bytes
    origin: bytes  # which run of which sender; stays the same when its keys change
    stream: int
    unit: int  # unwrapped, as `Reassembler.take` wants it
    active: bool  # whether its origin is the one to be shown
    took_over: bool  # whether the origin became the active one just now: reset decoder and playout


@dataclass(frozen=True, slots=True)
class Announced:
    """Receiver: an announcement was taken in."""

    session: bytes
    origin: bytes
    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Recovered:
    """Receiver: a segment of a protected stream was taken in."""

    session: bytes
    origin: bytes
    stream: int
    units: tuple[RecoveredUnit, ...]  # those that it made whole, perhaps none
    active: bool  # whether its origin is the one on show


@dataclass(frozen=True, slots=True)
class Delivered:
    """Receiver: a packet of a reliable stream was taken in. Poll after it: it may have to be acknowledged."""

    session: bytes
    origin: bytes
    stream: int
    messages: tuple[bytes, ...]  # those that can be delivered now, in order, perhaps none
    active: bool  # whether its origin is the one on show


@dataclass(frozen=True, slots=True)
class Message:
    """Either end: a packet of a stream that carries no segments, to be understood by whoever owns the stream."""

    session: bytes
    origin: bytes
    stream: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Receiver: an initiation of a handshake was good; send `datagram` back to where it came from, now."""

    datagram: bytes


@dataclass(frozen=True, slots=True)
class Established:
    """Sender: a handshake is done; from now on packets go out under its keys."""

    session: bytes
    peer: bytes | None  # the receiver's static public key, where keys are pinned
