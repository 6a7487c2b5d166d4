"""What units cost: within their budget and their packets, whatever is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from common.codec.base import Budget, UnitDecoder, UnitEncoder
from common.codec.header import HEADER_BYTES, CodecHeader
from common.codec.registry import create_decoder, create_encoder
from common.video import Picture
from tests.common.codec.conversation import believing
from tests.common.codec.scene import (
    FPS,
    HEIGHT,
    WIDTH,
    budget,
    mean_psnr,
    noise_pictures,
    other_pictures,
    receive,
    sized_pictures,
    unit_pictures,
)


@pytest.fixture
def encoder() -> UnitEncoder:
    return create_encoder("resilient", WIDTH, HEIGHT, FPS)


@pytest.fixture
def decoder() -> UnitDecoder:
    return create_decoder("resilient")


@pytest.mark.parametrize("kbps", [15, 30, 60, 120, 250, 1000])
@pytest.mark.parametrize("loss", [None, 0.0, 0.3])
def test_units_fit_their_budget(kbps: float, loss: float | None) -> None:
    encoder = create_encoder("resilient", WIDTH, HEIGHT, FPS) if loss is None else believing(loss)
    for unit in range(4):
        allowed = budget(kbps)
        encoded = encoder.encode(unit_pictures(unit), unit, allowed)
        assert encoded.wire_bytes == sum(map(len, encoded.payloads)) + 57 * len(encoded.payloads)
        assert encoded.wire_bytes <= allowed.wire_bytes
        assert max(map(len, encoded.payloads)) <= allowed.max_payload
        assert min(map(len, encoded.payloads)) > HEADER_BYTES


def overspent(loss: float, kbps: float) -> float:
    """Of the budget, once the pictures have been made small enough."""
    encoder, allowed = believing(loss), budget(kbps)
    spent = [encoder.encode(unit_pictures(unit), unit, allowed).wire_bytes for unit in range(8)]
    assert spent[0] <= 1.4 * allowed.wire_bytes
    return float(np.mean(spent[2:]) / allowed.wire_bytes)


@pytest.mark.parametrize("kbps", [15, 30, 60])
@pytest.mark.parametrize("loss", [0.5, 0.8])
def test_many_small_packets_fit_within_a_few_units(kbps: float, loss: float) -> None:
    """A packet may be planned smaller than the picture can be coded; then the picture is made smaller."""
    assert overspent(loss, kbps) <= 1.05


def test_more_packets_than_there_is_room_for_are_not_planned() -> None:
    assert overspent(0.9, 120) <= 1.05


def test_the_budget_is_used(encoder: UnitEncoder) -> None:
    allowed = budget(120)
    used = [encoder.encode(unit_pictures(unit), unit, allowed).wire_bytes for unit in range(12)]
    assert np.mean(used[3:]) > 0.8 * allowed.wire_bytes


def test_what_fits_into_no_budget_is_as_small_as_can_be(encoder: UnitEncoder) -> None:
    """Rather one packet over the budget than none."""
    allowed = Budget(wire_bytes=130, packet_overhead=57, max_payload=1171)
    sizes = [encoder.encode(unit_pictures(unit), unit, allowed).wire_bytes for unit in range(4)]
    assert max(sizes) < 300


@pytest.mark.parametrize(("wire", "loss"), [(40, 0.0), (63, 0.0), (294, 0.9), (441, 0.9)])
def test_a_tiny_budget_is_no_error(wire: int, loss: float) -> None:
    """Also where two views are planned and the first one takes more than there was for both."""
    encoded = believing(loss).encode(hard_pictures(), 0, Budget(wire, packet_overhead=57, max_payload=1171))
    assert encoded.wire_bytes < 1000


def hard_pictures() -> list[Picture]:
    """A fine pattern that moves far: no level makes it small."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    pictures = other_pictures()
    for index in range(4):
        pictures[index] = pictures[index].copy()
        pattern = 120 + 60 * np.sign(np.sin((x + 7 * index) / 5) * np.cos((y - 5 * index) / 4))
        pictures[index][:HEIGHT] = pattern
    return pictures


@pytest.mark.parametrize("largest", [160, 200, 400])
@pytest.mark.parametrize("loss", [None, 0.0, 0.5])
def test_small_packets_lower_the_quality_rather_than_fail(largest: int, loss: float | None) -> None:
    """Also over the units that follow, and for noise."""
    for pictures in (unit_pictures(0), noise_pictures()):
        encoder = create_encoder("resilient", WIDTH, HEIGHT, FPS) if loss is None else believing(loss)
        for unit in range(4):
            encoded = encoder.encode(pictures, unit, Budget(20_000, packet_overhead=57, max_payload=largest))
            assert max(map(len, encoded.payloads)) <= largest


@pytest.mark.parametrize("largest", [1, HEADER_BYTES, HEADER_BYTES + 1])
def test_packets_that_cannot_hold_pictures_are_one_clear_error(encoder: UnitEncoder, largest: int) -> None:
    with pytest.raises(ValueError, match="max_payload"):
        encoder.encode(unit_pictures(0), 0, Budget(20_000, packet_overhead=57, max_payload=largest))


def test_low_rates_are_coded_small_and_high_ones_whole_again(decoder: UnitDecoder) -> None:
    encoder = create_encoder("resilient", 352, 288, FPS)
    pictures, shrinks = sized_pictures(352, 288), []
    for unit in range(24):
        allowed = Budget(380 if unit < 8 else 6000, packet_overhead=57, max_payload=1171)
        encoded = encoder.encode(pictures, unit, allowed)
        shrinks.append(CodecHeader.parse(encoded.payloads[0]).shrink)
        shown = decoder.decode(receive(encoded, unit)).pictures
        assert mean_psnr(pictures, shown) > 22
    assert shrinks[-1] == 1
    assert max(shrinks) > 1


@pytest.mark.parametrize(("size", "largest"), [((256, 256), 171), ((1280, 720), 1143)])
def test_no_picture_is_too_hard_to_be_sent(size: tuple[int, int], largest: int) -> None:
    """Blocks of noise that change with each picture: where nothing else fits, their mean colour is sent."""
    rng, (width, height) = np.random.default_rng(1), size
    encoder, decoder = create_encoder("resilient", width, height, FPS), create_decoder("resilient")
    for unit in range(2):
        pictures = []
        for _ in range(4):
            luma = (
                rng.integers(16, 235, (height // 16, width // 16), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
            )
            pictures.append(np.concatenate((luma, np.full((height // 2, width), 128, np.uint8))))
        encoded = encoder.encode(pictures, unit, Budget(1000, packet_overhead=57, max_payload=largest))
        assert max(map(len, encoded.payloads)) <= largest
        assert decoder.decode(receive(encoded, unit)).arrived > 0
