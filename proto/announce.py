"""Announcements on the control stream: what a sender is and sends, again and again. README.md section 9.

Nothing has to wait for one: packets are decodable on their own. They tell what packets leave out, above all the
whole time and the name, and which sender a session belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from proto.keys import SESSION_BYTES
from proto.streams import DeliveryClass
from proto.wire import IP_UDP_BYTES, MAX_STREAM, SEAL_BYTES, Mode, Reason, WireError

KIND_ANNOUNCEMENT = 1
"""First byte of a control message that is an announcement; other kinds are somebody else's."""
KIND_ALIVE = 0
"""First byte of a control message that says nothing but that its end is there."""

MAX_NAME_BYTES = 32
MAX_PROFILE_BYTES = 32
KIND_LEGEND = 2
"""First byte of a control message that tells what the labels of maps mean (common.maps.told)."""
SHARE = 0.03  # of the rate that announcements may take, though never fewer than one a second
MOST_SHARE = 1 / 16  # of it, that one a second may take: at a few kbit/s there are fewer
FIRST_SHARE = 1 / 3  # the same, in the first seconds
FIRST_SECONDS = 3.0  # of a session, with one every SHORTEST_SECONDS
SHORTEST_SECONDS = 0.2
LONGEST_SECONDS = 1.0

_ORIGIN, _TIME, _MODE, _STREAM, _NAME = 1, 2, 3, 4, 5
_HEAD = Struct(">BB")
_ORIGIN_VALUE = Struct(f">{SESSION_BYTES}sI")
_TIME_VALUE = Struct(">Q")
_STREAM_VALUE = Struct(">BBBB")
_CLASSES = {DeliveryClass.TOLERANT: 1, DeliveryClass.PROTECTED: 2, DeliveryClass.RELIABLE: 3}
_MODES = {Mode.ONE_WAY: 1, Mode.TWO_WAY: 2, Mode.AUTO: 3}


@dataclass(frozen=True, slots=True)
class StreamInUse:
    """A stream that a sender sends now."""

    id: int
    delivery: DeliveryClass
    profile: str = ""  # the codec's name for what is in it, at most 32 bytes of UTF-8
    data_packets: int = 0  # of an erasure code's blocks; 0 without code
    block_packets: int = 0


@dataclass(frozen=True, slots=True)
class Announcement:
    """What one announcement says. Fields that were left out keep their defaults."""

    origin: bytes  # the first session of this run of the sender
    number: int = 0  # which session of the origin it was sent in, counted from 0
    time: float | None = None  # seconds since the Unix epoch, to the microsecond, by the sender's clock
    mode: Mode | None = None
    streams: tuple[StreamInUse, ...] = ()
    name: str = ""  # at most 32 bytes of UTF-8

    def __bytes__(self) -> bytes:
        """The message. Raises ValueError for a field out of its range."""
        parts = [bytes((KIND_ANNOUNCEMENT,)), _tlv(_ORIGIN, _ORIGIN_VALUE.pack(self.origin, self.number))]
        if self.time is not None:
            parts.append(_tlv(_TIME, _TIME_VALUE.pack(max(0, round(self.time * 1_000_000)))))
        if self.mode is not None:
            parts.append(_tlv(_MODE, bytes((_MODES[self.mode],))))
        for stream in self.streams:
            if not (0 <= stream.id <= MAX_STREAM and 0 <= stream.data_packets <= stream.block_packets <= 255):
                raise ValueError(f"streams: {stream} is out of range")
            fixed = _STREAM_VALUE.pack(
                stream.id, _CLASSES[stream.delivery], stream.data_packets, stream.block_packets
            )
            parts.append(_tlv(_STREAM, fixed + _text("profile", stream.profile, MAX_PROFILE_BYTES)))
        if self.name:
            parts.append(_tlv(_NAME, _text("name", self.name, MAX_NAME_BYTES)))
        return b"".join(parts)

    @classmethod
    def parse(cls, message: bytes) -> Announcement:
        """An announcement, its first byte included. Raises only WireError (malformed).

        Fields of unknown type, and what follows the known part of a field, are passed over; streams of an unknown
        class and an unknown mode are left out.
        """
        if not message or message[0] != KIND_ANNOUNCEMENT:
            raise WireError(Reason.MALFORMED, "not an announcement")
        found: dict[int, bytes] = {}
        streams: list[StreamInUse] = []
        for kind, value in _fields(message):
            if kind == _STREAM:
                streams += _stream(value)
            else:
                found[kind] = value
        if len(found.get(_ORIGIN, b"")) < _ORIGIN_VALUE.size:
            raise WireError(Reason.MALFORMED, "announcement without an origin")
        origin, number = _ORIGIN_VALUE.unpack_from(found[_ORIGIN])
        time, mode = found.get(_TIME, b""), found.get(_MODE, b"")
        return cls(
            origin,
            number,
            _TIME_VALUE.unpack_from(time)[0] / 1_000_000 if len(time) >= _TIME_VALUE.size else None,
            next((name for name, value in _MODES.items() if mode[:1] == bytes((value,))), None),
            tuple(streams),
            _cut(found.get(_NAME, b""), MAX_NAME_BYTES),
        )


class Announcer:
    """When to announce. One thread at a time."""

    def __init__(self) -> None:
        self._began = math.inf
        self._last = -math.inf
        self._pause = 0.0

    def restart(self, now: float) -> None:
        """A session begins: announce at once, and more often for a while."""
        self._began, self._last, self._pause = now, -math.inf, 0.0

    def next_time(self) -> float:
        """When the next one is due; infinity before the start."""
        return self._last + self._pause if self._began < math.inf else math.inf

    def sent(self, message_bytes: int, rate: float, now: float) -> None:
        """An announcement was sent; `rate`: wire bytes per second that the sender may spend."""
        self._last = now
        seconds = (message_bytes + SEAL_BYTES + IP_UDP_BYTES) / rate
        longest = max(LONGEST_SECONDS, seconds / MOST_SHARE)
        self._pause = min(longest, max(SHORTEST_SECONDS, seconds / SHARE))
        if now - self._began < FIRST_SECONDS:
            self._pause = max(SHORTEST_SECONDS, seconds / FIRST_SHARE)


def _tlv(kind: int, value: bytes) -> bytes:
    return _HEAD.pack(kind, len(value)) + value


def _text(field: str, text: str, limit: int) -> bytes:
    data = text.encode()
    if len(data) > limit:
        raise ValueError(f"{field}: at most {limit} bytes of UTF-8 (got {len(data)})")
    return data


def _cut(data: bytes, limit: int) -> str:
    return "".join(char for char in data[:limit].decode(errors="ignore") if char.isprintable())


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 1
    while at < len(message):
        if at + _HEAD.size > len(message):
            raise WireError(Reason.MALFORMED, "announcement ends inside a field")
        kind, size = _HEAD.unpack_from(message, at)
        at += _HEAD.size
        if at + size > len(message):
            raise WireError(Reason.MALFORMED, f"field {kind} is cut off")
        yield kind, message[at : at + size]
        at += size


def _stream(value: bytes) -> list[StreamInUse]:
    if len(value) < _STREAM_VALUE.size:
        return []
    stream, delivery, data, block = _STREAM_VALUE.unpack_from(value)
    for known, number in _CLASSES.items():
        if number == delivery and stream <= MAX_STREAM and data <= block:
            return [
                StreamInUse(stream, known, _cut(value[_STREAM_VALUE.size :], MAX_PROFILE_BYTES), data, block)
            ]
    return []
