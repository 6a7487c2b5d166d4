"""Handshake datagrams, and the sender's side of the handshake. README.md section 8.

A handshake is two datagrams that are not sealed, each a Noise message behind a header of 6 bytes and before a keyed
check of 16. The check costs about a microsecond to refuse; only what passes it is looked at further.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import os
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from proto.keys import SESSION_BYTES, KeySchedule
from proto.noise import KEY_BYTES, TAG_BYTES, HandshakeState, NoiseError, Protocol
from proto.wire import DATAGRAM_LIMIT, HANDSHAKE_BYTE, IP_UDP_BYTES, Reason, WireError

PROLOGUE = b"semcast v1 handshake"
HEADER = Struct(">BBI")  # first byte, type, index
CHECK_BYTES = 16
REQUEST = Struct(">6sIIH")  # origin, session number, attempt, features; more may follow
RESPONSE = Struct(">H")  # features; more may follow
MIN_DATAGRAM = HEADER.size + KEY_BYTES + TAG_BYTES + CHECK_BYTES

FRESH_SECONDS = 2.0  # an initiation is repeated so long, then a new one is made; the one before stays good
FAST_SECONDS = (
    3.0  # of every try at the whole budget; the pause between initiations doubles after each as long
)
SHORTEST_SECONDS = 0.01  # between two attempts, whatever the rate
SLOW_SECONDS = 1.0  # the longest pause, unless the budget asks for more
CATCH_UP_SECONDS = 0.1  # what a late poll may send at once


class Kind(IntEnum):
    """The second byte of a handshake datagram."""

    REQUEST = 1  # NNpsk0, first message
    RESPONSE = 2
    PINNED_REQUEST = 3  # IKpsk2, first message
    PINNED_RESPONSE = 4


@dataclass(frozen=True, slots=True)
class Identity:
    """Static X25519 keys, 32 raw bytes each: with them the handshake is IKpsk2, without them NNpsk0."""

    private: bytes
    peers: tuple[bytes, ...]  # public keys that are accepted; a sender names the one receiver it talks to

    def __post_init__(self) -> None:
        if any(len(key) != KEY_BYTES for key in (self.private, *self.peers)) or not self.peers:
            raise ValueError(f"identity: a private key and at least one peer's, {KEY_BYTES} bytes each")


@dataclass(frozen=True, slots=True)
class TwoWayKeys:
    """What a handshake gives both ends."""

    session: bytes  # 6 bytes; the id of both directions
    forward: bytes  # AES key, sender to receiver
    back: bytes  # AES key, receiver to sender
    features: int  # the other end's
    peer: bytes | None  # its static public key, where keys are pinned


@dataclass(frozen=True, slots=True)
class Envelope:
    """A handshake datagram whose check has passed."""

    kind: int
    index: int
    message: bytes
    check: bytes


def pack(keys: KeySchedule, kind: Kind, index: int, message: bytes) -> bytes:
    """A handshake datagram around a Noise message."""
    data = HEADER.pack(HANDSHAKE_BYTE, kind, index) + message
    return data + _check(keys, data)


def unpack(keys: KeySchedule, datagram: bytes) -> Envelope:
    """The parts of a handshake datagram. Raises only WireError (short, oversized, version, forged)."""
    size = len(datagram)
    if size > DATAGRAM_LIMIT:
        raise WireError(Reason.OVERSIZED, f"datagram: {size} bytes, at most {DATAGRAM_LIMIT}")
    if size < MIN_DATAGRAM:
        raise WireError(Reason.SHORT, f"handshake: {size} bytes, at least {MIN_DATAGRAM}")
    first, kind, index = HEADER.unpack_from(datagram)
    if first != HANDSHAKE_BYTE:
        raise WireError(Reason.VERSION, f"first byte {first:#x}, not a handshake of this version")
    data, check = datagram[:-CHECK_BYTES], datagram[-CHECK_BYTES:]
    if not hmac.compare_digest(_check(keys, data), check):
        raise WireError(Reason.FORGED, "the check does not verify")
    return Envelope(kind, index, data[HEADER.size :], check)


def finish(state: HandshakeState, features: int) -> TwoWayKeys:
    """The keys of a finished handshake."""
    forward, back = state.split()
    session = hashlib.sha256(b"semcast v1 two-way" + state.hash).digest()[:SESSION_BYTES]
    return TwoWayKeys(session, forward, back, features, state.remote_static)


def begin(
    keys: KeySchedule, identity: Identity | None, initiator: bool, ephemeral: bytes | None = None
) -> HandshakeState:
    """One side of a new handshake. `ephemeral`: for test vectors only."""
    if identity is None:
        return HandshakeState(
            Protocol("NNpsk0"), initiator, keys.noise_psk, prologue=PROLOGUE, ephemeral=ephemeral
        )
    return HandshakeState(
        Protocol("IKpsk2"),
        initiator,
        keys.noise_psk,
        prologue=PROLOGUE,
        static=identity.private,
        remote_static=identity.peers[0] if initiator else None,
        ephemeral=ephemeral,
    )


@dataclass(slots=True)
class _Attempt:
    """An initiation that may still be answered."""

    state: HandshakeState
    index: int
    datagram: bytes
    made: float


class Initiator:
    """The sender's side: repeats an initiation at a bounded rate until it is answered. Never gives up.

    After `start`, call `poll` at `next_time` and send what it returns; pass answers to `receive`. One thread at a
    time.
    """

    def __init__(
        self,
        keys: KeySchedule,
        origin: bytes,
        rate: float,
        *,
        slow_rate: float = math.inf,
        identity: Identity | None = None,
        features: int = 0,
    ) -> None:
        """`rate`: wire bytes per second to spend at first, `slow_rate`: when nobody answers for long."""
        self.rate = rate
        self.slow_rate = slow_rate
        self.sent = 0
        """Initiations sent so far."""
        self.number = 0
        """Which session of the origin, without handshake, the sender has reached."""
        self._keys = keys
        self._origin = origin
        self._identity = identity
        self._features = features
        self._attempt = 0
        self._attempts: list[_Attempt] = []
        self._began = math.inf
        self._next = math.inf

    @property
    def active(self) -> bool:
        """Whether it is trying."""
        return self._next < math.inf

    def start(self, now: float) -> None:
        """Begin to try, with fresh keys, unless it is trying already."""
        if not self.active:
            self._attempts.clear()
            self._began = self._next = now

    def stop(self) -> None:
        """Try no more."""
        self._next = math.inf
        self._attempts.clear()

    def next_time(self) -> float:
        """When `poll` has something to send; infinity while it is not trying."""
        return self._next

    def poll(self, now: float) -> list[bytes]:
        """The initiations that are due."""
        due: list[bytes] = []
        while self._next <= now:
            attempt = self._current(now)
            due.append(attempt.datagram)
            self.sent += 1
            pause = self._pause(len(attempt.datagram) + IP_UDP_BYTES, now - self._began)
            self._next = max(self._next, now - CATCH_UP_SECONDS) + pause
        return due

    def receive(self, datagram: bytes) -> TwoWayKeys:
        """The keys that an answer gives; then stops. Raises only WireError, and goes on trying then."""
        envelope = unpack(self._keys, datagram)
        expected = Kind.RESPONSE if self._identity is None else Kind.PINNED_RESPONSE
        if envelope.kind != expected:
            raise WireError(Reason.MALFORMED, f"handshake type {envelope.kind}, {expected} expected")
        for attempt in self._attempts:
            if attempt.index == envelope.index:
                break
        else:
            raise WireError(Reason.LATE, "an answer to no initiation that is open")
        self._attempts.remove(attempt)  # a failed read spoils the state; an authentic check makes that rare
        try:
            payload = attempt.state.read_message(envelope.message)
        except NoiseError as error:
            raise WireError(Reason.FORGED, f"handshake: {error}") from None
        if len(payload) < RESPONSE.size:
            raise WireError(Reason.MALFORMED, f"response: {len(payload)} bytes, {RESPONSE.size} needed")
        self.stop()
        return finish(attempt.state, RESPONSE.unpack_from(payload)[0])

    def _current(self, now: float) -> _Attempt:
        if not self._attempts or now - self._attempts[-1].made >= FRESH_SECONDS:
            self._attempts = [*self._attempts[-1:], self._fresh(now)]
        return self._attempts[-1]

    def _fresh(self, now: float) -> _Attempt:
        state = begin(self._keys, self._identity, initiator=True)
        payload = REQUEST.pack(self._origin, self.number, self._attempt, self._features)
        self._attempt += 1
        kind = Kind.REQUEST if self._identity is None else Kind.PINNED_REQUEST
        index = int.from_bytes(os.urandom(4), "big")
        return _Attempt(state, index, pack(self._keys, kind, index, state.write_message(payload)), now)

    def _pause(self, wire_bytes: int, elapsed: float) -> float:
        fast, slow = wire_bytes / self.rate, wire_bytes / self.slow_rate
        slower: float = fast * 2 ** min(int(elapsed / FAST_SECONDS), 16)
        return max(SHORTEST_SECONDS, fast, min(slower, max(SLOW_SECONDS, slow)))


def _check(keys: KeySchedule, data: bytes) -> bytes:
    return hashlib.blake2s(data, key=keys.check_key, digest_size=CHECK_BYTES).digest()
