"""The payload limit in force: what lowers it, what does not, how it comes back, and what trials cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from sender.packet_length.adapt import LOWERED_UNITS, MOST_PACKETS, TRIAL_UNITS, PacketLength
from sender.packet_length.join import PACKETS, LateJoin, join_packets
from sender.packet_length.plan import WIRE_HEADER_BYTES

MOST = 1171
SHARE = 2500.0  # wire bytes of a unit
Arrives = Callable[[int], float]


def symbols(slope: float, floor: float = 0.0) -> Arrives:
    return lambda size: math.exp(-floor - slope * size)


def run(
    lengths: PacketLength,
    arrives: Arrives,
    units: int,
    seed: int = 1,
    heard: bool = True,
    share: float = SHARE,
) -> list[int]:
    """The limits of so many units, each cut into packets as long as allowed, whose fates are told at once."""
    rng, limits = np.random.default_rng(seed), []
    for _ in range(units):
        limit = lengths.next_unit(share, heard)
        limits.append(limit)
        packets = max(2, math.ceil(share / (limit + WIRE_HEADER_BYTES)))
        size = math.floor(share / packets)
        lengths.learn((size, bool(rng.random() < arrives(size))) for _ in range(packets))
    return limits


def test_symbol_errors_shorten_packets_within_a_minute() -> None:
    lengths = PacketLength(MOST)
    limits = run(lengths, symbols(2e-3), 225)
    assert 200 <= lengths.limit <= 450
    assert limits[: TRIAL_UNITS - 1] == [MOST] * (TRIAL_UNITS - 1)
    assert next(at for at, limit in enumerate(limits) if lengths.limit <= limit < 500) < 150


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_loss_that_hits_all_lengths_alike_shortens_nothing(loss: float, seed: int) -> None:
    lengths = PacketLength(MOST)
    limits = run(lengths, lambda _: 1 - loss, 600, seed)
    assert lengths.limit == MOST
    trials = sum(limit < MOST for limit in limits)
    assert trials == lengths.trials
    assert trials == 0 if loss < 0.1 else 0 < trials <= 600 / TRIAL_UNITS


def test_trials_that_teach_nothing_become_rare_and_frequent_again_with_the_loss() -> None:
    lengths = PacketLength(MOST)
    run(lengths, lambda _: 0.6, 800)
    before = lengths.trials
    run(lengths, lambda _: 0.6, 320)
    assert lengths.trials - before <= 320 / 32
    before = lengths.trials
    run(lengths, lambda _: 0.15, 320)
    assert lengths.trials - before >= 320 / 16


def test_after_the_errors_the_limit_comes_back_slowly() -> None:
    lengths = PacketLength(MOST)
    run(lengths, symbols(2e-3), 300)
    low = lengths.limit
    back = []
    for seed in range(80):
        run(lengths, lambda _: 1.0, 1, seed)
        back.append(lengths.limit)
    assert low < MOST / 2 and low < lengths.limit < MOST
    assert all(after <= 1.16 * before for before, after in itertools.pairwise(back))
    run(lengths, lambda _: 1.0, 300)
    assert lengths.limit == MOST


def test_while_lowered_a_longer_unit_is_tried_now_and_then() -> None:
    lengths = PacketLength(MOST)
    run(lengths, symbols(2e-3), 300)
    limits = run(lengths, symbols(2e-3), 120, seed=2)
    longer = [limit for limit in limits if limit > 1.5 * lengths.limit]
    assert 0 < len(longer) <= 1 + 120 / LOWERED_UNITS


def test_nothing_is_tried_or_changed_while_nobody_is_heard() -> None:
    lengths = PacketLength(MOST)
    assert set(run(lengths, symbols(2e-3), 200, heard=False)) == {MOST}
    assert lengths.trials == 0


def test_limits_are_kept() -> None:
    fixed = PacketLength(400, 400)
    assert set(run(fixed, symbols(2e-3), 200)) == {400}
    careful = PacketLength(MOST, 600)
    assert min(run(careful, symbols(3e-3), 300)) >= 600
    rich = PacketLength(MOST)  # a unit has so many packets at most, whatever is lost
    share = 12_000.0
    assert min(run(rich, symbols(2e-3), 300, share=share)) >= share / MOST_PACKETS - WIRE_HEADER_BYTES
    with pytest.raises(ValueError, match="at least 1"):
        PacketLength(0)


def test_late_joiners_get_their_packets_where_headers_allow() -> None:
    assert PACKETS == 21
    shares = [kbps * 125 * 4 / 15 for kbps in (10, 15, 20, 30, 60, 500)]
    assert [join_packets(share, 4 / 15, 0.2) for share in shares] == [1, 1, 2, 3, 3, 3]
    assert [join_packets(share, 4 / 15, 0.1) for share in shares] == [1, 1, 1, 1, 3, 3]
    cut = LateJoin(0.1)
    assert cut.payload(2000.0, 4 / 15, MOST) == 2000 // 3 - 57
    assert cut.payload(40_000.0, 4 / 15, MOST) == MOST
    assert LateJoin(0.1, 600).payload(500.0, 4 / 15, MOST) == 600
    assert cut.payload(1.0, 4 / 15, MOST) == 1
