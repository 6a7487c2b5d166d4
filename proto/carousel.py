"""Reliable streams without a way back: what stands is announced again and again, faster while it is new.

Pure: `now` (s, monotonic) is passed in. README.md section 10 is the spec.
"""

from __future__ import annotations

from dataclasses import dataclass

from proto.budget import Budget
from proto.reliable_packet import Announcement, check_length, longest_message
from proto.wire import seq16_delta

MAX_KEYS = 64  # announced at a time
STEADY_SECONDS = 1.0  # between announcements of what is no longer new
FIRST_SECONDS = 0.05  # between the first ones
AGE_SHARE = 0.25  # in between, an announcement follows after this share of the version's age
SILENCE_SECONDS = 10.0  # after so long without the key, any other version is a newer one


class CarouselFull(RuntimeError):
    """`Carousel.announce` refuses: 64 keys are announced already. Nothing was taken."""


@dataclass(slots=True)
class _Entry:
    """The version of a key that stands."""

    announcement: Announcement
    born: float
    due: float


class Carousel:
    """Announces the newest message of each key. Bounded: 64 keys. One thread at a time.

    The caller sends what `poll` returns and calls it after `announce` and at `next_time`. While the rate is too small
    for every key once a second, all of them slow down together; `behind` tells.
    """

    def __init__(self, rate: float, payload_limit: int) -> None:
        """`rate`: wire bytes a second that the announcements may take. `payload_limit`: as of SenderSession."""
        self.budget = Budget(rate)
        self.max_message_bytes = longest_message(payload_limit, Announcement.HEADER.size)
        self.transmissions = 0
        self._versions: dict[int, int] = {}  # the next one of each key; stays when a key is withdrawn
        self._entries: dict[int, _Entry] = {}

    def announce(self, key: int, message: bytes, now: float) -> None:
        """Let `message` (at most `max_message_bytes`) stand for `key` (0..255); if it stands already, nothing changes.

        Raises CarouselFull for a 65th key, ValueError for a bad key or length.
        """
        check_length(message, self.max_message_bytes)
        if not 0 <= key <= 0xFF:
            raise ValueError(f"key: must be 0..255 (got {key})")
        standing = self._entries.get(key)
        if standing is not None and standing.announcement.content == message:
            return
        if standing is None and len(self._entries) >= MAX_KEYS:
            raise CarouselFull(f"{MAX_KEYS} keys are announced, key {key} is one more")
        version = self._versions.get(key, 0)
        self._versions[key] = version + 1
        self._entries[key] = _Entry(Announcement(key, version & 0xFFFF, bytes(message)), now, now)

    def withdraw(self, key: int) -> None:
        """Announce a key no longer; receivers keep what they have."""
        self._entries.pop(key, None)

    def poll(self, now: float) -> list[bytes]:
        """The payloads to be sent now: what is due, the longest due first, as far as the rate allows."""
        out = []
        for entry in sorted(self._entries.values(), key=lambda entry: (entry.due, entry.announcement.key)):
            payload = bytes(entry.announcement)
            if entry.due > now or not self.budget.spend(len(payload), now):
                break
            self.transmissions += 1
            entry.due = now + min(max((now - entry.born) * AGE_SHARE, FIRST_SECONDS), STEADY_SECONDS)
            out.append(payload)
        return out

    def next_time(self, now: float) -> float | None:
        """When `poll` may next return something; None while nothing stands or the rate is 0."""
        ready = self.budget.ready(now)
        if ready is None or not self._entries:
            return None
        return max(ready, min(entry.due for entry in self._entries.values()))

    def behind(self, now: float) -> float:
        """For how many seconds the announcement most overdue has waited for the rate."""
        return max((now - entry.due for entry in self._entries.values() if entry.due < now), default=0.0)


class CarouselReceiver:
    """The receiving end, of one sender (origin): each version once, none older than the last. Bounded: 256 keys."""

    def __init__(self) -> None:
        self.received = 0  # announcements taken in
        self.delivered = 0  # of these, of a newer version
        self._seen: dict[int, tuple[int, float]] = {}  # by key: version, when last announced

    def receive(self, payload: bytes, now: float) -> tuple[int, bytes] | None:
        """Take an announcement; (key, message) if this version is newer than the last, else None.

        Raises WireError: short, malformed, oversized.
        """
        given = Announcement.parse(payload)
        self.received += 1
        version, heard = self._seen.get(given.key, (None, 0.0))
        if version is not None:
            ahead = seq16_delta(given.version, version)
            if ahead == 0:
                self._seen[given.key] = (version, now)
            if ahead == 0 or (ahead < 0 and now - heard < SILENCE_SECONDS):
                return None
        self._seen[given.key] = (given.version, now)
        self.delivered += 1
        return given.key, given.content
