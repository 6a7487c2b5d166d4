"""The draft of a unit: what it is made of, and that training sees the same one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.codec.compose import FACTS, LONG, Last, compose
from common.codec.header import FRAMES, QUALITIES, SHRINKS
from common.codec.pictures import Planes, to_values
from common.training.sequences import Batch
from common.training.step import draft

SIDE = 32


def view(seed: int) -> Planes:
    rng = np.random.default_rng(seed)
    luma = rng.integers(0, 256, (FRAMES, SIDE, SIDE), dtype=np.uint8)
    return Planes(luma, rng.integers(0, 256, (FRAMES, 2, SIDE // 2, SIDE // 2), dtype=np.uint8))


LAST = Last(*(planes[-1].astype(np.float32) for planes in view(9)))


def test_one_view_is_the_draft() -> None:
    made = compose([view(1)], [31], 1, LAST, 0)
    assert np.array_equal(made.luma, view(1).luma)
    assert np.array_equal(made.chroma, view(1).chroma)
    assert not made.spread.any()
    assert made.facts.tolist() == [1, 0, 1, 0, 0]


def test_of_several_it_is_the_mean_and_they_differ_by_the_spread() -> None:
    views = [view(seed) for seed in (1, 2, 3)]
    made = compose(views, [0, 31, 31], 4, LAST, LONG)
    luma = np.stack([v.luma for v in views]).astype(np.float64)
    assert np.allclose(made.luma, luma.mean(0), atol=1e-4)
    assert np.allclose(made.chroma, np.stack([v.chroma for v in views]).mean(0), atol=1e-4)
    assert np.allclose(made.spread, np.sqrt(luma.var(0).mean(0)), atol=1e-3)
    assert made.facts == pytest.approx([0, 1, 2 / 3, 1, 1])


def test_views_that_are_the_same_have_no_spread() -> None:
    assert compose([view(1), view(1)], [5, 5], 1, LAST, 0).spread.max() == 0


def test_where_nothing_arrived_the_last_picture_is_held() -> None:
    made = compose([], [], 2, LAST, 3)
    assert made.luma.shape == (FRAMES, SIDE, SIDE)
    for index in range(FRAMES):
        assert np.array_equal(made.luma[index], LAST.luma)
        assert np.array_equal(made.chroma[index], LAST.chroma)
    assert not made.spread.any()
    assert made.facts == pytest.approx([0, 0, 0, 1 / 3, 3 / LONG])


@pytest.mark.parametrize("shrink", SHRINKS)
@pytest.mark.parametrize("quality", [0, 17, QUALITIES - 1])
@pytest.mark.parametrize("missed", [0, LONG, 1000])
def test_the_network_gets_floats_from_0_to_1_as_facts(shrink: int, quality: int, missed: int) -> None:
    made = compose([view(1), view(2)], [quality, quality], shrink, LAST, missed)
    assert made.facts.shape == (FACTS,)
    assert {a.dtype for a in (made.luma, made.chroma, made.spread, made.facts)} == {np.dtype(np.float32)}
    assert 0 <= made.facts.min() <= made.facts.max() <= 1


def as_batch(arrived: list[list[int]], qualities: list[int], shrinks: list[int]) -> Batch:
    """A sequence of one unit for each row of `arrived`, all of the same two views."""
    luma, chroma = (
        np.stack([np.stack(kind)] * len(arrived))[:, None] for kind in zip(view(1), view(2), strict=True)
    )
    rows = np.array(arrived, np.float32)[:, None]
    quality = np.broadcast_to(np.array(qualities, np.float32) / (QUALITIES - 1), rows.shape)
    shrink = ((np.array(shrinks)[:, None] - 1) / (SHRINKS[-1] - 1)).astype(np.float32)
    clean = np.zeros(len(arrived), np.bool_)
    return Batch(
        luma[:, :, 0], chroma[:, :, 0], luma, chroma, rows, np.ascontiguousarray(quality), shrink, clean
    )


def test_training_makes_the_same_draft() -> None:
    """What the network learns from must be what the decoder will give it: as its inputs, in its units."""
    arrived, qualities = [[1, 1], [1, 0], [0, 1], [0, 0]], [7, 22]
    shrinks, missed = [1, 2, 4, 2], [0, 3, LONG, LONG + 5]
    count = len(arrived)
    last = torch.from_numpy(to_values(LAST.luma))[None, None], torch.from_numpy(to_values(LAST.chroma))[None]
    trained = draft(
        as_batch(arrived, qualities, shrinks),
        0,
        (last[0].expand(count, -1, -1, -1), last[1].expand(count, -1, -1, -1)),
        torch.tensor(missed, dtype=torch.float32),
    )
    for row, there in enumerate(arrived):
        views = [v for v, is_there in zip((view(1), view(2)), there, strict=True) if is_there]
        known = [q for q, is_there in zip(qualities, there, strict=True) if is_there]
        made = compose(views, known, shrinks[row], LAST, missed[row])
        decoded = to_values(made.luma), to_values(made.chroma), made.spread[None] / 127.5, made.facts
        for one, other in zip(trained, decoded, strict=True):
            assert one[row].shape == other.shape
            assert np.allclose(one[row].numpy(), other, atol=2e-6)
