"""Levels: whole integer tables, the stillness that costs least, one quality a level."""

from __future__ import annotations

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.codec.entropy import TOTAL
from common.codec.header import QUALITIES, STILLNESSES
from common.codec.levels import (
    LEVELS,
    Levels,
    best_stillness,
    level_bits,
    level_counts,
    level_of,
    quality_of,
)
from tests.common.codec import integer_coder

qualities, stillnesses = st.integers(0, QUALITIES - 1), st.integers(0, STILLNESSES - 1)
levels_of_a_packet = arrays(np.int32, st.integers(1, 60), elements=st.integers(0, LEVELS))


def encode(levels: Levels, quality: int, stillness: int) -> np.ndarray:
    counts = np.array(level_counts(quality, stillness), np.float64)
    coder = constriction.stream.queue.RangeEncoder()
    coder.encode(levels, constriction.stream.model.Categorical(counts / TOTAL, perfect=False))
    return np.asarray(coder.get_compressed())


def test_counts_are_positive_and_whole() -> None:
    for quality in range(QUALITIES):
        for stillness in range(STILLNESSES):
            counts = level_counts(quality, stillness)
            assert len(counts) == LEVELS + 1
            assert sum(counts) == TOTAL
            assert min(counts) >= 1
            assert list(counts) == integer_coder.level_counts(quality, stillness)


def test_known_counts() -> None:
    """The vectors of the spec."""
    assert level_counts(12, 3) == (26214, 971, 2913, 7766, 15536, 7766, 2913, 971, 486)
    assert level_counts(31, 7) == (62259, 15, 15, 29, 57, 113, 339, 902, 1807)


def test_the_likeliest_level_is_that_of_the_units_quality_and_more_stillness_leaves_more_out() -> None:
    for quality in range(QUALITIES):
        for stillness in range(STILLNESSES):
            counts = level_counts(quality, stillness)
            assert int(np.argmax(counts[1:])) + 1 == level_of(quality)
        left_out = [level_counts(quality, s)[0] for s in range(STILLNESSES)]
        assert left_out == sorted(set(left_out))


def test_each_level_has_a_quality_and_each_quality_a_level() -> None:
    assert [quality_of(level) for level in range(1, LEVELS + 1)] == list(range(3, QUALITIES, 4))
    assert [level_of(quality_of(level)) for level in range(1, LEVELS + 1)] == list(range(1, LEVELS + 1))
    assert {level_of(quality) for quality in range(QUALITIES)} == set(range(1, LEVELS + 1))


@settings(deadline=None)
@given(levels_of_a_packet, qualities, stillnesses)
def test_round_trip_at_the_cost_that_is_told(levels: Levels, quality: int, stillness: int) -> None:
    words = encode(levels, quality, stillness)
    table = integer_coder.bounds(integer_coder.level_counts(quality, stillness))
    coder = integer_coder.RangeDecoder(words.astype(">u4").tobytes())
    assert [coder.symbol(table) for _ in levels] == levels.tolist()
    assert abs(32 * len(words) - level_bits(quality, stillness)[levels].sum()) < 64


@settings(deadline=None)
@given(levels_of_a_packet, qualities)
def test_the_best_stillness_costs_least(levels: Levels, quality: int) -> None:
    bits = [level_bits(quality, s)[levels].sum() for s in range(STILLNESSES)]
    assert bits[best_stillness(levels, quality)] == pytest.approx(min(bits))


def test_still_and_busy_packets_are_told_apart() -> None:
    for quality in (0, 12, 31):
        assert best_stillness(np.zeros(40, np.int32), quality) == STILLNESSES - 1
        assert best_stillness(np.full(40, level_of(quality), np.int32), quality) == 0
