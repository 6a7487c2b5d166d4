"""The sender's end: units in, datagrams out, and what the receiver says back. README.md section 7.

The receiver's end is `proto.endpoint`; its names are here too, so that both ends come from one module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proto.announce import SHARE, Announcement, Announcer, StreamInUse
from proto.crypto import Peer, Sealer, read_header
from proto.endpoint import Event, ReceiverEndpoint
from proto.events import Announced, Answer, Arrival, Delivered, Dropped, Established, Message, Recovered
from proto.handshake import Identity, Initiator
from proto.keys import KeySchedule
from proto.origins import OVERLAP_SECONDS
from proto.packet import Segment
from proto.packetizer import segments
from proto.streams import CONTROL, Direction, lookup
from proto.wire import HANDSHAKE_BYTE, MAX_DATAGRAM, Mode, Reason, WireError, max_payload

__all__ = [
    "Announced",
    "Answer",
    "Arrival",
    "Delivered",
    "Dropped",
    "Established",
    "Event",
    "Message",
    "ReceiverEndpoint",
    "Recovered",
    "Rules",
    "SenderSession",
]

DEFAULT_RATE = 7500.0  # wire bytes per second: 60 kbit/s


@dataclass(frozen=True, slots=True)
class Rules:
    """When keys change."""

    silence: float = 1.5  # s without a word from the receiver, after which its keys are not relied on
    rekey_packets: int = 2**30  # packets that one key seals
    rekey_seconds: float = 3600.0
    first_share: float = 0.5  # of the rate, for the first handshake beside media, in its first 3 s
    handshake_share: float = 0.25  # for later ones


@dataclass(slots=True)
class _Keys:
    """A session by handshake."""

    sealer: Sealer
    replies: Peer
    since: float


class SenderSession:
    """Turns access units into datagrams, and keeps the session up. One thread at a time.

    `packets` and `seal` make datagrams of media and messages. Call `poll` at `next_time`, and after `receive`, and
    send what it returns. Without any `poll` a one-way session works, only that nothing is announced.
    """

    def __init__(
        self,
        psk: bytes,
        datagram_limit: int = MAX_DATAGRAM,
        *,
        mode: Mode = Mode.ONE_WAY,
        identity: Identity | None = None,
        name: str = "",
        rules: Rules | None = None,
    ) -> None:
        """`datagram_limit`: UDP payload bytes, at most. Raises ValueError for a bad key length, limit or name."""
        self.mode = mode
        self.rate = DEFAULT_RATE
        """Wire bytes per second that the sender may spend; what `poll` returns keeps to shares of it."""
        self.streams: tuple[StreamInUse, ...] = ()
        """What is announced as being sent."""
        self.withheld = 0
        """Units that were not sealed because a two-way session had no keys yet."""
        self.dropped: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.handshakes = 0
        """Handshakes done."""
        self.tap: Callable[[bytes, int, int, bool, bytes], None] | None = None
        """Told of every packet that is sealed: session, counter, stream, whether under keys agreed on, body."""
        self._payload_limit = max_payload(datagram_limit)
        self._rules = Rules() if rules is None else rules
        self._name = name
        self._keys = KeySchedule(psk)
        self._own = Sealer(self._keys)
        self.origin = self._own.session
        """Drawn at construction: names this run of the sender, whatever its keys."""
        self._number = 0
        self._own_since = math.nan
        self._fresh = True
        self._two_way: _Keys | None = None
        self._live = False
        self._heard = 0.0
        self._old: tuple[_Keys, float] | None = None
        self._announcer = Announcer()
        self._initiator = Initiator(self._keys, self.origin, self.rate, identity=identity)
        bytes(Announcement(self.origin, name=name))

    @property
    def session(self) -> bytes:
        """The session id that packets go out under now."""
        keys = self._usable(1)
        return self._own.session if keys is None else keys.sealer.session

    @property
    def number(self) -> int:
        """Of the session under the pre-shared key: rises when that is renewed."""
        return self._number

    @property
    def remaining(self) -> int:
        """Packets that the keys in use may still seal; they are renewed long before there are none."""
        keys = self._usable(1)
        return (self._own if keys is None else keys.sealer).remaining

    @property
    def payload_limit(self) -> int:
        """The most bytes that one payload may have."""
        return self._payload_limit

    @property
    def ready(self) -> bool:
        """Whether packets can be sealed now; False only in a two-way session without keys."""
        return self.mode is not Mode.TWO_WAY or self.two_way

    @property
    def two_way(self) -> bool:
        """Whether packets go out under the keys of a handshake."""
        return self._usable(1) is not None

    def packets(self, stream: int, unit: int, timestamp: float, payloads: Sequence[bytes]) -> list[bytes]:
        """One datagram for each payload of unit number `unit` (counted up by the caller, never wrapped).

        `timestamp`: when the unit's first frame was captured, seconds since the Unix epoch. Empty while a two-way
        session has no keys. Raises ValueError for a stream that carries no segments, no or more than 255 payloads,
        or one above `payload_limit`.
        """
        spec = lookup(stream)
        if not spec.segmented:
            raise ValueError(f"stream {stream} ({spec.name}) carries no segments")
        cut = segments(stream, unit, timestamp, payloads, self._payload_limit)
        if (
            self._sealer(len(cut)) is None
        ):  # which makes room: a unit sent at once never straddles two sessions
            self.withheld += 1
            return []
        return [datagram for segment in cut if (datagram := self.seal_segment(segment)) is not None]

    def seal_segment(self, segment: Segment) -> bytes | None:
        """A datagram with one segment; None while a two-way session has no keys. To be sent before the next one is
        sealed, so that packets leave in the order of their counters."""
        return self._seal(segment.stream, bytes(segment))

    def seal(self, stream: int, body: bytes) -> bytes | None:
        """A datagram with a message of a stream without segments; None while a two-way session has no keys."""
        if lookup(stream).segmented:
            raise ValueError(f"stream {stream} carries segments")
        return self._seal(stream, body)

    def poll(self, now: float, wall: float) -> list[bytes]:
        """What is due: initiations of a handshake, announcements. `wall`: seconds since the Unix epoch."""
        self._watch(now)
        due = self._initiator.poll(now)
        if self._announcer.next_time() <= now:
            message = bytes(
                Announcement(self.origin, self._number, wall, self.mode, self.streams, self._name)
            )
            datagram = self.seal(CONTROL.id, message)
            if datagram is not None:
                due.append(datagram)
                self._announcer.sent(len(message), self.rate, now)
        return due

    def next_time(self) -> float:
        """When to call `poll` again, at the latest; monotonic seconds, in the past before the first call."""
        if self._fresh:
            return -math.inf
        rekey = self._rules.rekey_seconds
        times = [self._initiator.next_time(), self._own_since + rekey]
        if self.ready:
            times.append(self._announcer.next_time())
        if self._two_way is not None and self._live:
            times += [self._heard + self._rules.silence]
            if not self._initiator.active:
                times.append(self._two_way.since + rekey)
        return min(times)

    def receive(self, datagram: bytes, now: float) -> Message | Established | Dropped:
        """Take in a datagram that came back. Never raises, whatever the bytes are."""
        try:
            if self.mode is Mode.ONE_WAY:
                raise WireError(Reason.POLICY, "a one-way sender listens to nothing")
            if datagram[:1] and datagram[0] == HANDSHAKE_BYTE:
                return self._established(datagram, now)
            return self._reply(datagram, now)
        except WireError as error:
            self.dropped[error.reason] += 1
            return Dropped(error.reason)

    def _seal(self, stream: int, body: bytes) -> bytes | None:
        sealer = self._sealer(1)
        if sealer is None:
            return None
        if self.tap is not None:
            self.tap(sealer.session, sealer.sealed, stream, sealer is not self._own, body)
        return sealer.seal(stream, body)

    def _established(self, datagram: bytes, now: float) -> Established:
        keys = self._initiator.receive(datagram)
        if self._two_way is not None:
            self._old = (self._two_way, now + OVERLAP_SECONDS)
        sealer = Sealer(self._keys, keys.session, keys.forward)
        self._two_way = _Keys(sealer, Peer(keys.back), now)
        self._heard = now
        self._fresh = True
        self.handshakes += 1
        self._watch(now)
        return Established(keys.session, keys.peer)

    def _reply(self, datagram: bytes, now: float) -> Message:
        header = read_header(datagram)
        current = self._two_way
        if current is not None and current.sealer.session == header.session:
            keys = current
        elif self._old is not None and self._old[0].sealer.session == header.session and now < self._old[1]:
            keys = self._old[0]
        else:
            raise WireError(Reason.FORGED, "not of a session with a return path")
        opened = keys.replies.open(datagram, header)
        lookup(opened.stream, Direction.BACK)
        if keys is current:
            self._heard = now
            self._watch(now)
        return Message(opened.session, self.origin, opened.stream, opened.body)

    def _watch(self, now: float) -> None:
        """Look at what has to change: keys that are old, a receiver that is silent or is heard again."""
        if now - self._own_since >= self._rules.rekey_seconds:
            self._renew()
        if math.isnan(self._own_since):
            self._own_since = now
        if self._fresh:
            self._fresh = False
            self._announcer.restart(now)
        if self.mode is Mode.ONE_WAY:
            return
        keys, rules = self._two_way, self._rules
        self._live = keys is not None and now - self._heard < rules.silence
        old = keys is not None and (
            keys.sealer.sealed >= rules.rekey_packets or now - keys.since >= rules.rekey_seconds
        )
        share = rules.handshake_share
        if keys is None:
            share = 1.0 if self.mode is Mode.TWO_WAY else rules.first_share
        self._initiator.number = self._number
        self._initiator.rate = self.rate * share
        self._initiator.slow_rate = self.rate * SHARE
        if old or not self._live:
            self._initiator.start(now)
        elif self._initiator.active:
            self._initiator.stop()

    def _usable(self, needed: int) -> _Keys | None:
        """The keys of a handshake, if they are to seal the next `needed` packets."""
        keys = self._two_way
        if keys is None or keys.sealer.remaining < needed:
            return None
        return keys if self._live or self.mode is Mode.TWO_WAY else None

    def _sealer(self, needed: int) -> Sealer | None:
        """What seals the next `needed` packets; None in a two-way session without keys."""
        keys = self._usable(needed)
        if keys is not None:
            return keys.sealer
        if self.mode is Mode.TWO_WAY:
            return None
        if self._own.remaining < needed or self._own.sealed >= self._rules.rekey_packets:
            self._renew()
        return self._own

    def _renew(self) -> None:
        """Go on in the next session of this origin."""
        self._number += 1
        self._own = Sealer(self._keys, self._keys.session(self.origin, self._number))
        self._own_since = math.nan
        self._fresh = True
