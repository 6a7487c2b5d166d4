"""What ten thousand sources leave behind at the receiver, whatever they have got hold of."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

import pytest

from proto.crypto import Sealer
from proto.handshake import REQUEST, Kind, begin, pack
from proto.packet import Segment
from proto.report import PlayoutState
from proto.session import Arrival, ReceiverEndpoint
from receiver.replies import Replies
from tests.fuzz.world import KEYS, PSK

SOURCES = 10_000
SETTLED = 2_000
MOST_GROWTH = 100_000  # bytes

rng = random.Random(5)


def forged(number: int) -> bytes:
    """Nobody's."""
    return bytes((0x7F if number % 2 else 0x41,)) + rng.randbytes(90)


def old_session(number: int) -> bytes:
    """Recorded from one of so many runs of senders with our key."""
    segment = Segment(1, number & 0xFFFF, number % 3, 3, number & 0xFFFF, bytes(40))
    return Sealer(KEYS, number.to_bytes(6)).seal(1 if number % 4 else 0, bytes(segment))


def old_initiation(number: int) -> bytes:
    """Recorded as well. Few are made: they take their time."""
    state = begin(KEYS, None, initiator=True)
    message = state.write_message(REQUEST.pack(number.to_bytes(6), 0, 0, 0))
    return pack(KEYS, Kind.REQUEST, number, message)


def mixed(number: int) -> bytes:
    return (forged, old_session)[number % 2](number)


@pytest.mark.parametrize(
    ("make", "count", "pause"),
    [
        (forged, SOURCES, 5e-5),
        (old_session, SOURCES, 5e-5),
        (mixed, SOURCES, 0.03),  # s; over minutes, so that what is forgotten in time is met again
        (old_initiation, 2_400, 0.03),
    ],
)
def test_memory_is_bounded(make: Callable[[int], bytes], count: int, pause: float) -> None:
    endpoint = ReceiverEndpoint(PSK)
    replies = Replies(endpoint, lambda: (PlayoutState.PLAYING, 0.1))
    tracemalloc.start()
    try:
        settled = 0
        for number in range(count):
            now = 100.0 + number * pause
            if number == min(SETTLED, count // 2):
                settled = tracemalloc.get_traced_memory()[0]
            event = endpoint.receive(make(number), now, (f"198.51.{number >> 8}.{number & 255}", number))
            if isinstance(event, Arrival):
                replies.arrived(event, now)
            if number % 100 == 0:
                replies.poll(now)
        assert tracemalloc.get_traced_memory()[0] - settled < MOST_GROWTH
    finally:
        tracemalloc.stop()
    assert endpoint.sessions <= 4
    assert len(endpoint._opener) <= 64 + 16
    assert len(endpoint._responder.pending) <= 16
    assert len(endpoint._responder._newest) <= 64
