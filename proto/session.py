"""The two ends of a session: units in, datagrams out; datagrams in, units out. README.md section 7."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from proto.crypto import Opener, Sealer
from proto.packet import Segment
from proto.packetizer import segments
from proto.reassembler import MAX_UNITS, Reassembler, Tally
from proto.streams import lookup
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, Reason, WireError, max_payload

MAX_SESSIONS = 4  # with state at a time: the live one, its successor, and two that are fading
TAKEOVER_SECONDS = 1.0  # the active session keeps its place until it has been silent so long
FORGET_SECONDS = 10.0  # an inactive session that is silent so long is dropped


class SenderSession:
    """Turns access units into datagrams. One thread at a time."""

    def __init__(self, psk: bytes, datagram_limit: int = MAX_DATAGRAM) -> None:
        """`datagram_limit`: UDP payload bytes, at most. Raises ValueError for a bad key length or limit."""
        self._psk = psk
        self._payload_limit = max_payload(datagram_limit)
        self._sealer = Sealer(psk)

    @property
    def session(self) -> bytes:
        """The session id now in use; drawn at construction, and anew when its packet counter is used up."""
        return self._sealer.session

    @property
    def payload_limit(self) -> int:
        """The most bytes that one payload may have."""
        return self._payload_limit

    def packets(self, stream: int, unit: int, timestamp: float, payloads: Sequence[bytes]) -> list[bytes]:
        """One datagram for each payload of unit number `unit` (counted up by the caller, never wrapped).

        `timestamp`: when the unit's first frame was captured, seconds since the Unix epoch. Raises
        ValueError for an unknown stream, no or more than 255 payloads, or one above `payload_limit`.
        """
        cut = segments(lookup(stream).id, unit, timestamp, payloads, self._payload_limit)
        if self._sealer.remaining < len(cut):  # a unit never straddles two sessions
            self._sealer = Sealer(self._psk)
        return [self._sealer.seal(stream, bytes(segment)) for segment in cut]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A segment was taken in."""

    session: bytes
    stream: int
    unit: int  # unwrapped, as `Reassembler.take` wants it
    active: bool  # whether its session is the one to be shown
    took_over: bool  # whether the session became the active one just now: reset decoder and playout


@dataclass(frozen=True, slots=True)
class Dropped:
    """A datagram was refused and counted; nothing else changed."""

    reason: Reason


@dataclass(slots=True)
class ReceiverSession:
    """What the receiver keeps of one run of one sender."""

    id: bytes
    started: float  # receiver's monotonic time (s) of its first usable segment
    last_seen: float
    streams: dict[int, Reassembler] = field(default_factory=dict)


class ReceiverEndpoint:
    """Everything behind the receiving socket. Bounded whatever arrives. One thread at a time.

    For every datagram call `receive`, then look at `active`: the session on show, and its reassemblers.
    """

    def __init__(self, psk: bytes, max_units: int = MAX_UNITS, max_sessions: int = MAX_SESSIONS) -> None:
        if max_sessions < 2:
            raise ValueError(f"max_sessions: must be >= 2, or no sender could restart (got {max_sessions})")
        self.active: ReceiverSession | None = None
        self.dropped: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.packets = 0  # datagrams that authenticated
        self.wire_bytes = 0  # of these, 28 bytes of IP and UDP included
        self.takeovers = 0
        self.tallies: defaultdict[int, Tally] = defaultdict(Tally)  # by stream, over all sessions
        self._opener = Opener(psk)
        self._max_units = max_units
        self._max_sessions = max_sessions
        self._sessions: dict[bytes, ReceiverSession] = {}

    @property
    def sessions(self) -> int:
        """How many sessions have state."""
        return len(self._sessions)

    def reassembler(self, stream: int) -> Reassembler | None:
        """The active session's reassembler of a stream; None before anything of it arrived."""
        return None if self.active is None else self.active.streams.get(stream)

    def receive(self, datagram: bytes, now: float) -> Arrival | Dropped:
        """Take in one datagram that arrived at `now`. Never raises, whatever the bytes are."""
        try:
            return self._receive(datagram, now)
        except WireError as error:
            self.dropped[error.reason] += 1
            return Dropped(error.reason)

    def _receive(self, datagram: bytes, now: float) -> Arrival:
        opened = self._opener.open(datagram)
        self.packets += 1
        self.wire_bytes += len(datagram) + IP_UDP_BYTES
        stream = lookup(opened.stream).id
        segment = Segment.parse(stream, opened.body)
        session = self._session(opened.session, now)
        reassembler = session.streams.get(stream)
        if reassembler is None:
            reassembler = session.streams[stream] = Reassembler(self._max_units, self.tallies[stream])
        unit = reassembler.push(segment, now)
        took_over = self._settle(session, now)
        session.last_seen = now
        return Arrival(session.id, stream, unit, session is self.active, took_over)

    def _session(self, session_id: bytes, now: float) -> ReceiverSession:
        """The session's state, made if need be. Raises WireError (session_limit)."""
        if len(self._sessions) > 1:
            for old in list(self._sessions.values()):
                if old is not self.active and now - old.last_seen >= FORGET_SECONDS:
                    del self._sessions[old.id]
        session = self._sessions.get(session_id)
        if session is not None:
            return session
        if len(self._sessions) >= self._max_sessions:
            raise WireError(Reason.SESSION_LIMIT, f"{len(self._sessions)} sessions are live")
        session = self._sessions[session_id] = ReceiverSession(session_id, started=now, last_seen=now)
        return session

    def _settle(self, session: ReceiverSession, now: float) -> bool:
        """Make `session` the active one if there is none, or the active one has fallen silent."""
        active = self.active
        if active is session or (active is not None and now - active.last_seen < TAKEOVER_SECONDS):
            return False
        self.active = session
        self.takeovers += 1
        return True
