"""The recovery over units: what is kept holds, states are never changed in place, silence freezes, guesses foretold."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from common.codec.encoder import ResilientEncoder
from common.codec.header import CodecHeader
from common.codec.levels import LEFT_OUT
from common.codec.parse import ParsedUnit, lost_unit, parse_unit
from common.codec.recovery import RECOVERED_SECONDS, Recoverer, RecoveryState, near
from common.codec.weights import load_model
from common.video import Picture
from tests.common.codec.conversation import assert_equal_states
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, budget, receive, still_pictures, unit_pictures

MODEL = load_model("resilient")
RECOVERER = Recoverer(MODEL)
UNIT_SECONDS = MODEL.frames / FPS


def coded(*units: list[Picture]) -> list[ParsedUnit]:
    """What whole units of a session say."""
    encoder = ResilientEncoder(MODEL, WIDTH, HEIGHT, FPS)
    parsed = [parse_unit(MODEL, receive(encoder.encode(u, n, budget(250)), n)) for n, u in enumerate(units)]
    return [unit for unit in parsed if unit is not None]


def after(units: list[ParsedUnit]) -> RecoveryState:
    state = RECOVERER.start(units[0].header)
    for unit in units:
        state, _ = RECOVERER.advance(state, unit)
    return state


STILL = coded(*[still_pictures()] * 3)
MOVING = coded(*map(unit_pictures, range(3)))
HEADER: CodecHeader = STILL[0].header


def kept_unit(unit: ParsedUnit) -> ParsedUnit:
    """It arrived that every position is left out."""
    nothing = lost_unit(MODEL, unit.header)
    return replace(nothing, base=unit.base, levels=np.full_like(unit.levels, LEFT_OUT))


def half_lost(unit: ParsedUnit) -> ParsedUnit:
    """Every other position's packet is lost."""
    there = np.arange(unit.levels.size) % 2 == 0
    return replace(unit, levels=np.where(there, unit.levels, -1), elements=unit.elements * there)


def distance(state: RecoveryState, other: RecoveryState) -> float:
    """Root mean square over the latent, in quantiser steps of the units."""
    step = MODEL.steps[STILL[-1].header.quality][:, None, None]
    return float(np.sqrt((((state.latent - other.latent)[0] / step) ** 2).mean()))


def test_what_is_kept_holds_and_what_is_lost_holds_less() -> None:
    state = after(STILL)
    kept, _ = RECOVERER.advance(state, kept_unit(STILL[-1]))
    lost, _ = RECOVERER.advance(state, lost_unit(MODEL, HEADER))
    nothing = distance(state, RECOVERER.start(HEADER))
    assert distance(kept, state) < 0.25 * nothing
    assert distance(kept, state) < distance(lost, state) < nothing


def test_what_is_kept_stays_over_seconds() -> None:
    state = first = after(STILL)
    for _ in range(12):
        state, _ = RECOVERER.advance(state, kept_unit(STILL[-1]))
    assert distance(state, first) < 0.5 * distance(first, RECOVERER.start(HEADER))
    assert (state.age == 0).all()


@pytest.mark.parametrize("change", [kept_unit, lambda u: replace(lost_unit(MODEL, u.header), base=u.base)])
def test_the_state_stays_bounded_where_only_the_base_comes(change) -> None:  # type: ignore[no-untyped-def]
    """Minutes in which positions are left out, or lost while other packets bring the base."""
    state, unit = after(STILL), change(STILL[-1])
    largest = np.abs(state.latent).max()
    for _ in range(1000):
        state, _ = RECOVERER.advance(state, unit)
    assert np.abs(state.latent).max() < 3 * largest


def test_what_arrives_lies_within_its_quantiser_step() -> None:
    """Elements tell an interval of one step around prior + element; the recovery stays near it."""
    unit = MOVING[-1]
    assert unit.base is not None
    prior = RECOVERER.prior(unit.header, unit.base, None).reshape(MODEL.latent, -1)
    steps = MODEL.steps[4 * np.maximum(unit.levels, 1) - 1].T
    state = after(MOVING).latent.reshape(MODEL.latent, -1)
    away = np.abs(state - prior - unit.elements * steps) / steps
    assert (
        away[:, unit.mask].max() <= 1.0 + 1e-3
    )  # half a step to the interval's edge, half a step of sharpening


