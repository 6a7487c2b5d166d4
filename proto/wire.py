"""Sizes, limits, reasons and wrap-safe arithmetic that the whole wire format shares (README.md)."""

from __future__ import annotations

from enum import StrEnum

VERSION = 1  # two bits on the wire; a receiver drops every other value
HANDSHAKE_STREAM = 63  # its datagrams are not sealed: they are Noise messages
HANDSHAKE_BYTE = VERSION << 6 | HANDSHAKE_STREAM  # the first byte of those

IP_UDP_BYTES = 28  # IPv4 + UDP headers, counted into every wire rate
OUTER_HEADER_BYTES = 11  # version and stream, session, counter
INNER_HEADER_BYTES = 6  # unit, index, count, timestamp; encrypted
TAG_BYTES = 12  # NIST SP 800-38D allows 96-bit tags
SEAL_BYTES = OUTER_HEADER_BYTES + TAG_BYTES  # what sealing adds to a body
OVERHEAD_BYTES = SEAL_BYTES + INNER_HEADER_BYTES  # what is not payload in a datagram

MAX_DATAGRAM = 1200  # default for what a sender emits: fits every IPv6 path, tunnels included
DATAGRAM_LIMIT = 1472  # what a receiver accepts and the most a sender may be set to: Ethernet's 1500 - 28
MAX_STREAM = 63  # six bits
MAX_COUNT = 255  # segments of one unit

TICK_SECONDS = 0.004  # unit of the 16-bit timestamp, which wraps after 262.144 s
TIMESTAMP_SPAN = 65536 * TICK_SECONDS
TICKS_PER_SECOND = 250


class Mode(StrEnum):
    """How keys are agreed on (README.md section 7)."""

    ONE_WAY = "one-way"  # from the pre-shared key alone; nothing is ever received by the sender
    TWO_WAY = "two-way"  # media only under the keys of a handshake
    AUTO = "auto"  # the pre-shared key's at once, those of a handshake as soon as there are any


class Reason(StrEnum):
    """Why a datagram was refused; also the label of the receiver's drop counter."""

    SHORT = "short"  # fewer bytes than the headers and the tag
    OVERSIZED = "oversized"  # more bytes than DATAGRAM_LIMIT
    VERSION = "version"  # another version of this format
    FORGED = "forged"  # the tag does not verify: wrong key, damage, or forgery
    REPLAYED = "replayed"  # this counter was seen, or is older than the replay window
    STREAM = "stream"  # authentic, but of a stream that this version does not know
    MALFORMED = "malformed"  # authentic, but the inner header breaks the rules
    CONFLICT = "conflict"  # authentic, but contradicts an earlier segment of the same unit
    DUPLICATE = "duplicate"  # authentic, but this segment is already there
    LATE = "late"  # authentic, but its unit is closed
    SESSION_LIMIT = "session_limit"  # authentic, but too many senders are live
    POLICY = "policy"  # authentic, but under keys, or for a handshake, that this end's mode refuses
    BUSY = "busy"  # a handshake beyond what is worked on in a second


class WireError(ValueError):
    """The one error that parsing, opening and reassembling raise."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def max_payload(datagram_limit: int = MAX_DATAGRAM) -> int:
    """The payload bytes that one segment may carry in datagrams of at most `datagram_limit` bytes."""
    if not OVERHEAD_BYTES < datagram_limit <= DATAGRAM_LIMIT:
        raise ValueError(
            f"datagram_limit: must be {OVERHEAD_BYTES + 1}..{DATAGRAM_LIMIT} bytes (got {datagram_limit})"
        )
    return datagram_limit - OVERHEAD_BYTES


def seq16_delta(a: int, b: int) -> int:
    """a - b for numbers that wrap at 2**16: the difference of smallest size, -32768..32767."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000


def unwrap16(wire: int, reference: int) -> int:
    """The integer congruent to `wire` modulo 2**16 that is nearest to `reference`."""
    return reference + seq16_delta(wire, reference)


def unwrap16_forward(wire: int, reference: int) -> int:
    """The smallest integer congruent to `wire` modulo 2**16 that is at least `reference`."""
    return reference + ((wire - reference) & 0xFFFF)


def to_ticks(timestamp: float) -> int:
    """A time in seconds as the 16-bit timestamp of the wire (4 ms steps, wraps after 262.144 s)."""
    return round(timestamp * TICKS_PER_SECOND) & 0xFFFF


def latest_time(timestamp: float, clock: float, slack: float = 1.0) -> float:
    """The latest time that an unwrapped or wire `timestamp` (s) can mean, not after `clock` + `slack`.

    With `clock` on the sender's time scale (both hosts set to UTC, say) this restores what the wire leaves
    out. `slack` (s) is how far the sender's clock may be ahead; what is older than 262 s - slack comes out
    262 s too young.
    """
    age = (clock + slack - timestamp) % TIMESTAMP_SPAN
    return clock + slack - age
