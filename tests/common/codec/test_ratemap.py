"""The rate map: within its room, never worse with more of it, and what changed is what is sent."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import Budget
from common.codec.encoder import ResilientEncoder
from common.codec.entropy import MAX_ELEMENT, Elements
from common.codec.levels import LEFT_OUT, LEVELS, Levels, quality_of
from common.codec.parse import parse_unit
from common.codec.ratemap import IMAGINED_RECEIVERS, Candidates, Plane, RateMap, Receivers
from common.codec.weights import load_model
from tests.common.codec.conversation import Conversation
from tests.common.codec.scene import (
    FPS,
    HEIGHT,
    WIDTH,
    budget,
    other_pictures,
    picture,
    receive,
    still_pictures,
    unit_pictures,
)

MODEL = load_model("resilient")
POSITIONS = 40
QUALITY = 12


def planes(seed: int, scale: float = 1.0) -> Plane:
    """A latent at random, some channels much larger than others."""
    rng = np.random.default_rng(seed)
    spread = scale * rng.gamma(0.5, 1.0, (MODEL.latent, 1))
    return (rng.normal(size=(MODEL.latent, POSITIONS)) * spread).astype(np.float32)


def options_of(chooser: RateMap, latent: Plane, kept: Plane | None = None) -> Candidates:
    """Candidates with nothing to subtract."""
    nothing = np.zeros_like(latent)
    return chooser.candidates(latent, nothing, nothing if kept is None else kept, QUALITY)


def choose(
    latent: Plane, room: float, kept: Plane | None = None
) -> tuple[Levels, Elements, Candidates, Receivers]:
    """What a fresh rate map without feedback chooses."""
    chooser = RateMap(MODEL, POSITIONS)
    options = options_of(chooser, latent, kept)
    receivers = chooser.imagined(latent, np.zeros_like(latent), options)
    return *chooser.choose(options, receivers, room), options, receivers


def picked(values: np.ndarray, levels: Levels) -> np.ndarray:
    return np.asarray(np.take_along_axis(values, levels[None], 0)[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 3.0), st.floats(0, 1.2))
def test_room_is_respected(seed: int, scale: float, share: float) -> None:
    latent = planes(seed, scale)
    everything = options_of(RateMap(MODEL, POSITIONS), latent).bits[LEVELS].sum()
    least = options_of(RateMap(MODEL, POSITIONS), latent).bits.min(0).sum()
    levels, elements, options, _ = choose(latent, float(share * everything))
    assert picked(options.bits, levels).sum() <= max(share * everything, least) + 1e-2
    assert LEFT_OUT <= levels.min() <= levels.max() <= LEVELS
    assert elements.shape == latent.shape
    assert not elements[:, levels == LEFT_OUT].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 60_000), min_size=2, max_size=5))
def test_more_room_is_never_worse(seed: int, rooms: list[float]) -> None:
    latent, errors = planes(seed), []
    for room in sorted(rooms):
        levels, _, options, receivers = choose(latent, room)
        lost, weight = receivers.loss, receivers.share / (receivers.before.mean(1, keepdims=True) + 1e-6)
        after = np.where(
            levels == LEFT_OUT,
            receivers.before,
            lost * receivers.before + (1 - lost) * picked(options.error, levels),
        )
        errors.append(float((weight * after).sum()))
    assert all(later <= earlier * (1 + 1e-4) for earlier, later in pairwise(errors))


def test_elements_are_the_latent_at_the_chosen_level() -> None:
    latent = planes(3)
    levels, elements, _, _ = choose(latent, 15_000)
    assert len(set(levels.tolist())) > 2
    for position, level in enumerate(levels):
        if level != LEFT_OUT:
            expected = np.rint(latent[:, position] / MODEL.steps[quality_of(int(level))])
            assert np.array_equal(elements[:, position], np.clip(expected, -MAX_ELEMENT, MAX_ELEMENT))


def test_finer_levels_cost_more_and_leave_less() -> None:
    options = options_of(RateMap(MODEL, POSITIONS), planes(1))
    mean = options.error[1:].mean(1)
    assert (mean[1:] < mean[:-1]).all()
    assert (np.diff(options.uniform_bits()) > 0).all()
    assert options.bits[LEFT_OUT].max() < options.bits[1:].min()


def test_what_changed_is_sent_and_what_stands_is_left_out() -> None:
    latent = planes(5)
    kept = latent.copy()
    changed = np.arange(0, POSITIONS, 5)
    kept[:, changed] = planes(6)[:, changed]
    chooser = RateMap(MODEL, POSITIONS)
    options = options_of(chooser, latent, kept)
    exact = Receivers(
        np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32), options.error[LEFT_OUT][None]
    )
    levels, _ = chooser.choose(options, exact, float(options.bits[4, changed].sum()))
    assert (levels[changed] != LEFT_OUT).all()
    assert (np.delete(levels, changed) == LEFT_OUT).all()


def test_who_lost_it_is_sent_it_again() -> None:
    """A still latent: the imagined receivers that lose much keep an error, so nothing is left out for ever."""
    latent, chooser = planes(7), RateMap(MODEL, POSITIONS)
    finest = MODEL.steps[quality_of(LEVELS)][:, None]
    held = np.rint(latent / finest) * finest  # by a receiver that has lost nothing
    sent = np.zeros(POSITIONS, int)
    levels, expected = np.zeros(POSITIONS, np.int32), []
    for _ in range(24):
        options = options_of(chooser, latent, held)
        receivers = chooser.imagined(latent, np.zeros_like(latent), options)
        levels, _ = chooser.choose(options, receivers, 8_000)
        sent += levels != LEFT_OUT
        expected.append(receivers.before.mean(1))
    assert 0 < (levels == LEFT_OUT).sum() < POSITIONS
    assert sent.min() >= 1
    assert len(expected[0]) == len(IMAGINED_RECEIVERS)
    assert (expected[-1][1:] < expected[0][1:]).all()
    assert (np.diff(expected[-1][1:]) > 0).all()  # who loses more has the larger error left


@pytest.mark.parametrize("generous", [1, 3, 10])
def test_plenty_of_room_is_followed_by_as_good_a_choice(generous: int) -> None:
    """How much room units before had does not matter for what fits into this one."""
    latent, chooser = planes(8), RateMap(MODEL, POSITIONS)
    options = options_of(chooser, latent)
    one = Receivers(np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32), options.error[LEFT_OUT][None])
    room = 0.7 * float(options.bits[LEVELS].sum())
    first, _ = RateMap(MODEL, POSITIONS).choose(options, one, room)
    for _ in range(generous):
        chooser.choose(options, one, 1e9)
    again, _ = chooser.choose(options, one, room)
    assert picked(options.bits, again).sum() > 0.9 * room
    assert picked(options.error, again).sum() <= 1.05 * picked(options.error, first).sum()


def left_out(talk: Conversation) -> float:
    """Share of the last unit's positions that were left out."""
    said = talk.said[-1]
    parsed = parse_unit(MODEL, receive(said.encoded, said.unit))
    assert parsed is not None
    return float((parsed.levels == LEFT_OUT).mean())


