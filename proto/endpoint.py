"""The receiver's end: datagrams in, units, announcements and replies out. README.md section 7."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

from proto.announce import KIND_ALIVE, KIND_ANNOUNCEMENT, Announcement
from proto.choice import Choice, SenderView
from proto.crypto import CounterExhausted, Opened, Opener, Sealer
from proto.events import Announced, Answer, Arrival, Delivered, Dropped, Message, Recovered
from proto.handshake import Identity
from proto.keys import KeySchedule
from proto.origins import MAX_ORIGINS, OVERLAP_SECONDS, Address, Origin, Origins, TwoWay
from proto.packet import Segment
from proto.reassembler import LATE_SPAN, MAX_UNITS, SILENCE_SECONDS, Reassembler, Tally
from proto.recover import RecoverTally
from proto.responder import Pending, Responder
from proto.streams import CONTROL, DeliveryClass, Direction, StreamSpec, lookup
from proto.wire import HANDSHAKE_BYTE, IP_UDP_BYTES, Mode, Reason, WireError, seq16_delta

REPEAT_SECONDS = 0.05  # between unasked repetitions of an answer
REPEAT_FOR_SECONDS = 3.0  # of its life
ALIVE_SECONDS = 0.25  # the longest that a receiver with a return path says nothing
ALIVE_FOR_SECONDS = 5.0  # after the sender's last packet it says nothing more

Taken = Arrival | Recovered | Delivered | Announced | Message
Event = Taken | Answer | Dropped


class ReceiverEndpoint:
    """Everything behind the receiving socket. Bounded whatever arrives. One thread at a time.

    For every datagram call `receive` and do what the event says; call `poll` at `next_time` and send what it
    returns. `active` is the origin on show.
    """

    def __init__(
        self,
        psk: bytes,
        max_units: int = MAX_UNITS,
        max_sessions: int = MAX_ORIGINS,
        *,
        mode: Mode = Mode.AUTO,
        identity: Identity | None = None,
    ) -> None:
        """`mode`: one-way never answers, two-way takes media under the keys of a handshake only."""
        if max_sessions < 2:
            raise ValueError(f"max_sessions: must be >= 2, or no sender could restart (got {max_sessions})")
        keys = self._keys = KeySchedule(psk)
        self.mode = mode
        self.dropped: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.packets = 0  # datagrams that authenticated
        self.wire_bytes = 0  # of these, 28 bytes of IP and UDP included
        self.tallies: defaultdict[int, Tally] = defaultdict(Tally)  # by stream, over all origins
        self.recovered: defaultdict[int, RecoverTally] = defaultdict(
            RecoverTally
        )  # likewise, of protected ones
        self.handshakes = 0  # confirmed
        self.heard: Callable[[bytes, int, int, float], None] | None = None
        """Told of every fresh packet of the sender on show, late ones too: session, counter, wire bytes, now."""
        self.tap: Callable[[bytes, Opened, float], None] | None = None
        """Told of every packet that is authentic, fresh and allowed, before it is made use of: origin, packet, now."""
        self._opener = Opener(keys)
        self._origins = Origins(keys, max_units, max_sessions, self.tallies, self.recovered)
        self._responder = Responder(keys, identity=identity)
        self._waiting: dict[bytes, Pending] = {}  # as installed in the opener
        self._repeated = 0.0

    @property
    def active(self) -> Origin | None:
        """The origin on show; None before the first usable segment."""
        return self._origins.active

    @property
    def takeovers(self) -> int:
        """How often another origin became the active one."""
        return self._origins.takeovers

    @property
    def sessions(self) -> int:
        """How many runs of senders have state."""
        return len(self._origins)

    @property
    def choice(self) -> Choice | None:
        """The sender that `choose` asked for; None: the first to be heard until it falls silent."""
        return self._origins.choice

    def choose(self, id: str | None) -> bool:
        """Want a sender on show, by the `id` of its view; None: by the rule. False if there is no such sender."""
        return self._origins.choose(id)

    def senders(self, now: float) -> list[SenderView]:
        """The senders that are heard, at most `max_sessions`."""
        return self._origins.views(now)

    def reassembler(self, stream: int) -> Reassembler | None:
        """The active origin's reassembler of a stream; None before anything of it arrived."""
        return None if self.active is None else self.active.streams.get(stream)

    @property
    def reply_to(self) -> Address | None:
        """Where the packets of `seal_reply` go: the source of the newest authentic packet; None before one."""
        origin = self._listener()
        return None if origin is None else origin.address

    @property
    def can_reply(self) -> bool:
        """Whether `seal_reply` would give a datagram: there are keys agreed on with the sender that replies go to."""
        origin = self._listener()
        return origin is not None and origin.two_way is not None and origin.address is not None

    def seal_reply(self, stream: int, body: bytes, now: float) -> bytes | None:
        """A datagram to the sender on show, for `reply_to`; None while there is no handshake with it.

        Raises ValueError for a stream that does not run back.
        """
        lookup(stream, Direction.BACK)
        origin = self._listener()
        return None if origin is None else self._seal(origin, stream, body, now)

    def receive(self, datagram: bytes, now: float, address: Address | None = None) -> Event:
        """Take in one datagram that arrived at `now` from `address`. Never raises, whatever the bytes are."""
        try:
            if datagram[:1] and datagram[0] == HANDSHAKE_BYTE:
                return self._handshake(datagram, now)
            return self._receive(datagram, now, address)
        except WireError as error:
            self.dropped[error.reason] += 1
            return Dropped(error.reason)

    def poll(self, now: float) -> list[tuple[bytes, Address]]:
        """What is due to be sent: answers again, signs of life, acknowledgements of reliable streams."""
        self._responder.expire(now)
        self._sync()
        out = self._repeat(now) if now - self._repeated >= REPEAT_SECONDS else []
        for origin in self._origins:
            out += self._acknowledge(origin, now)
            if (
                origin.two_way is not None
                and origin.address is not None
                and now - origin.answered >= ALIVE_SECONDS
                and now - origin.last_seen < ALIVE_FOR_SECONDS
            ):
                alive = self._seal(origin, CONTROL.id, bytes((KIND_ALIVE,)), now)
                if alive is not None:
                    out.append((alive, origin.address))
        return out

    def next_time(self) -> float:
        """When to call `poll` again, at the latest; infinity while there is nothing to say."""
        times = [self._repeated + REPEAT_SECONDS] if self._waiting else []
        for origin in self._origins:
            if origin.two_way is not None and origin.address is not None:
                if origin.inbox.owes:
                    return -math.inf
                alive = max(origin.answered + ALIVE_SECONDS, origin.last_seen)
                if alive < origin.last_seen + ALIVE_FOR_SECONDS:
                    times.append(alive)
        return min(times, default=math.inf)

    def _acknowledge(self, origin: Origin, now: float) -> list[tuple[bytes, Address]]:
        origin.inbox.expire(now)
        if not origin.inbox.owes or origin.address is None:
            return []
        sealed = (
            self._seal(origin, stream, body, now) for stream, body in origin.inbox.acknowledgements(now)
        )
        return [(datagram, origin.address) for datagram in sealed if datagram is not None]

    @staticmethod
    def _seal(origin: Origin, stream: int, body: bytes, now: float) -> bytes | None:
        if origin.two_way is None:
            return None
        try:
            datagram = origin.two_way.sealer.seal(stream, body)
        except CounterExhausted:
            return None
        origin.answered = now
        return datagram

    def _handshake(self, datagram: bytes, now: float) -> Answer:
        if self.mode is Mode.ONE_WAY:
            raise WireError(Reason.POLICY, "a one-way receiver answers nothing")
        pending = self._responder.receive(datagram, now)
        self._sync()
        return Answer(pending.response)

    def _sync(self) -> None:
        """What the responder holds, and nothing else that is unconfirmed, can be opened."""
        pending = self._responder.pending
        for session in self._waiting.keys() - pending.keys():
            del self._waiting[session]
            self._opener.remove(session)
        for session in pending.keys() - self._waiting.keys():
            entry = self._waiting[session] = pending[session]
            self._opener.install(session, entry.keys.forward, entry.origin)

    def _receive(self, datagram: bytes, now: float, address: Address | None) -> Taken:
        opened = self._opener.open(datagram)
        self.packets += 1
        self.wire_bytes += len(datagram) + IP_UDP_BYTES
        spec = lookup(opened.stream)
        if self.mode is Mode.TWO_WAY and not opened.peer.two_way:
            raise WireError(Reason.POLICY, "the pre-shared key alone is not enough here")
        segment = Segment.parse(spec.id, opened.body) if spec.segmented else None
        announcement = _announcement(opened) if spec is CONTROL else None
        origin = self._enter(opened, announcement, now)
        origin.flow.note(opened.session, opened.counter, now)
        self._move(origin, opened, address, len(datagram) + IP_UDP_BYTES)
        if self.tap is not None:
            self.tap(origin.id, opened, now)
        if self.heard is not None and origin is self._listener():
            self.heard(opened.session, opened.counter, len(datagram) + IP_UDP_BYTES, now)
        if announcement is not None:
            origin.announcement, origin.last_seen = announcement, now
            return Announced(opened.session, origin.id, announcement)
        if segment is None:
            return self._message(origin, opened, spec, now)
        take = self._protected if spec.delivery is DeliveryClass.PROTECTED else self._tolerant
        return take(origin, opened, segment, now)

    def _protected(self, origin: Origin, opened: Opened, segment: Segment, now: float) -> Recovered:
        near = _guarded(origin, opened.peer.two_way, now)
        units = origin.inbox.segment(segment, now, near=near)
        origin.last_seen = now
        return Recovered(opened.session, origin.id, segment.stream, units, origin is self.active)

    def _tolerant(self, origin: Origin, opened: Opened, segment: Segment, now: float) -> Arrival:
        reassembler = self._origins.reassembler(origin, segment.stream)
        _check_near(segment, reassembler, origin, opened.peer.two_way, now)
        unit = reassembler.push(segment, now)
        took_over = self._origins.settle(origin, now)
        origin.segment(now)
        return Arrival(opened.session, origin.id, segment.stream, unit, origin is self.active, took_over)

    def _message(self, origin: Origin, opened: Opened, spec: StreamSpec, now: float) -> Delivered | Message:
        messages = None
        if spec.delivery is DeliveryClass.RELIABLE and spec is not CONTROL:
            messages = origin.inbox.message(spec.id, opened.body, now)
        origin.last_seen = now
        if messages is None:
            return Message(opened.session, origin.id, spec.id, opened.body)
        return Delivered(opened.session, origin.id, spec.id, messages, origin is self.active)

    def _enter(self, opened: Opened, announcement: Announcement | None, now: float) -> Origin:
        """The origin of an authentic packet. Raises WireError (session_limit, replayed)."""
        if len(self._origins) > 1:
            for gone in self._origins.forget(now):
                self._close(gone)
        peer = opened.peer
        if peer.origin is None:
            peer.origin, peer.number = self._origins.trace(opened.session)
        waiting = self._waiting.get(opened.session)
        if waiting is not None:
            self._adopt(waiting.origin, waiting.number)
        elif (
            announcement is not None
            and not peer.two_way
            and self._keys.session(announcement.origin, announcement.number) == peer.origin
        ):
            self._adopt(announcement.origin, announcement.number)
        origin = self._origins.enter(peer.origin, now)
        if waiting is not None:
            self._confirm(origin, waiting, now)
            if waiting.number > origin.number:
                self._origins.renew(origin, waiting.number, now)
        elif not peer.two_way:
            self._origins.renew(origin, peer.number, now)
        elif origin.two_way is None or origin.two_way.session != opened.session:
            self._check_old(origin, opened.session, now)
        return origin

    def _adopt(self, origin: bytes, number: int) -> None:
        done = self._origins.adopt(origin, number)
        if done is not None:
            known_as, dropped = done
            self._opener.rename(known_as, origin, number)
            if dropped is not None:
                self._close(dropped)

    def _confirm(self, origin: Origin, pending: Pending, now: float) -> None:
        """The sender has proven that it has the keys: they take the place of those before."""
        keys = pending.keys
        if origin.old is not None:
            self._opener.remove(origin.old.session)
        origin.old, origin.old_until = origin.two_way, now + OVERLAP_SECONDS
        origin.two_way = TwoWay(keys.session, Sealer(self._keys, keys.session, keys.back), keys.peer)
        self._responder.confirm(keys.session)
        del self._waiting[keys.session]
        self.handshakes += 1

    def _check_old(self, origin: Origin, session: bytes, now: float) -> None:
        if origin.old is not None and origin.old.session == session:
            if now < origin.old_until:
                return
            origin.old = None
        self._opener.remove(session)
        raise WireError(Reason.REPLAYED, "the keys of this handshake are out of date")

    def _close(self, origin: Origin) -> None:
        for session in (origin.two_way, origin.old):
            if session is not None:
                self._opener.remove(session.session)

    def _move(self, origin: Origin, opened: Opened, address: Address | None, wire_bytes: int) -> None:
        """Follow the sender to where its newest packet came from."""
        two_way, peer = origin.two_way, opened.peer
        if peer.two_way:
            current = two_way is not None and two_way.session == opened.session
        else:
            current = peer.number == origin.number
        if address is None or not current:
            return
        if opened.newest and address != origin.address:
            origin.address, origin.credit = address, 0
        if address == origin.address:
            origin.credit = min(origin.credit + wire_bytes, 1 << 16)

    def _listener(self) -> Origin | None:
        """The origin that replies go to: the one on show, or before there is one any with a handshake."""
        if self.active is not None:
            return self.active
        return next((origin for origin in self._origins if origin.two_way is not None), None)

    def _repeat(self, now: float) -> list[tuple[bytes, Address]]:
        """Answers again, to senders that are heard: never more bytes than came from where they go to."""
        out: list[tuple[bytes, Address]] = []
        newest = {entry.origin: entry for entry in self._waiting.values()}
        for entry in newest.values():
            origin = self._origins.get(entry.origin)
            cost = len(entry.response) + IP_UDP_BYTES
            if now - entry.made >= REPEAT_FOR_SECONDS or origin is None or origin.address is None:
                continue
            if origin.credit >= cost:
                origin.credit -= cost
                out.append((entry.response, origin.address))
        self._repeated = now
        return out


def _check_near(
    segment: Segment, reassembler: Reassembler, origin: Origin, two_way: bool, now: float
) -> None:
    """Raises WireError (replayed) for a unit far from those before, where `_guarded` says so."""
    newest = reassembler.newest_unit
    if newest is None or not _guarded(origin, two_way, now):
        return
    if abs(seq16_delta(segment.unit, newest & 0xFFFF)) > LATE_SPAN:
        raise WireError(Reason.REPLAYED, f"unit {segment.unit} is far from {newest & 0xFFFF}")


def _guarded(origin: Origin, two_way: bool, now: float) -> bool:
    """Whether a packet under the shared key (not `two_way`) has to be near those of a sender which is heard under
    agreed keys. One that somebody kept back for hours would else move the window away from the stream."""
    return not two_way and origin.two_way is not None and now - origin.last_segment < SILENCE_SECONDS


def _announcement(opened: Opened) -> Announcement | None:
    if opened.body[:1] != bytes((KIND_ANNOUNCEMENT,)):
        return None
    return Announcement.parse(opened.body)
