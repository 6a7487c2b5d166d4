"""Rate maps of training: plain sequences send all, others leave out what stands, and turns come to every position."""

from __future__ import annotations

import torch

from common.training.levels import PLAIN_SHARE, random_levels

BATCH, UNITS, CHANNELS, SIDE = 400, 6, 8, 4
STEPS = torch.full((BATCH, CHANNELS), 0.2)
QUALITY = torch.linspace(0, 1, BATCH)


def drawn(latent: torch.Tensor, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return random_levels(latent, STEPS, QUALITY)


def still() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, 1, CHANNELS, SIDE, SIDE).expand(-1, UNITS, -1, -1, -1)


def moving() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, UNITS, CHANNELS, SIDE, SIDE)


def test_shapes_and_ranges() -> None:
    sent, quality = drawn(moving())
    assert sent.shape == quality.shape == (BATCH, UNITS, 1, SIDE, SIDE)
    assert ((sent == 0) | (sent == 1)).all()
    assert 0 <= quality.min() <= quality.max() <= 1
    assert (
        quality >= QUALITY[:, None, None, None, None] - 1e-6
    ).all()  # finer than the sequence, never coarser


def test_the_first_unit_is_sent_wholly() -> None:
    for latent in (still(), moving()):
        assert (drawn(latent)[0][:, 0] == 1).all()


def test_what_moves_is_sent_and_what_stands_is_mostly_left_out() -> None:
    """Random pictures change by many steps from unit to unit."""
    assert (drawn(moving())[0] == 1).all()
    later = drawn(still())[0][:, 1:]
    assert 0.2 < later.mean() < 0.8
    assert PLAIN_SHARE - 0.1 < (later.flatten(1).mean(1) == 1).float().mean() < PLAIN_SHARE + 0.2


def test_plain_sequences_have_one_quality_and_others_turns() -> None:
    sent, quality = drawn(still())
    level = quality.flatten(1)
    plain = (sent.flatten(1).min(1).values == 1) & (level == QUALITY[:, None]).all(1)
    assert PLAIN_SHARE - 0.1 < plain.float().mean() < PLAIN_SHARE + 0.2
    finer = level > QUALITY[:, None] + 1e-6
    turns = finer[~plain & (QUALITY < 0.9)].float().mean(1)
    assert (turns > 0).float().mean() > 0.9
    assert 0.1 < turns.mean() < 0.5
    assert not finer[plain].any()


def test_a_turn_is_always_sent() -> None:
    sent, quality = drawn(still())
    assert (sent[quality > QUALITY[:, None, None, None, None] + 1e-6] == 1).all()


def test_change_counts_from_what_was_last_sent() -> None:
    """A drift of a little each unit is not left out for ever."""
    drift = torch.arange(UNITS * 4).float()[None, :, None, None, None] * 0.05
    latent = drift.expand(BATCH, -1, CHANNELS, SIDE, SIDE)
    sent, _ = drawn(latent)
    gaps = (sent == 0).flatten(2).long()
    longest, run = (
        torch.zeros(BATCH, SIDE * SIDE, dtype=torch.long),
        torch.zeros(BATCH, SIDE * SIDE, dtype=torch.long),
    )
    for unit in range(gaps.shape[1]):
        run = (run + 1) * gaps[:, unit]
        longest = torch.maximum(longest, run)
    assert 0 < longest.max() <= 3  # a step of 0.2 is passed after four units at the latest


def test_seeded() -> None:
    for a, b in zip(drawn(still(), 5), drawn(still(), 5), strict=True):
        assert torch.equal(a, b)
