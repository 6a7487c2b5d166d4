"""Forged packets: what they cost, and that they leave nothing behind."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Sequence

import pytest

from proto.session import ReceiverEndpoint, SenderSession
from proto.wire import Mode, Reason
from tests.proto.duplex import pair
from tests.proto.link import PSK

KINDS = ["unknown session", "known session", "handshake", "two-way session"]
CEILING_US = 60.0  # twelve times what it takes on an idle machine, so that only a change of kind fails


def forged(kind: str, link_session: bytes, count: int) -> list[bytes]:
    rng = random.Random(3)
    first = b"\x7f" if kind == "handshake" else b"\x41"
    datagrams = []
    for _ in range(count):
        session = rng.randbytes(6) if kind in ("unknown session", "handshake") else link_session
        size = 76 if kind == "handshake" else rng.randint(30, 1150)
        datagrams.append(
            first + session + (2**31 + rng.getrandbits(16)).to_bytes(4, "big") + rng.randbytes(size)
        )
    return datagrams


def microseconds(endpoint: ReceiverEndpoint, datagrams: Sequence[bytes]) -> float:
    """The best of several runs: what else the machine does only adds."""
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for datagram in datagrams:
            endpoint.receive(datagram, 50.0, ("192.0.2.9", 9))
        best = min(best, time.perf_counter() - begun)
    return best / len(datagrams) * 1e6


@pytest.mark.parametrize("kind", KINDS)
def test_a_forged_packet_is_cheap_and_changes_nothing(kind: str) -> None:
    link = pair(SenderSession(PSK, mode=Mode.AUTO), unit_seconds=0.1)
    link.advance(1.0)
    endpoint, opener = link.receiver, link.receiver._opener
    session = link.sender.session if kind == "two-way session" else link.sender.origin
    datagrams = forged(kind, session, 1000)
    before = (len(opener), endpoint.sessions, endpoint.reply_to, len(endpoint._responder.pending))
    assert microseconds(endpoint, datagrams) < CEILING_US
    assert endpoint.dropped[Reason.FORGED] == 5 * len(datagrams)
    assert (len(opener), endpoint.sessions, endpoint.reply_to, len(endpoint._responder.pending)) == before
    link.advance(1.0)
    assert link.receiver.takeovers == 1


def test_ten_thousand_spoofed_sources_leave_no_memory_behind() -> None:
    endpoint = ReceiverEndpoint(PSK)
    tracemalloc.start()
    try:
        for number in range(500):
            endpoint.receive(b"\x41" + os.urandom(60), 0.0, ("192.0.2.1", number))
        settled = tracemalloc.get_traced_memory()[0]
        for number in range(10_000):
            first = b"\x41" if number % 2 else b"\x7f"
            endpoint.receive(first + os.urandom(86), 0.0, (f"198.51.100.{number % 256}", number))
        assert tracemalloc.get_traced_memory()[0] - settled < 20_000
    finally:
        tracemalloc.stop()
    assert endpoint.dropped[Reason.FORGED] == 10_500
    assert endpoint.poll(1.0) == []
