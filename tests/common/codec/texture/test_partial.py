"""Some macroblocks finer: what stands still is finished piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

from common.codec.base import Budget
from common.codec.texture import encoder
from common.codec.texture.choose import CALM_WORTH, Choice, Held, choose
from common.codec.texture.decoder import TextureDecoder
from common.codec.texture.encoder import TextureEncoder
from common.codec.texture.partial import Fit, finer, gains, only
from common.codec.texture.past import Past
from common.codec.texture.scaling import shrink
from common.codec.texture.syntax import SKIPPED
from common.codec.texture.transform import Values, forward, grid
from tests.bench.quality import psnr
from tests.common.codec.scene import Received, picture

WIDTH, HEIGHT, FPS, FRAMES, SCALE = 256, 192, 10.0, 4, 2
SMALL = WIDTH // SCALE, HEIGHT // SCALE


def seen(number: int = 40) -> tuple[list[Values], Held, Choice]:
    """A unit that stands still, nothing known before, and its levels at a step."""
    coefficients = forward([shrink(picture(0, WIDTH, HEIGHT), *SMALL)] * FRAMES)
    last = Past.nothing(*grid(*SMALL)).last
    held = Held(last, [np.ones_like(one) for one in last])
    return coefficients, held, choose(coefficients, number, held)


def closeness(budget: Budget, units: int) -> float:
    coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), TextureDecoder()
    still = [picture(0, WIDTH, HEIGHT)] * FRAMES
    for unit in range(units):
        (payload,) = coder.encode(still, unit, budget).payloads
        assert len(payload) <= budget.wire_bytes - budget.packet_overhead
        shown = decoder.decode(Received(unit, (payload,))).pictures
    return psnr(still[-1], shown[-1])


def test_what_stands_still_is_finished_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(120.0, 57, 1143)
    pieces = closeness(budget, 16)
    monkeypatch.setattr(encoder, "finer", lambda _, held, worth, whole, *rest: (whole, 0))
    assert pieces > closeness(budget, 16) + 1.5


def test_what_macroblocks_save_adds_up_and_nothing_saves_nothing() -> None:
    coefficients, held, choice = seen()
    saved, bits = gains(coefficients, 40, held, choice)
    nothing = only(choice, np.zeros(choice.modes.shape, bool))
    assert (nothing.modes == SKIPPED).all() and not any(one.any() for one in (*nothing.values, *nothing.sent))
    assert gains(coefficients, 40, held, nothing)[0] == pytest.approx(0.0)
    keep = np.indices(choice.modes.shape).sum(0) % 2 == 0
    part = only(choice, keep)
    assert gains(coefficients, 40, held, part)[0] == pytest.approx(np.where(keep, saved, 0.0))
    assert (part.modes[keep] == choice.modes[keep]).all() and (part.modes[~keep] == SKIPPED).all()
    assert (bits > 0).all() and saved.sum() > 0


def test_a_finer_part_is_taken_only_if_it_saves_more_and_fits() -> None:
    coefficients, held, choice = seen(60)
    body, _ = encoder._written(choice)
    saved = float(gains(coefficients, 60, held, choice)[0].sum())
    for room in (5, 200, 600):
        found, place = finer(coefficients, held, CALM_WORTH, Fit(60, choice, body), room, encoder._written, 1)
        if found.choice is choice:
            assert place == 0
            continue
        assert len(found.body) <= room and found.number < 60
        assert float(gains(coefficients, found.number, held, found.choice)[0].sum()) > saved
    assert found.choice is not choice
