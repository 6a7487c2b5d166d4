"""Payloads of reliable streams: messages, acknowledgement, announcement (README.md, section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from proto.wire import Reason, WireError

MESSAGES, ACKNOWLEDGEMENT, ANNOUNCEMENT = 0, 1, 2  # byte 0 of a payload
MAX_MESSAGE_BYTES = 1024
SPAN = (
    64  # ids from the oldest message that is not acknowledged; also the bits of an acknowledgement, plus one
)
MAX_HELD = 0xFFFF  # ms: so long or longer
_BITS = SPAN - 1


@dataclass(frozen=True, slots=True)
class Messages:
    """One or more messages of a stream, whole: small ones share the headers of a packet."""

    base: int  # the oldest id that is not acknowledged, modulo 2**16; the first id of all is 0
    stamp: int  # when this was sent, sender's ms modulo 2**16
    contents: tuple[tuple[int, bytes], ...]  # (id - base, message), ids rising

    HEADER: ClassVar[Struct] = Struct(">BHH")
    ENTRY: ClassVar[Struct] = Struct(">BH")  # before each message: id - base, length

    @classmethod
    def parse(cls, payload: bytes) -> Messages:
        """Raises only WireError (short, malformed, oversized)."""
        _expect(payload, MESSAGES, cls.HEADER.size)
        _, base, stamp = cls.HEADER.unpack_from(payload)
        contents, at = [], cls.HEADER.size
        while at < len(payload):
            if at + cls.ENTRY.size > len(payload):
                raise WireError(Reason.SHORT, "messages: the last one has no header")
            ahead, length = cls.ENTRY.unpack_from(payload, at)
            at += cls.ENTRY.size
            if at + length > len(payload):
                raise WireError(Reason.SHORT, f"message: {len(payload) - at} bytes, {length} needed")
            contents.append((ahead, payload[at : at + length]))
            at += length
        messages = cls(base, stamp, tuple(contents))
        messages.check()
        return messages

    def __bytes__(self) -> bytes:
        """Raises WireError where `parse` would refuse the result."""
        self.check()
        entries = (self.ENTRY.pack(ahead, len(content)) + content for ahead, content in self.contents)
        return self.HEADER.pack(MESSAGES, self.base, self.stamp) + b"".join(entries)

    def check(self) -> None:
        """Raises WireError (malformed, oversized) unless every field keeps its range."""
        _check_words(self.base, self.stamp)
        ids = [ahead for ahead, _ in self.contents]
        if not ids or ids != sorted(set(ids)) or not 0 <= ids[0] <= ids[-1] < SPAN:
            raise WireError(Reason.MALFORMED, f"ids: must rise within {SPAN} (got {ids})")
        for _, content in self.contents:
            _check_content(content)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """All that a receiver has of one reliable stream; the newest stands for all before it."""

    expected: int  # modulo 2**16: every id before it is there
    bits: int  # bit i: id expected + 1 + i is there; 63 bits
    stamp: int  # of the message that arrived last
    held: int  # ms since then; 65535 for so long or longer

    LAYOUT: ClassVar[Struct] = Struct(">BHQHH")

    @classmethod
    def parse(cls, payload: bytes) -> Acknowledgement:
        """Raises only WireError (short, malformed, oversized)."""
        _expect(payload, ACKNOWLEDGEMENT, cls.LAYOUT.size)
        if len(payload) > cls.LAYOUT.size:
            raise WireError(Reason.OVERSIZED, f"acknowledgement: {len(payload)} bytes, not {cls.LAYOUT.size}")
        _, expected, bits, stamp, held = cls.LAYOUT.unpack(payload)
        acknowledgement = cls(expected, bits, stamp, held)
        acknowledgement.check()
        return acknowledgement

    def __bytes__(self) -> bytes:
        """Raises WireError where `parse` would refuse the result."""
        self.check()
        return self.LAYOUT.pack(ACKNOWLEDGEMENT, self.expected, self.bits, self.stamp, self.held)

    def check(self) -> None:
        """Raises WireError (malformed) unless every field keeps its range."""
        _check_words(self.expected, self.stamp, self.held)
        if not 0 <= self.bits < 1 << _BITS:
            raise WireError(Reason.MALFORMED, "acknowledgement: bit 63 is set")


@dataclass(frozen=True, slots=True)
class Announcement:
    """One version of what a key stands for."""

    key: int  # 0..255
    version: int  # modulo 2**16
    content: bytes

    HEADER: ClassVar[Struct] = Struct(">BBH")

    @classmethod
    def parse(cls, payload: bytes) -> Announcement:
        """Raises only WireError (short, malformed, oversized)."""
        _expect(payload, ANNOUNCEMENT, cls.HEADER.size)
        _, key, version = cls.HEADER.unpack_from(payload)
        announcement = cls(key, version, payload[cls.HEADER.size :])
        announcement.check()
        return announcement

    def __bytes__(self) -> bytes:
        """Raises WireError where `parse` would refuse the result."""
        self.check()
        return self.HEADER.pack(ANNOUNCEMENT, self.key, self.version) + self.content

    def check(self) -> None:
        """Raises WireError (malformed, oversized) unless every field keeps its range."""
        _check_words(self.version)
        if not 0 <= self.key <= 0xFF:
            raise WireError(Reason.MALFORMED, f"key: must be 0..255 (got {self.key})")
        _check_content(self.content)


def kind(payload: bytes) -> int:
    """MESSAGES, ACKNOWLEDGEMENT or ANNOUNCEMENT. Raises only WireError (short, malformed)."""
    if not payload:
        raise WireError(Reason.SHORT, "reliable payload: empty")
    if payload[0] > ANNOUNCEMENT:
        raise WireError(Reason.MALFORMED, f"reliable payload: kind {payload[0]} is not known")
    return payload[0]


def longest_message(payload_limit: int, header_bytes: int) -> int:
    """The most bytes of a message that has to fit into one payload. Raises ValueError for none."""
    if payload_limit <= header_bytes:
        raise ValueError(f"payload_limit: must be above {header_bytes} bytes (got {payload_limit})")
    return min(payload_limit - header_bytes, MAX_MESSAGE_BYTES)


def check_length(content: bytes, limit: int) -> None:
    """Raises ValueError for a message that is too large to be sent."""
    if len(content) > limit:
        raise ValueError(f"message: at most {limit} bytes (got {len(content)})")


def _expect(payload: bytes, wanted: int, header: int) -> None:
    if kind(payload) != wanted:
        raise WireError(Reason.MALFORMED, f"reliable payload: kind {payload[0]}, expected {wanted}")
    if len(payload) < header:
        raise WireError(Reason.SHORT, f"reliable payload: {len(payload)} bytes, {header} needed")


def _check_words(*words: int) -> None:
    if not all(0 <= word <= 0xFFFF for word in words):
        raise WireError(Reason.MALFORMED, f"fields: must be 16 bits (got {words})")


def _check_content(content: bytes) -> None:
    if len(content) > MAX_MESSAGE_BYTES:
        raise WireError(Reason.OVERSIZED, f"message: {len(content)} bytes, at most {MAX_MESSAGE_BYTES}")
