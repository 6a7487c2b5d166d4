from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.transport.score import longest_run, percentiles, score
from tests.bench.transport.workload import HOST, THIN, Feed, Piece, Sink, Source, Workload, noted, udp_socket

PAIRS = Workload("pairs", 4.0, 2, 60)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    made = Sink(PAIRS, whole=True)
    yield made
    made.close()


def take(sink: Sink, unit: int, place: int, latency: float) -> None:
    sent = 100.0 + unit * PAIRS.duration
    sink.take(Piece(unit, place, PAIRS.packets, sent).payload(PAIRS.size), sent + latency)


def test_the_rates_of_the_workloads_are_what_their_names_say() -> None:
    assert THIN.kbps == pytest.approx(60.0, abs=0.1)
    assert THIN.interval * THIN.packets == pytest.approx(0.75 * THIN.duration)


@given(st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 255), st.floats(allow_nan=False))
def test_a_packet_tells_what_it_is(unit: int, place: int, packets: int, sent: float) -> None:
    piece = Piece(unit, place, packets, sent)
    assert Piece.parse(piece.payload(60), 60) == piece
    assert Piece.parse(noted(piece.payload(60), 7.5), 60) == Piece(unit, place, packets, sent, 7.5)


@given(st.binary(max_size=80))
def test_anything_else_is_no_packet(data: bytes) -> None:
    assert Piece.parse(data, 60) is None


async def test_whole_units_count_and_any_packet_where_one_is_enough(sink: Sink) -> None:
    take(sink, 0, 0, 0.03)
    take(sink, 0, 1, 0.05)
    take(sink, 1, 1, 0.03)
    found = score(sink, 0, 4, 0.5)
    assert (found.units, found.packets, found.delivered, found.usable) == (4, 8, 3 / 8, 1 / 4)
    assert found.freeze_s == 3 * PAIRS.duration
    assert found.payload_bytes == 3 * PAIRS.size
    assert found.latency_ms == pytest.approx((30.0, 50.0, 50.0))
    sink.whole = False
    assert score(sink, 0, 4, 0.5).usable == 2 / 4


async def test_what_is_late_or_came_twice_or_is_of_another_time_does_not_count(sink: Sink) -> None:
    for place, latency in ((0, 0.03), (0, 0.04), (1, 0.6)):
        take(sink, 1, place, latency)
    take(sink, 9, 0, 0.03)
    found = score(sink, 1, 2, 0.5)
    assert (found.delivered, found.late, found.usable) == (1 / 4, 1, 0.0)
    assert found.latency_ms == pytest.approx((30.0,) * 3)
    assert score(sink, 3, 2, 0.5).latency_ms is None


async def test_a_unit_is_usable_from_its_last_packet_on(sink: Sink) -> None:
    take(sink, 0, 0, 0.03)
    assert sink.first_after(0.0) is None
    take(sink, 0, 1, 0.05)
    assert sink.first_after(0.0) == pytest.approx(100.05)
    assert sink.first_after(100.06) is None


async def test_foreign_packets_are_counted_apart(sink: Sink) -> None:
    sink.take(b"RTCP or so", 1.0)
    assert (sink.foreign, sink.pieces) == (1, [])


def test_percentiles_are_values_that_were_there() -> None:
    assert percentiles([*range(1, 101)]) == (50, 95, 99)
    assert percentiles([3.0]) == (3.0, 3.0, 3.0)
    assert percentiles([]) is None


def test_the_longest_run_of_unusable_units() -> None:
    assert longest_run([False, True, False, False, True]) == 2
    assert longest_run([True]) == longest_run([]) == 0


@pytest.mark.parametrize("feed", Feed)
async def test_sources_hand_over_at_even_times(feed: Feed) -> None:
    fast = Workload("fast", 20.0, 2, 60)
    loop = asyncio.get_running_loop()
    with udp_socket() as sock:
        source = Source(fast, sock.getsockname()[1], feed)
        task = asyncio.create_task(source.run())
        pieces: list[Piece] = []
        async with asyncio.timeout(5.0):
            while len(pieces) < 8:
                piece = Piece.parse(await loop.sock_recv(sock, 1000), fast.size)
                assert piece is not None
                pieces.append(piece)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [(piece.unit, piece.place) for piece in pieces] == [
        (n, place) for n in range(4) for place in (0, 1)
    ]
    gap = pieces[1].sent - pieces[0].sent
    assert gap == 0.0 if feed is Feed.WHOLE else gap >= 0.5 * fast.interval
    assert pieces[6].sent - pieces[0].sent > 2.5 * fast.duration  # how much later, is up to the machine


def test_sockets_are_on_loopback_alone() -> None:
    with udp_socket() as sock:
        assert sock.getsockname()[0] == HOST
        assert sock.family == socket.AF_INET
