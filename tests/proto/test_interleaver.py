"""The interleaver: a fair, scattered deal that is the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto import interleaver

counts = st.integers(0, 700)
segment_counts = st.integers(1, 255)
seeds = st.integers(0, 2**64 - 1)


def reference_map(count: int, segments: int, seed: int) -> list[int]:
    """README.md section 6 word for word, in plain Python integers."""
    mask = 2**64 - 1

    def mix(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    random = [mix((mix(seed) + (i + 1) * 0x9E3779B97F4A7C15) & mask) for i in range(max(count, 1))]
    if segments <= 2:
        phase = random[0] >> 63 if count % 2 == 0 else 0
        return [(p + phase) % segments for p in range(count)]
    owner = [0] * count
    for start in range(0, count, segments):
        run = range(start, min(start + segments, count))
        for rank, position in enumerate(sorted(run, key=lambda p: (random[p], p))):
            owner[position] = rank
    for start in range(segments, count, segments):
        if owner[start] == owner[start - 1]:
            if start + 1 < count:
                owner[start], owner[start + 1] = owner[start + 1], owner[start]
            else:
                owner[start - 1], owner[start - 2] = owner[start - 2], owner[start - 1]
    return owner


@settings(deadline=None)
@given(counts, segment_counts, seeds)
def test_layout_follows_the_spec(count: int, segments: int, seed: int) -> None:
    assert interleaver.segment_map(count, segments, seed).tolist() == reference_map(count, segments, seed)


@settings(deadline=None)
@given(counts, segment_counts, seeds)
def test_segments_share_the_positions_out_fairly(count: int, segments: int, seed: int) -> None:
    order = interleaver.permutation(count, segments, seed)
    owner = interleaver.segment_map(count, segments, seed)
    assert sorted(order.tolist()) == list(range(count))
    for index in range(segments):
        mine = interleaver.segment_positions(count, segments, index, seed)
        assert len(mine) == interleaver.segment_size(count, segments, index)
        assert abs(len(mine) - count / segments) < 1
        assert np.all(np.diff(mine) > 0)
        assert np.all(owner[mine] == index)
        assert np.array_equal(mine, order[index::segments])


@settings(deadline=None)
@given(counts, st.integers(2, 255), seeds)
def test_neighbours_never_share_a_segment(count: int, segments: int, seed: int) -> None:
    owner = interleaver.segment_map(count, segments, seed)
    assert np.all(owner[1:] != owner[:-1])


@settings(deadline=None)
@given(counts, st.lists(st.booleans(), min_size=1, max_size=255), seeds)
def test_loss_mask_is_what_the_arrived_segments_carry(count: int, arrived: list[bool], seed: int) -> None:
    expected = np.zeros(count, dtype=bool)
    for index, there in enumerate(arrived):
        if there:
            expected[interleaver.segment_positions(count, len(arrived), index, seed)] = True
    mask = interleaver.loss_mask(count, len(arrived), arrived, seed)
    assert mask.dtype == np.bool_
    assert np.array_equal(mask, expected)


def test_a_loss_takes_its_exact_share_of_every_run() -> None:
    lost_three_of_eight = [True, False, True, True, False, True, False, True]
    mask = interleaver.loss_mask(256, 8, lost_three_of_eight, seed=11)
    assert np.all(mask.reshape(-1, 8).sum(axis=1) == 5)


def test_holes_in_a_picture_are_spread_better_than_by_chance() -> None:
    """3 x 3 windows of a 16 x 16 grid with half of 8 segments lost, against plain random permutations."""
    rng = np.random.default_rng(3)
    empty = {"ours": 0, "random": 0}
    for seed in range(300):
        arrived = rng.permutation(8) < 4
        masks = {
            "ours": interleaver.loss_mask(256, 8, arrived, seed),
            "random": arrived[rng.permutation(256) % 8],
        }
        for name, mask in masks.items():
            windows = np.lib.stride_tricks.sliding_window_view(mask.reshape(16, 16), (3, 3))
            empty[name] += int((windows.sum(axis=(2, 3)) <= 1).sum())
    assert empty["ours"] < 0.7 * empty["random"]


def test_seeds_matter() -> None:
    maps = {interleaver.segment_map(64, 8, seed).tobytes() for seed in range(200)}
    assert len(maps) == 200


def test_cached_arrays_are_read_only() -> None:
    for array in (interleaver.permutation(9, 3, 1), interleaver.segment_map(9, 3, 1)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("count", "segments", "message"),
    [
        (-1, 1, "count: must be 0"),
        (2**20 + 1, 1, "count: must be 0"),
        (5, 0, "segments: must be 1"),
        (5, 256, "segments: must be 1"),
    ],
)
def test_arguments_out_of_range_are_named(count: int, segments: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interleaver.permutation(count, segments, 0)


def test_index_and_mask_must_fit_the_segments() -> None:
    with pytest.raises(ValueError, match=r"index: must be 0\.\.2 \(got 3\)"):
        interleaver.segment_positions(9, 3, 3, 0)
    with pytest.raises(ValueError, match=r"arrived: must have 3 entries \(got 2\)"):
        interleaver.loss_mask(9, 3, [True, False], 0)
