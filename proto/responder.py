"""The receiver's side of the handshake. README.md section 8.

It answers every good initiation with one datagram that is smaller, keeps at most 16 answers, and works out only so
many a second: whatever arrives, memory, time and what it sends stay bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from proto.handshake import (
    REQUEST,
    RESPONSE,
    Envelope,
    Identity,
    Kind,
    TwoWayKeys,
    begin,
    finish,
    pack,
    unpack,
)
from proto.keys import KeySchedule
from proto.noise import HandshakeState, NoiseError
from proto.wire import Reason, WireError

MAX_PENDING = 16  # answers that no packet has confirmed yet
OPEN_INITIATIONS = 2  # of one sender: the newest, and the one before that it may still have an answer to
PENDING_SECONDS = 10.0  # how long each is kept
REMEMBERED_ORIGINS = 64  # whose newest initiation is known, against replays of older ones
WORKED_PER_SECOND = 20.0  # new initiations; each costs some 150 us
ANSWERED_PER_SECOND = 200.0  # datagrams sent, repeated answers included


@dataclass(slots=True)
class Pending:
    """An answer that waits to be confirmed by the first packet under its keys."""

    keys: TwoWayKeys
    origin: bytes
    number: int  # which session of the origin, without handshake, the sender had reached
    response: bytes
    made: float


class _Allowance:
    """At most `rate` a second on average, and a second's worth at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = rate
        self._at = 0.0

    def take(self, now: float) -> bool:
        self._left = min(self._rate, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Responder:
    """Answers initiations. One thread at a time."""

    def __init__(self, keys: KeySchedule, *, identity: Identity | None = None, features: int = 0) -> None:
        self.pending: OrderedDict[bytes, Pending] = OrderedDict()
        """By session id, oldest first."""
        self._keys = keys
        self._identity = identity
        self._features = features
        self._answers: dict[bytes, Pending] = {}  # by the check of the initiation
        self._newest: OrderedDict[bytes, int] = OrderedDict()  # attempt number by origin
        self._work = _Allowance(WORKED_PER_SECOND)
        self._answer = _Allowance(ANSWERED_PER_SECOND)

    def receive(self, datagram: bytes, now: float) -> Pending:
        """What to answer to an initiation: its `response`, once, to where it came from.

        Raises only WireError (short, oversized, version, forged, malformed, replayed, busy).
        """
        envelope = unpack(self._keys, datagram)
        self.expire(now)
        known = self._answers.get(envelope.check)
        if known is None:
            if not self._work.take(now):
                raise WireError(Reason.BUSY, f"more than {WORKED_PER_SECOND:.0f} initiations a second")
            known = self._work_out(envelope, now)
        if not self._answer.take(now):
            raise WireError(Reason.BUSY, f"more than {ANSWERED_PER_SECOND:.0f} answers a second")
        return known

    def confirm(self, session: bytes) -> None:
        """The first packet under the keys of a pending session has come: it is nobody's to answer any more."""
        self._drop(session)

    def expire(self, now: float) -> list[bytes]:
        """Drop what has waited too long; returns the session ids."""
        old = [session for session, entry in self.pending.items() if now - entry.made >= PENDING_SECONDS]
        for session in old:
            self._drop(session)
        return old

    def _drop(self, session: bytes) -> None:
        self.pending.pop(session, None)
        self._answers = {
            check: entry for check, entry in self._answers.items() if entry.keys.session in self.pending
        }

    def _work_out(self, envelope: Envelope, now: float) -> Pending:
        expected = Kind.REQUEST if self._identity is None else Kind.PINNED_REQUEST
        if envelope.kind != expected:
            raise WireError(Reason.MALFORMED, f"handshake type {envelope.kind}, {expected} expected")
        state = begin(self._keys, self._identity, initiator=False)
        origin, number, attempt, features = self._read(state, envelope)
        if attempt <= self._newest.get(origin, -1):
            raise WireError(Reason.REPLAYED, f"initiation {attempt} of this sender was seen, or a later one")
        try:
            message = state.write_message(RESPONSE.pack(self._features))
        except NoiseError as error:
            raise WireError(Reason.FORGED, f"handshake: {error}") from None
        kind = Kind.RESPONSE if self._identity is None else Kind.PINNED_RESPONSE
        response = pack(self._keys, kind, envelope.index, message)
        entry = Pending(finish(state, features), origin, number, response, now)
        self._newest[origin] = attempt
        self._newest.move_to_end(origin)
        if len(self._newest) > REMEMBERED_ORIGINS:
            self._newest.popitem(last=False)
        mine = [session for session, other in self.pending.items() if other.origin == origin]
        for session in mine[: 1 - OPEN_INITIATIONS]:
            self._drop(session)
        if len(self.pending) >= MAX_PENDING:
            self._drop(next(iter(self.pending)))
        self.pending[entry.keys.session] = entry
        self._answers[envelope.check] = entry
        return entry

    def _read(self, state: HandshakeState, envelope: Envelope) -> tuple[bytes, int, int, int]:
        try:
            payload = state.read_message(envelope.message)
        except NoiseError as error:
            raise WireError(Reason.FORGED, f"handshake: {error}") from None
        if self._identity is not None and state.remote_static not in self._identity.peers:
            raise WireError(Reason.FORGED, "handshake: the sender's public key is not one that was pinned")
        if len(payload) < REQUEST.size:
            raise WireError(Reason.MALFORMED, f"request: {len(payload)} bytes, {REQUEST.size} needed")
        origin, number, attempt, features = REQUEST.unpack_from(payload)
        return origin, number, attempt, features
