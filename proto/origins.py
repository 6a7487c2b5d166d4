"""The senders that a receiver knows, one `Origin` for each run of each, and which of them is on show.

README.md section 7. A run may change its keys; its streams do not notice. Pure, `now` in monotonic seconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proto.announce import Announcement
from proto.choice import Choice, Flow, SenderState, SenderView
from proto.crypto import Sealer
from proto.inbox import Inbox
from proto.keys import KeySchedule
from proto.reassembler import Reassembler, Tally
from proto.recover import RecoverTally
from proto.wire import Reason, WireError

MAX_ORIGINS = 4  # with state at a time: the live one, its successor, and two that are fading
TAKEOVER_SECONDS = 1.0  # the active origin keeps its place until it has been silent so long
TAKEOVER_GAPS, MOST_TAKEOVER_SECONDS = (
    3.0,
    6.0,
)  # or so many times as long as its segments usually are apart, at most
FORGET_SECONDS = 10.0  # an inactive origin that is silent so long is dropped
CHOSEN_SECONDS = 3.0  # likewise one that was chosen: a gap shall not put another in its place
OVERLAP_SECONDS = 10.0  # keys stay good so long after others have taken their place
SUCCESSORS = 64  # sessions of an origin that are recognised ahead of the newest one seen
SKIPPED = 4  # likewise, before it: of some, no packet may have come yet

Address = tuple[Any, ...]
"""Where datagrams come from and go to; only compared and handed back."""


@dataclass(slots=True)
class TwoWay:
    """A session by handshake, confirmed by a packet under its keys."""

    session: bytes
    sealer: Sealer  # receiver to sender
    peer: bytes | None  # the sender's static public key, where keys are pinned


@dataclass(slots=True, eq=False)
class Origin:
    """What the receiver keeps of one run of one sender."""

    id: bytes  # its first session, as far as known
    started: float  # receiver's monotonic time (s) of its first packet
    last_seen: float  # of its last usable one
    inbox: Inbox  # its protected and reliable streams
    last_segment: float = 0.0  # of its last usable segment: what is announced, but not sent, is not shown
    gap: float = 0.0  # s from one to the next, smoothed; without pauses
    streams: dict[int, Reassembler] = field(default_factory=dict)
    number: int = 0  # newest session without handshake
    ahead: dict[bytes, int] = field(default_factory=dict)  # the numbers of those that may come, by their ids
    renewed: float = 0.0  # when that took the place of another
    announcement: Announcement | None = None  # the last one
    address: Address | None = None  # where its newest packet came from
    credit: int = 0  # wire bytes received from there, less what was sent there unasked
    two_way: TwoWay | None = None
    answered: float = -math.inf  # when something was last sealed for it
    old: TwoWay | None = None
    old_until: float = 0.0
    flow: Flow = field(default_factory=Flow)

    def segment(self, now: float) -> None:
        """A usable segment came."""
        apart = now - self.last_segment
        if self.last_segment and apart < MOST_TAKEOVER_SECONDS:
            self.gap += (apart - self.gap) / 4
        self.last_seen = self.last_segment = now

    @property
    def patience(self) -> float:
        """Seconds of silence after which another one may take its place."""
        return min(MOST_TAKEOVER_SECONDS, max(TAKEOVER_SECONDS, TAKEOVER_GAPS * self.gap))

    @property
    def name(self) -> str:
        """As announced; empty before that."""
        return "" if self.announcement is None else self.announcement.name


class Origins:
    """At most `limit` origins, of which one is active: the one chosen, else the first to be heard until it falls
    silent."""

    def __init__(
        self,
        keys: KeySchedule,
        max_units: int,
        limit: int,
        tallies: defaultdict[int, Tally],
        recovered: defaultdict[int, RecoverTally],
    ) -> None:
        """`tallies`, `recovered`: by stream, of tolerant and of protected ones."""
        self.active: Origin | None = None
        self.takeovers = 0
        self.choice: Choice | None = None
        self._keys = keys
        self._max_units = max_units
        self._limit = limit
        self._tallies = tallies
        self._recovered = recovered
        self._known: dict[bytes, Origin] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Origin]:
        return iter(self._known.values())

    def get(self, origin: bytes) -> Origin | None:
        """The state of an origin, if there is any."""
        return self._known.get(origin)

    def enter(self, origin: bytes, now: float) -> Origin:
        """The state of an origin, made if need be. Raises WireError (session_limit)."""
        found = self._known.get(origin)
        if found is not None:
            return found
        if len(self._known) >= self._limit:
            raise WireError(Reason.SESSION_LIMIT, f"{len(self._known)} senders are live")
        found = self._known[origin] = Origin(origin, now, now, Inbox(self._recovered))
        self._look_ahead(found)
        return found

    def forget(self, now: float) -> list[Origin]:
        """Drop the inactive ones that have been silent; returns them."""
        gone = [
            origin
            for origin in self._known.values()
            if origin is not self.active and now - origin.last_seen >= FORGET_SECONDS
        ]
        for origin in gone:
            del self._known[origin.id]
        return gone

    def trace(self, session: bytes) -> tuple[bytes, int]:
        """Origin and number of a session without handshake that is new here: a known sender's next, or a sender's."""
        for origin in self._known.values():
            number = origin.ahead.get(session)
            if number is not None:
                return origin.id, number
        return session, 0

    def adopt(self, origin: bytes, number: int) -> tuple[bytes, Origin | None] | None:
        """The sender says that its session `number` is of `origin`: join what was taken for two senders.

        Returns the id under which the session had been known and what was dropped, None if there was nothing to do.
        """
        first = self._keys.session(origin, number)
        stranger = self._known.get(first)
        if number == 0 or stranger is None:
            return None
        other = self._known.get(origin)
        if other is not None and stranger is not self.active:
            stranger, other = other, stranger
        self._known = {known.id: known for known in self if known is not stranger and known is not other}
        if self.choice is not None and self.choice.id == first:
            self.choice.id = origin
        stranger.id, stranger.number = origin, max(stranger.number, number)
        self._known[origin] = stranger
        self._look_ahead(stranger)
        return first, other

    def renew(self, origin: Origin, number: int, now: float) -> None:
        """A packet of session `number` has come. Raises WireError (replayed) if its keys are out of date."""
        if number > origin.number:
            origin.number, origin.renewed = number, now
            self._look_ahead(origin)
        elif number < origin.number and now - origin.renewed >= OVERLAP_SECONDS:
            raise WireError(Reason.REPLAYED, f"session {number} of this sender was succeeded long ago")

    def _look_ahead(self, origin: Origin) -> None:
        """Work the coming ids out once, so that recordings of many sessions cost no more than other packets."""
        first = max(1, origin.number - SKIPPED)
        coming = range(first, min(origin.number + SUCCESSORS, 2**32 - 1) + 1)
        origin.ahead = {self._keys.session(origin.id, number): number for number in coming}

    def reassembler(self, origin: Origin, stream: int) -> Reassembler:
        """The origin's reassembler of a stream, made if need be."""
        found = origin.streams.get(stream)
        if found is None:
            found = origin.streams[stream] = Reassembler(self._max_units, self._tallies[stream])
        return found

    def choose(self, id: str | None) -> bool:
        """Want a sender on show, by the `id` of its view, or None: whichever the rule says. False if there is no such.

        It is on show with its next segment; while it is silent for long, another is."""
        if id is None:
            self.choice = None
            return True
        found = next((origin for origin in self if origin.id.hex() == id), None)
        if found is not None:
            self.choice = Choice(found.id, found.name)
        return found is not None

    def views(self, now: float) -> list[SenderView]:
        """The senders that are heard, or were until a moment ago, in the order in which they came; at most `limit`."""
        return [
            SenderView(
                origin.id.hex(),
                origin.name,
                SenderState.LIVE if now - origin.last_segment < CHOSEN_SECONDS else SenderState.SILENT,
                origin.flow.loss,
                origin is self.active,
            )
            for origin in sorted(self, key=lambda origin: origin.started)
            if origin is self.active or now - origin.last_seen < FORGET_SECONDS
        ]

    def settle(self, origin: Origin, now: float) -> bool:
        """Make `origin`, of which a segment has come, the active one if it is wanted, or if there is none, or if the
        active one has fallen silent; tells whether it did."""
        active = self.active
        wanted = self._wanted(origin, now)
        if active is origin:
            return False
        if active is not None and not wanted:
            patience = max(CHOSEN_SECONDS, active.patience) if self._is_chosen(active) else active.patience
            if now - active.last_segment < patience:
                return False
        self.active = origin
        self.takeovers += 1
        return True

    def _is_chosen(self, origin: Origin) -> bool:
        return self.choice is not None and self.choice.id == origin.id

    def _wanted(self, origin: Origin, now: float) -> bool:
        """Whether it is the chosen one, or the next run of that."""
        choice = self.choice
        if choice is None or choice.id == origin.id:
            if choice is not None and origin.name:
                choice.name = origin.name
            return choice is not None
        before = self._known.get(choice.id)
        gone = before is None or now - before.last_segment >= before.patience
        if gone and choice.name and origin.name == choice.name:
            choice.id = origin.id
            return True
        return False
