"""Announcements: each version once, at least once a second, within the share."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.budget import PACKET_COST
from proto.carousel import (
    FIRST_SECONDS,
    MAX_KEYS,
    SILENCE_SECONDS,
    STEADY_SECONDS,
    Carousel,
    CarouselFull,
    CarouselReceiver,
)
from proto.reliable_packet import Announcement
from proto.wire import Reason, WireError

RATE = 5000.0
LIMIT = 1171  # bytes of payload


def run(carousel: Carousel, start: float, end: float) -> list[tuple[float, bytes]]:
    """(when, payload) of everything sent, polled exactly when the carousel says."""
    out, now = list[tuple[float, bytes]](), start
    while True:
        out += [(now, payload) for payload in carousel.poll(now)]
        following = carousel.next_time(now)
        if following is None or following >= end:
            return out
        now = following


def test_fast_while_new_then_once_a_second() -> None:
    carousel = Carousel(RATE, LIMIT)
    carousel.announce(1, b"parameters", 10.0)
    times = [at - 10.0 for at, _ in run(carousel, 10.0, 40.0)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert times[0] == 0.0
    assert gaps[0] == pytest.approx(FIRST_SECONDS)
    assert all(before <= after + 1e-9 for before, after in itertools.pairwise(gaps))
    assert max(gaps) <= STEADY_SECONDS + 1e-9
    assert gaps[-1] == pytest.approx(STEADY_SECONDS)
    assert 15 <= sum(at < 4.0 for at in times) <= 20


def test_the_newest_version_stands_and_is_fast_again() -> None:
    carousel, receiver = Carousel(RATE, LIMIT), CarouselReceiver()
    carousel.announce(1, b"old", 0.0)
    assert receiver.receive(carousel.poll(0.0)[0], 0.0) == (1, b"old")
    run(carousel, 0.0, 20.0)
    carousel.announce(1, b"new", 20.0)
    sent = run(carousel, 20.0, 20.2)
    assert len(sent) == 4
    assert [receiver.receive(payload, at) for at, payload in sent] == [(1, b"new"), None, None, None]


def test_what_stands_already_is_no_new_version() -> None:
    carousel = Carousel(RATE, LIMIT)
    carousel.announce(1, b"same", 0.0)
    first = carousel.poll(0.0)
    carousel.announce(1, b"same", 0.01)
    assert carousel.poll(0.01) == []
    assert carousel.poll(1.0) == first


def test_the_rate_bounds_the_announcements_and_every_key_has_its_turn() -> None:
    carousel = Carousel(500.0, LIMIT)
    for key in range(20):
        carousel.announce(key, bytes(39), 0.0)
    sent = run(carousel, 0.0, 60.0)
    assert (len(sent) - 1) * (4 + 39 + PACKET_COST) <= 500.0 * 60.25
    counts = [sum(Announcement.parse(payload).key == key for _, payload in sent) for key in range(20)]
    assert max(counts) - min(counts) <= 1
    assert min(counts) >= 13  # 2000 bytes of announcements at 500 bytes a second
    assert carousel.behind(60.0) > 1.0


def test_a_withdrawn_key_falls_silent_and_its_versions_go_on() -> None:
    carousel, receiver = Carousel(RATE, LIMIT), CarouselReceiver()
    carousel.announce(7, b"one", 0.0)
    receiver.receive(carousel.poll(0.0)[0], 0.0)
    carousel.withdraw(7)
    assert carousel.next_time(0.0) is None
    assert carousel.behind(9.0) == 0.0
    carousel.announce(7, b"one", 1.0)
    assert receiver.receive(carousel.poll(1.0)[0], 1.0) == (7, b"one")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=5), st.floats(0, 3)), min_size=1, max_size=30),
    st.floats(0, 0.9),
    st.randoms(use_true_random=False),
)
def test_each_version_at_most_once_in_order_and_the_last_one_in_the_end(
    changes: list[tuple[int, bytes, float]], loss: float, chance: random.Random
) -> None:
    carousel, receiver, sent, now = (
        Carousel(RATE, LIMIT),
        CarouselReceiver(),
        list[tuple[float, bytes]](),
        0.0,
    )
    versions: dict[int, list[bytes]] = {}
    for key, message, pause in changes:
        carousel.announce(key, message, now)
        if versions.setdefault(key, [])[-1:] != [message]:
            versions[key].append(message)
        sent += run(carousel, now, now + pause)
        now += pause
    sent += run(carousel, now, now + 60.0)
    arrivals = sorted(
        (at + 2.0 * chance.random(), payload)
        for at, payload in sent
        for _ in range(0 if chance.random() < loss else chance.randint(1, 2))
    )
    got: dict[int, list[bytes]] = {}
    for at, payload in arrivals:
        if (new := receiver.receive(payload, at)) is not None:
            got.setdefault(new[0], []).append(new[1])
    for key, seen in got.items():
        remaining = iter(versions[key])
        assert all(message in remaining for message in seen)  # in order, none twice
    if loss < 0.6:
        assert {key: seen[-1] for key, seen in got.items()} == {
            key: seen[-1] for key, seen in versions.items()
        }


def test_versions_wrap_and_survive_silence() -> None:
    carousel, receiver = Carousel(1e9, LIMIT), CarouselReceiver()
    for version in range(70_000):
        carousel.announce(0, version.to_bytes(3), version * 0.001)
        payload = carousel.poll(version * 0.001)[0]
        assert receiver.receive(payload, version * 0.001) == (0, version.to_bytes(3))
    now = 70.0
    old = bytes(Announcement(0, (70_000 - 5) & 0xFFFF, b"old"))
    assert receiver.receive(old, now) is None
    assert receiver.receive(old, now - 0.001 + SILENCE_SECONDS) == (0, b"old")
    assert (receiver.received, receiver.delivered) == (70_002, 70_001)


def test_one_key_too_many_is_refused() -> None:
    carousel = Carousel(RATE, LIMIT)
    for key in range(MAX_KEYS):
        carousel.announce(key, b"", 0.0)
    with pytest.raises(CarouselFull):
        carousel.announce(MAX_KEYS, b"", 0.0)
    carousel.announce(0, b"newer", 0.0)
    carousel.withdraw(0)
    carousel.announce(MAX_KEYS, b"", 0.0)


def test_bad_keys_and_lengths_are_named() -> None:
    carousel = Carousel(RATE, LIMIT)
    with pytest.raises(ValueError, match="key"):
        carousel.announce(256, b"", 0.0)
    with pytest.raises(ValueError, match="at most 1024"):
        carousel.announce(0, bytes(1025), 0.0)
    with pytest.raises(ValueError, match="at most 20"):
        Carousel(RATE, 24).announce(0, bytes(21), 0.0)
    with pytest.raises(ValueError, match="payload_limit"):
        Carousel(RATE, 4)


@given(st.binary(max_size=20))
def test_hostile_bytes_raise_only_wire_error(payload: bytes) -> None:
    try:
        CarouselReceiver().receive(payload, 0.0)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.MALFORMED, Reason.OVERSIZED}
