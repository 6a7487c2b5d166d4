"""Entropy coding: lossless for any elements and sets, costs what it says, no more than the documented error."""

from __future__ import annotations

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.codec.context import CONTEXTS, contexts, group_sizes
from common.codec.entropy import MAX_ELEMENT, SETS, TOTAL, Elements, Sets, Tables
from common.codec.weights import load_model

MODEL = load_model("resilient")
BOTH = {"latent": MODEL.tables, "base": MODEL.base_tables}


@st.composite
def coded(draw: st.DrawFn) -> tuple[Tables, Elements, Sets]:
    """Tables of latent or base, elements of some positions, and a set of tables for each position."""
    tables = BOTH[draw(st.sampled_from(sorted(BOTH)))]
    positions = draw(st.integers(1, 6))
    value = st.one_of(st.integers(-2, 2), st.integers(-MAX_ELEMENT, MAX_ELEMENT))
    elements = draw(arrays(np.int32, (tables.channels, positions), elements=value, fill=st.just(0)))
    return tables, elements, draw(arrays(np.int32, positions, elements=st.integers(0, SETS - 1)))


def encode(tables: Tables, elements: Elements, sets: Sets) -> np.ndarray:
    coder = constriction.stream.queue.RangeEncoder()
    tables.encode(coder, elements, sets)
    return np.asarray(coder.get_compressed())


@settings(deadline=None)
@given(coded())
def test_round_trip(case: tuple[Tables, Elements, Sets]) -> None:
    tables, elements, sets = case
    coder = constriction.stream.queue.RangeDecoder(encode(tables, elements, sets))
    assert np.array_equal(tables.decode(coder, sets), elements)


@settings(deadline=None)
@given(
    arrays(np.uint32, st.integers(0, 100)), arrays(np.int32, st.integers(1, 40), elements=st.integers(0, 7))
)
def test_garbage_gives_elements_or_the_coders_complaint(words: np.ndarray, sets: Sets) -> None:
    try:
        elements = MODEL.tables.decode(constriction.stream.queue.RangeDecoder(words), sets)
    except AssertionError:
        return
    assert elements.shape == (MODEL.latent, len(sets))
    assert np.abs(elements).max() <= MAX_ELEMENT


@pytest.mark.parametrize("name", BOTH)
def test_cost_is_what_coding_takes(name: str) -> None:
    tables, rng = BOTH[name], np.random.default_rng(1)
    elements = np.rint(rng.laplace(0, 0.6, (tables.channels, 64))).astype(np.int32)
    elements[0, :3] = 16, -400, MAX_ELEMENT  # escapes
    for table_set in range(SETS):
        words = encode(tables, elements, np.full(64, table_set, np.int32))
        assert abs(32 * len(words) - tables.cost(elements, table_set).sum()) < 64


def test_each_position_is_coded_with_its_own_set() -> None:
    rng = np.random.default_rng(2)
    elements = np.rint(rng.laplace(0, 0.6, (MODEL.latent, 64))).astype(np.int32)
    sets = rng.integers(0, SETS, 64).astype(np.int32)
    expected = sum(MODEL.tables.cost(elements[:, [p]], s)[0] for p, s in enumerate(sets))
    assert abs(32 * len(encode(MODEL.tables, elements, sets)) - expected) < 64


@pytest.mark.parametrize("name", BOTH)
def test_every_table_is_integer_and_whole(name: str) -> None:
    counts = BOTH[name].counts
    assert counts.dtype == np.uint16
    assert (counts.sum(-1, dtype=np.int64) == TOTAL).all()
    assert counts.min() >= 1
    assert (MODEL.tables.channels, MODEL.base_tables.channels) == (MODEL.latent, MODEL.base)


def test_tables_that_do_not_sum_are_refused() -> None:
    counts = MODEL.base_tables.counts.copy()
    counts[0, 0, 0, 0] += 1
    with pytest.raises(ValueError, match="sum to"):
        Tables(counts)
    with pytest.raises(ValueError, match="shape"):
        Tables(counts[:7])


def test_groups_cover_the_channels() -> None:
    for channels in (12, 24, 48, 96, 100, 192):
        assert sum(group_sizes(channels)) == channels
    with pytest.raises(ValueError, match="channels"):
        group_sizes(8)


def test_contexts_double_with_the_mean_magnitude() -> None:
    sums = np.array([0, 1, 2, 4, 8, 16, 32, 64, 10_000])
    assert contexts(sums, 16).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7]
    assert contexts(sums, 0).tolist() == [0] * 9
    assert contexts(np.array([10**9]), 8).max() < CONTEXTS
