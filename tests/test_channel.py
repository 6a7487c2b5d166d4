from __future__ import annotations

import pytest

from tests.channel import Channel, Impairments

PACKETS = 20_000


def lost(link: Impairments, seed: int = 1, packets: int = PACKETS) -> list[bool]:
    channel = Channel(link, seed)
    return [not channel.transfer(b"x" * 100, now=n * 0.001) for n in range(packets)]


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
    assert sum(runs(pattern)) / len(runs(pattern)) == pytest.approx(burst, rel=0.06)


def test_same_seed_loses_the_same_numbers_whatever_else_is_on() -> None:
    plain = lost(Impairments(loss=0.3), seed=7)
    dressed = Impairments(loss=0.3, delay_s=0.1, jitter_s=0.05, reorder=0.2, duplicate=0.3, corrupt=0.4)
    assert lost(dressed, seed=7) == plain
    assert lost(Impairments(loss=0.3), seed=8) != plain


def test_delay_jitter_and_order() -> None:
    channel = Channel(Impairments(delay_s=0.05, jitter_s=0.03), 3)
    sent = [n * 0.001 for n in range(500)]
    times = [channel.transfer(b"abc", now)[0][0] for now in sent]
    assert times == sorted(times)
    assert all(0.05 <= at - now <= 0.08 + 1e-9 for at, now in zip(times, sent, strict=True))


def test_reordered_packets_are_overtaken() -> None:
    channel = Channel(Impairments(reorder=0.1, reorder_s=0.02), 3)
    times = [channel.transfer(b"abc", n * 0.001)[0][0] for n in range(500)]
    assert times != sorted(times)
    assert 25 < channel.counts.reordered < 80


def test_corruption_flips_exactly_one_bit() -> None:
    channel = Channel(Impairments(corrupt=1.0), 5)
    data = bytes(40)
    [(_, got)] = channel.transfer(data, 0.0)
    assert sum(byte.bit_count() for byte in got) == 1
    assert channel.transfer(b"", 0.0) == [(0.0, b"")]


def test_outage_counts_from_the_first_packet() -> None:
    channel = Channel(Impairments(outages=((1.0, 0.5),)), 1)
    got = [n for n in range(20) if channel.transfer(b"x", 100.0 + n * 0.1)]
    assert got == [*range(10), *range(15, 20)]
    assert channel.counts.outage == 5


def test_bottleneck_spaces_packets_and_drops_the_tail() -> None:
    channel = Channel(Impairments(rate_kbps=80.0, queue_s=0.1), 1)  # 10 000 bytes a second
    times = [delivery[0][0] for _ in range(50) if (delivery := channel.transfer(bytes(72), 0.0))]
    assert times[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert len(times) == 11
    assert channel.counts.overflow == 39


def test_counts_add_up() -> None:
    link = Impairments(loss=0.4, duplicate=0.3, rate_kbps=500.0, outages=((2.0, 1.0),))
    channel = Channel(link, 9)
    copies = sum(len(channel.transfer(bytes(100), n * 0.001)) for n in range(5000))
    counts = channel.counts
    assert counts.forwarded == copies
    assert (
        counts.received
        == counts.forwarded - counts.duplicated + counts.lost + counts.outage + counts.overflow
    )
    assert counts.wire_bytes == 5000 * 128


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"loss": 1.5}, "loss"),
        ({"corrupt": -0.1}, "corrupt"),
        ({"delay_s": -1.0}, "delay_s"),
        ({"rate_kbps": 0.0}, "rate_kbps"),
        ({"loss": 0.9, "burst": 3.0}, "burst"),
        ({"burst": 0.5}, "burst"),
    ],
)
def test_impossible_links_name_the_setting(settings: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: "):
        Impairments(**settings)  # type: ignore[arg-type]