def test_with_a_reference_elements_count_from_what_it_foresees() -> None:
    base, state = MOVING[-1].base, after(MOVING[:2])
    assert base is not None
    told, alone = (RECOVERER.prior(HEADER, base, reference) for reference in (state, None))
    foreseen = RECOVERER.foresee(state, replace(lost_unit(MODEL, HEADER), base=base))
    assert np.abs(told - foreseen).mean() < 0.5 * np.abs(alone - foreseen).mean()
    levels = np.full(HEADER.positions, 8, np.int32)
    unit = ParsedUnit(HEADER, base, np.zeros((MODEL.latent, HEADER.positions), np.int32), levels)
    for reference in (None, state):
        filled = RECOVERER.advance(state, unit, reference)[1].latent
        expected = RECOVERER.prior(HEADER, base, reference)
        assert (np.abs(filled - expected)[0] <= 1.001 * MODEL.steps[31][:, None, None]).all()


@pytest.mark.parametrize("change", [lambda u: u, half_lost, kept_unit, lambda u: lost_unit(MODEL, u.header)])
def test_states_are_never_changed_in_place(change) -> None:  # type: ignore[no-untyped-def]
    state, reference = after(MOVING[:2]), after(MOVING[:1])
    copies = [
        RecoveryState(s.latent.copy(), s.hidden.copy(), s.age.copy(), s.known.copy())
        for s in (state, reference)
    ]
    unit = change(MOVING[2])
    levels, elements = unit.levels.copy(), unit.elements.copy()
    once, _ = RECOVERER.advance(state, unit, reference)
    RECOVERER.foresee(state, unit)
    twice, _ = RECOVERER.advance(state, unit, reference)
    assert_equal_states(state, copies[0])
    assert_equal_states(reference, copies[1])
    assert_equal_states(once, twice)
    assert np.array_equal(unit.levels, levels)
    assert np.array_equal(unit.elements, elements)


@pytest.mark.parametrize("change", [lambda u: u, half_lost, kept_unit, lambda u: lost_unit(MODEL, u.header)])
def test_foresee_is_what_advance_fills_in(change) -> None:  # type: ignore[no-untyped-def]
    state, unit = after(MOVING[:2]), change(MOVING[2])
    filled = RECOVERER.advance(state, unit)[1]
    assert np.array_equal(RECOVERER.foresee(state, unit), filled.latent)
    assert np.array_equal(filled.mask.reshape(-1) > 0, unit.mask)


def test_silence_freezes_the_state_after_a_second() -> None:
    state, lost = after(MOVING), lost_unit(MODEL, HEADER)
    seen = []
    for _ in range(12):
        state, filled = RECOVERER.advance(state, lost)
        seen.append((float(state.age[0, 0]), state.latent, filled.latent))
    for (_, before, _), (age, latent, shown) in pairwise(seen):
        assert np.array_equal(before, latent) == (age > RECOVERED_SECONDS)
        assert np.array_equal(shown, latent)
    assert [age for age, _, _ in seen] == pytest.approx([UNIT_SECONDS * (n + 1) for n in range(12)], rel=1e-4)


def test_a_base_alone_renews_even_an_old_region() -> None:
    state = after(MOVING)
    for _ in range(8):
        state, _ = RECOVERER.advance(state, lost_unit(MODEL, HEADER))
    told, _ = RECOVERER.advance(state, replace(lost_unit(MODEL, HEADER), base=MOVING[0].base))
    assert not np.array_equal(told.latent, state.latent)
    assert (told.age > state.age).all()


def test_age_counts_from_what_last_arrived() -> None:
    state, _ = RECOVERER.advance(RECOVERER.start(HEADER), half_lost(MOVING[0]))
    ages = state.age.reshape(-1)
    assert (ages[::2] == 0).all()
    assert np.isinf(ages[1::2]).all()
    state, _ = RECOVERER.advance(state, lost_unit(MODEL, HEADER))
    assert state.age.reshape(-1)[::2] == pytest.approx(UNIT_SECONDS)


def test_near_is_the_eight_around() -> None:
    mask = np.zeros((6, 8), bool)
    mask[0, 0] = mask[3, 4] = True
    expected = np.zeros_like(mask)
    expected[:2, :2] = expected[2:5, 3:6] = True
    assert np.array_equal(near(mask), expected)