def test_a_still_scene_is_left_out_more_and_more_and_looks_better() -> None:
    talk, shares, quality = Conversation(), [], []
    for _ in range(16):
        talk.say(still_pictures())
        shares.append(left_out(talk))
        quality.append(talk.quality(still_pictures()))
    assert shares[0] == 0
    assert np.mean(shares[8:]) > 0.3
    assert np.mean(quality[8:]) > quality[0] + 0.2
    assert min(quality) > quality[0] - 0.3


def test_a_moving_scene_is_sent() -> None:
    talk = Conversation()
    for unit in range(8):
        talk.say(unit_pictures(unit))
        assert left_out(talk) < 0.15


def test_where_something_moves_is_where_it_is_sent() -> None:
    """A disc on a still ground."""
    encoder = ResilientEncoder(MODEL, WIDTH, HEIGHT, FPS)
    ground = picture(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    sent = np.zeros((HEIGHT // 16, WIDTH // 16))
    for unit in range(14):
        pictures = [ground.copy() for _ in range(4)]
        for i, shown in enumerate(pictures):
            shown[:HEIGHT][(x - 40) ** 2 + (y - 30 - 5 * ((4 * unit + i) % 8)) ** 2 < 150] = 230
        parsed = parse_unit(MODEL, receive(encoder.encode(pictures, unit, Budget(360, 57, 1171)), unit))
        assert parsed is not None
        if unit >= 6:
            sent += (parsed.levels != LEFT_OUT).reshape(sent.shape)
    moving = sent[1:5, 1:4]
    assert moving.mean() > 2 * sent[:, 5:].mean()


@pytest.mark.parametrize("late", [None, 1])
@pytest.mark.parametrize("kbps", [60, 120, 250])
def test_a_cut_brings_everything_back(late: int | None, kbps: float) -> None:
    """The first unit of another scene is sent, and soon it looks as at the start of a session."""
    talk, fresh = Conversation(late), Conversation(late)
    for _ in range(7):
        talk.say(still_pictures(), budget(kbps))
    expected = []
    for _ in range(3):
        talk.say(other_pictures(), budget(kbps))
        fresh.say(other_pictures(), budget(kbps))
        if len(fresh.said) == 1:
            assert left_out(talk) < 0.6
        expected.append(fresh.quality(other_pictures()))
    assert talk.quality(other_pictures()) > max(expected) - 1.5
