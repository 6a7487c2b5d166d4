"""Entropy coding: lossless for any elements, costs what it says, refuses what it did not write."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.codec.base import CodecError
from common.codec.context import CONTEXTS, contexts, group_sizes
from common.codec.entropy import MAX_ELEMENT, TOTAL, Tables
from common.codec.header import SCALES
from common.codec.weights import load_model

TABLES = load_model("resilient").tables

elements = arrays(
    np.int32,
    st.tuples(st.just(TABLES.channels), st.integers(1, 6)),
    elements=st.one_of(st.integers(-2, 2), st.integers(-MAX_ELEMENT, MAX_ELEMENT)),
    fill=st.just(0),
)


@given(elements, st.integers(0, SCALES - 1))
def test_round_trip(values: np.ndarray, scale: int) -> None:
    data = TABLES.encode(values, scale)
    assert np.array_equal(TABLES.decode(data, values.shape[1], scale), values)


@given(st.binary(max_size=400), st.integers(1, 40), st.integers(0, SCALES - 1))
def test_garbage_gives_elements_or_the_documented_error(data: bytes, positions: int, scale: int) -> None:
    try:
        values = TABLES.decode(data, positions, scale)
    except CodecError:
        return
    assert values.shape == (TABLES.channels, positions)
    assert np.abs(values).max() <= MAX_ELEMENT


def test_cost_is_what_coding_takes() -> None:
    rng = np.random.default_rng(1)
    values = np.rint(rng.laplace(0, 0.6, (TABLES.channels, 64))).astype(np.int32)
    expected = TABLES.cost(values).sum(1)
    for scale in range(SCALES):
        coded = 8 * len(TABLES.encode(values, scale))
        assert abs(coded - expected[scale]) < 64


def test_every_table_is_integer_and_whole() -> None:
    assert TABLES.counts.dtype == np.uint16
    assert (TABLES.counts.sum(-1, dtype=np.int64) == TOTAL).all()
    assert TABLES.counts.min() >= 1


def test_tables_that_do_not_sum_are_refused() -> None:
    counts = TABLES.counts.copy()
    counts[0, 0, 0, 0] += 1
    with pytest.raises(ValueError, match="sum to"):
        Tables(counts)


def test_groups_cover_the_channels() -> None:
    for channels in (12, 48, 96, 100):
        assert sum(group_sizes(channels)) == channels
    with pytest.raises(ValueError, match="channels"):
        group_sizes(8)


def test_contexts_double_with_the_mean_magnitude() -> None:
    sums = np.array([0, 1, 2, 4, 8, 16, 32, 64, 10_000])
    assert contexts(sums, 16).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7]
    assert contexts(sums, 0).tolist() == [0] * 9
    assert contexts(np.array([10**9]), 8).max() < CONTEXTS
