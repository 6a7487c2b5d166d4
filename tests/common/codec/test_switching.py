"""Changing the profile in mid-stream, both ways, with and without loss at the change: never frozen, never grey."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from common.codec.base import RECEIVED, CodecError, DecodedUnit, EncodedUnit
from common.codec.classic.header import ClassicHeader
from common.codec.effort import Effort
from common.codec.header import CodecHeader
from common.codec.plan import LOSSES
from common.codec.registry import create_switching_decoder, create_switching_encoder, describe
from common.codec.switching import SwitchingDecoder, SwitchingEncoder
from common.codec.texture.encoder import TextureEncoder
from common.video import Picture, blank
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, budget, mean_psnr, receive, unit_pictures

GOOD = 24.0  # dB


@pytest.fixture(scope="module")
def decoder() -> SwitchingDecoder:
    """Loading one takes time; each test begins with a unit of its own."""
    return create_switching_decoder()


def run(
    profiles: list[str], decoder: SwitchingDecoder, lost: tuple[int, ...] = ()
) -> tuple[list[DecodedUnit], SwitchingEncoder]:
    """Each unit in its profile; reports are back two units later."""
    encoder = create_switching_encoder(WIDTH, HEIGHT, FPS, Effort(0.05))
    out: list[DecodedUnit] = []
    sent: list[EncodedUnit] = []
    for unit, profile in enumerate(profiles):
        if unit >= 2:
            encoder.report(unit - 2, [unit - 2 not in lost] * len(sent[unit - 2].payloads))
        encoder.profile = profile
        sent.append(encoder.encode(unit_pictures(unit), unit, budget(250)))
        assert {describe(payload).profile for payload in sent[-1].payloads} == {profile}
        out.append(decoder.decode(None if unit in lost else receive(sent[-1], unit)))
    return out, encoder


def moving(pictures: list[Picture]) -> bool:
    return all(not np.array_equal(a, b) for a, b in itertools.pairwise(pictures))


def test_every_unit_is_shown_through_changes_of_profile(decoder: SwitchingDecoder) -> None:
    order = ["resilient"] * 2 + ["classic"] * 3 + ["resilient"] * 2 + ["classic"] * 2
    units, encoder = run(order, decoder)
    for number, unit in enumerate(units):
        assert (unit.trust == RECEIVED).all()
        assert mean_psnr(unit_pictures(number), unit.pictures) > GOOD, number
    assert moving([picture for unit in units for picture in unit.pictures])
    assert encoder.switches == 3


def test_a_stream_may_begin_in_either_profile() -> None:
    units, _ = run(["classic", "classic", "resilient"], create_switching_decoder())
    assert all((unit.trust == RECEIVED).all() for unit in units)


@pytest.mark.parametrize("order", [["resilient", "classic"], ["classic", "resilient"]])
def test_the_first_unit_after_a_change_is_lost(decoder: SwitchingDecoder, order: list[str]) -> None:
    """What was shown stands in, and the stream goes on by itself."""
    first, second = order
    units, _ = run([first] * 3 + [second] * 4, decoder, lost=(3,))
    concealed = units[3].pictures
    assert mean_psnr([units[2].pictures[-1]] * 4, concealed) > 20  # not grey
    assert (units[-1].trust == RECEIVED).all()
    assert mean_psnr(unit_pictures(6), units[-1].pictures) > GOOD


def test_a_partly_received_unit_after_a_change_shows_the_last_picture(decoder: SwitchingDecoder) -> None:
    encoder = create_switching_encoder(WIDTH, HEIGHT, FPS, Effort(0.05))
    last = decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget(250)), 0)).pictures[-1]
    encoder.profile = "classic"
    encoder.report(0, ([True] * 9 + [False]) * 20)
    unit = encoder.encode(unit_pictures(1), 1, budget(250))
    assert len(unit.payloads) > ClassicHeader.parse(unit.payloads[0]).needed > 1
    held = decoder.decode(Received(1, (unit.payloads[0], None)))
    assert all(np.array_equal(picture, last) for picture in held.pictures)


def test_either_profile_learns_what_the_other_one_lost() -> None:
    encoder = create_switching_encoder(WIDTH, HEIGHT, FPS, Effort(0.05))
    before = encoder.prospect(budget(250))
    rng = np.random.default_rng(1)
    for unit in range(12):
        sent = encoder.encode(unit_pictures(0), unit, budget(250))
        encoder.report(unit, [bool(x) for x in rng.random(len(sent.payloads)) >= 0.4])
    after = encoder.prospect(budget(250))
    assert after.needed / after.count < before.needed / before.count or after.failure > before.failure


def test_the_resilient_profile_knows_the_loss_that_made_it_take_over() -> None:
    encoder, rng = create_switching_encoder(WIDTH, HEIGHT, FPS, Effort(0.05)), np.random.default_rng(1)
    encoder.profile = "classic"
    for unit in range(10):
        sent = encoder.encode(unit_pictures(0), unit, budget(250))
        encoder.report(unit, [bool(x) for x in rng.random(len(sent.payloads)) >= 0.5])
    encoder.profile = "resilient"
    learnt = encoder.encode(unit_pictures(0), 10, budget(250)).payloads
    headers = [CodecHeader.parse(payload) for payload in learnt]
    sure = create_switching_encoder(WIDTH, HEIGHT, FPS, Effort(0.05))
    for unit in range(10):
        sent = sure.encode(unit_pictures(0), unit, budget(250))
        sure.report(unit, [True] * len(sent.payloads))
    calm = [CodecHeader.parse(p) for p in sure.encode(unit_pictures(0), 10, budget(250)).payloads]
    assert np.mean([h.needed for h in headers]) < np.mean([h.needed for h in calm])
    assert LOSSES[-1] > 0.5


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="profile"):
        create_switching_encoder(WIDTH, HEIGHT, FPS, Effort(0.05)).profile = "other"


def test_packets_of_two_profiles_in_one_unit_are_refused(decoder: SwitchingDecoder) -> None:
    encoder = create_switching_encoder(WIDTH, HEIGHT, FPS, Effort(0.05))
    one = encoder.encode(unit_pictures(0), 0, budget(250)).payloads[0]
    encoder.profile = "classic"
    other = encoder.encode(unit_pictures(1), 1, budget(250)).payloads[0]
    for segments in ((one, other), (other, one)):
        with pytest.raises(CodecError, match=r"model|disagree"):
            decoder.decode(Received(0, segments))


def test_texture_units_of_one_picture_may_change_their_size(decoder: SwitchingDecoder) -> None:
    for number, (width, height) in enumerate(((WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2))):
        coder = TextureEncoder(width, height, FPS, frames=1, scale=4)
        unit = coder.encode([blank(width, height)], number, budget(200))
        assert decoder.decode(receive(unit, number)).pictures[0].shape == (height * 3 // 2, width)
    units, _ = run(["resilient"], decoder)
    assert mean_psnr(unit_pictures(0), units[0].pictures) > GOOD
