from __future__ import annotations

import pytest

from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments
from tests.bench.link.losses import damaged_symbols, symbols_of
from tests.bench.link.model import IP_UDP_BYTES, Link

PACKETS = 20_000


def lost(
    link: Impairments, seed: int = 1, packets: int = PACKETS, way: Direction = Direction.FORWARD
) -> list[bool]:
    emulated = Link(link, seed, way)
    return [not emulated.transfer(b"x" * 100, now=n * 0.001) for n in range(packets)]


def runs(pattern: list[bool]) -> list[int]:
    lengths, current = [], 0
    for gone in [*pattern, False]:
        if gone:
            current += 1
        elif current:
            lengths.append(current)
            current = 0
    return lengths


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_independent_losses_reach_their_share(loss: float) -> None:
    pattern = lost(Impairments(loss=loss))
    assert sum(pattern) / PACKETS == pytest.approx(loss, abs=0.012)
    if loss == 0.5:
        assert sum(runs(pattern)) / len(runs(pattern)) == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(("loss", "burst"), [(0.1, 5.0), (0.5, 8.0), (0.9, 40.0)])
def test_bursts_have_their_length_and_share(loss: float, burst: float) -> None:
    pattern = lost(Impairments(loss=loss, burst=burst), packets=200_000)
    assert sum(pattern) / 200_000 == pytest.approx(loss, abs=0.02)
    lengths = runs(pattern)
    assert sum(lengths) / len(lengths) == pytest.approx(burst, rel=0.06)
    single = sum(length == 1 for length in lengths) / len(lengths)
    assert single == pytest.approx(1 / burst, abs=0.02)  # geometric


@pytest.mark.parametrize("burst", [None, 6.0])
def test_same_seed_loses_the_same_numbers_whatever_else_is_on(burst: float | None) -> None:
    plain = lost(Impairments(loss=0.3, burst=burst), seed=7)
    dressed = Impairments(
        loss=0.3,
        burst=burst,
        delay_s=0.1,
        jitter_s=0.05,
        reorder=0.2,
        duplicate=0.3,
        corrupt=0.4,
        rate_kbps=1e6,
    )
    assert lost(dressed, seed=7) == plain
    assert lost(Impairments(loss=0.3, burst=burst), seed=8) != plain


@pytest.mark.parametrize("burst", [None, 6.0])
def test_an_outage_or_a_full_queue_moves_no_other_loss(burst: float | None) -> None:
    plain = lost(Impairments(loss=0.3, burst=burst), packets=3000)
    outage = lost(Impairments(loss=0.3, burst=burst, outages=((1.0, 1.0),)), packets=3000)
    assert outage == plain[:1000] + [True] * 1000 + plain[2000:]
    link = Link(Impairments(loss=0.3, burst=burst))
    for n in range(1000):
        link.refuse(b"x", n * 0.001)
    assert [not link.transfer(b"x", n * 0.001) for n in range(1000, 3000)] == plain[1000:]


def test_directions_lose_independently() -> None:
    there, back = (lost(Impairments(loss=0.5), way=way) for way in Direction)
    both = sum(a and b for a, b in zip(there, back, strict=True)) / PACKETS
    assert both == pytest.approx(0.25, abs=0.012)


@pytest.mark.parametrize(("size", "bits"), [(100, 8), (1172, 8), (100, 6), (100, 1), (1172, 4)])
def test_packets_are_damaged_with_the_probability_of_any_wrong_symbol(size: int, bits: int) -> None:
    """MSTVSC, equations 1 and 2: 1 - (1 - SER)^(8 n / M) with all headers in n."""
    errors, packets = 0.001, 8000
    link = Link(Impairments(symbol_errors=errors, symbol_bits=bits), 3)
    gone = sum(not link.transfer(bytes(size), 0.0) for _ in range(packets)) / packets
    assert gone == pytest.approx(1 - (1 - errors) ** symbols_of(size + IP_UDP_BYTES, bits), abs=0.017)
    assert link.counts.damaged == round(gone * packets)


def test_wrong_symbols_are_independent() -> None:
    found = [damaged_symbols(1, n, Direction.FORWARD, 50, 0.1) for n in range(4000)]
    for place in (0, 1, 25, 49):
        assert sum(place in hit for hit in found) / 4000 == pytest.approx(0.1, abs=0.02)
    assert sum(len(hit) for hit in found) / 4000 == pytest.approx(5.0, rel=0.03)
    assert all(hit == sorted(set(hit)) for hit in found)
    pairs = sum(10 in hit and 11 in hit for hit in found) / 4000
    assert pairs == pytest.approx(0.01, abs=0.005)
    assert damaged_symbols(1, 0, Direction.FORWARD, 5, 1.0) == [0, 1, 2, 3, 4]
    assert damaged_symbols(1, 0, Direction.FORWARD, 5, 1e-300) == []


@pytest.mark.parametrize("bits", [1, 8, 6, 64])
def test_delivered_damage_lies_in_the_wrong_symbols(bits: int) -> None:
    """One bit for each; who is hit in the headers does not arrive."""
    link = Link(Impairments(symbol_errors=0.01, symbol_bits=bits, damaged="deliver"), 5)
    data, header = bytes(101), 8 * IP_UDP_BYTES
    whole = 0
    for number in range(300):
        hit = damaged_symbols(5, number, Direction.FORWARD, symbols_of(129, bits), 0.01)
        deliveries = link.transfer(data, 0.0)
        if any((symbol + 1) * bits <= header for symbol in hit):
            assert deliveries == []
        elif deliveries:
            [(_, got)] = deliveries
            ones = [header + 8 * n + k for n, byte in enumerate(got) for k in range(8) if byte >> k & 1]
            assert [bit // bits for bit in ones] == hit
            whole += not hit
        else:
            assert any(symbol * bits < header for symbol in hit)
    assert link.counts.corrupted + link.counts.damaged + whole == 300
    assert link.counts.corrupted > 0
