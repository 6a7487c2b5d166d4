"""The shipped `resilient` codec: budget, any subset decodes, graceful loss, trust, hostile payloads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, Budget, CodecError, UnitDecoder, UnitEncoder
from common.codec.encoder import packet_count
from common.codec.registry import create_decoder, create_encoder, describe
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, budget, psnr, receive, unit_pictures


@pytest.fixture
def encoder() -> UnitEncoder:
    return create_encoder("resilient", WIDTH, HEIGHT, FPS)


@pytest.fixture
def decoder() -> UnitDecoder:
    return create_decoder("resilient")


def test_whole_units_come_back(encoder: UnitEncoder, decoder: UnitDecoder) -> None:
    for unit in range(4):
        encoded = encoder.encode(unit_pictures(unit), unit, budget(120))
        decoded = decoder.decode(receive(encoded, unit))
    assert decoded.arrived == decoded.total == (WIDTH // 16) * (HEIGHT // 16)
    assert (decoded.trust == RECEIVED).all()
    assert len(decoded.pictures) == encoder.frames_per_unit
    quality = [psnr(a, b) for a, b in zip(unit_pictures(3), decoded.pictures, strict=True)]
    assert min(quality) > 24


def test_quality_falls_gracefully_with_loss(encoder: UnitEncoder) -> None:
    rng = np.random.default_rng(3)
    quality = []
    for loss in (0.0, 0.3, 0.6, 0.9):
        decoder, seen = create_decoder("resilient"), []
        decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget()), 0))
        for unit in range(1, 12):
            encoded = encoder.encode(unit_pictures(unit), unit, budget())
            arrived = [bool(rng.random() >= loss) for _ in encoded.payloads]
            decoded = decoder.decode(receive(encoded, unit, arrived))
            seen += [psnr(a, b) for a, b in zip(unit_pictures(unit), decoded.pictures, strict=True)]
        quality.append(np.mean(seen))
    assert quality[0] > quality[1] > quality[3]
    assert quality[0] - quality[1] < 6  # no cliff
    assert quality[3] > 13


@pytest.mark.parametrize("kbps", [30, 60, 120, 250])
def test_units_fit_their_budget(encoder: UnitEncoder, kbps: float) -> None:
    for unit in range(3):
        allowed = budget(kbps)
        encoded = encoder.encode(unit_pictures(unit), unit, allowed)
        assert encoded.wire_bytes == sum(map(len, encoded.payloads)) + 57 * len(encoded.payloads)
        assert encoded.wire_bytes <= 1.05 * allowed.wire_bytes
        assert max(map(len, encoded.payloads)) <= allowed.max_payload


def test_below_the_floor_packets_are_small_enough_for_some_to_fit(encoder: UnitEncoder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
    allowed = Budget(wire_bytes=260, packet_overhead=57, max_payload=1171)
    encoded = encoder.encode(list(noise), 0, allowed)
    assert min(len(p) + 57 for p in encoded.payloads) <= 0.6 * allowed.wire_bytes


def test_small_packets_lower_the_quality_rather_than_fail(encoder: UnitEncoder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
    encoded = encoder.encode(list(noise), 0, Budget(20_000, packet_overhead=57, max_payload=71))
    assert max(map(len, encoded.payloads)) <= 71
    assert len(encoded.payloads) <= (WIDTH // 16) * (HEIGHT // 16)


def test_packets_grow_in_number_and_size_with_the_rate() -> None:
    counts = [packet_count(budget(kbps)) for kbps in (10, 60, 250, 2000)]
    assert counts == sorted(counts)
    assert counts[0] >= 2


def test_a_lost_unit_is_concealed_and_never_poisons_later_ones(encoder: UnitEncoder) -> None:
    through_loss, whole = create_decoder("resilient"), create_decoder("resilient")
    for unit in range(8):
        encoded = encoder.encode(unit_pictures(unit), unit, budget(120))
        clean = whole.decode(receive(encoded, unit))
        lossy = through_loss.decode(None if unit in (2, 3) else receive(encoded, unit))
        if unit == 3:
            assert lossy.arrived == 0
            assert set(np.unique(lossy.trust)) <= {RECOVERED, IMAGINED}
    reference = unit_pictures(7)[-1]
    assert psnr(reference, lossy.pictures[-1]) > psnr(reference, clean.pictures[-1]) - 1.0


def test_long_silence_is_imagined(encoder: UnitEncoder, decoder: UnitDecoder) -> None:
    decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget()), 0))
    first = decoder.decode(None)
    assert (first.trust == RECOVERED).all()
    for _ in range(20):
        last = decoder.decode(None)
    assert (last.trust == IMAGINED).all()


@pytest.mark.parametrize(("loss", "units"), [(1.0, 1000), (0.95, 250)])
def test_the_state_stays_bounded_and_recovers_after_any_silence(
    encoder: UnitEncoder, loss: float, units: int
) -> None:
    """Minutes without (nearly) any packet; then one whole unit looks as at a fresh receiver."""
    rng = np.random.default_rng(5)
    encoded = [encoder.encode(unit_pictures(u), u, budget()) for u in range(8)]
    through, fresh = create_decoder("resilient"), create_decoder("resilient")
    through.decode(receive(encoded[0], 0))
    for unit in range(units):
        arrived = [bool(rng.random() >= loss) for _ in encoded[unit % 8].payloads]
        through.decode(receive(encoded[unit % 8], unit % 8, arrived) if any(arrived) else None)
    assert np.abs(through._state["last"]).max() < 50  # type: ignore[attr-defined]
    after = [
        psnr(unit_pictures(7)[3], d.decode(receive(encoded[7], 7)).pictures[3]) for d in (through, fresh)
    ]
    assert after[0] > after[1] - 1.5


def test_nothing_before_the_first_unit(decoder: UnitDecoder) -> None:
    with pytest.raises(CodecError, match="nothing has arrived"):
        decoder.decode(None)


def test_every_payload_describes_the_stream(encoder: UnitEncoder) -> None:
    for payload in encoder.encode(unit_pictures(0), 0, budget()).payloads:
        info = describe(payload)
        assert (info.profile, info.width, info.height, info.fps) == ("resilient", WIDTH, HEIGHT, FPS)
        assert info.frames_per_unit == encoder.frames_per_unit


def test_geometry_may_change_between_units(decoder: UnitDecoder, encoder: UnitEncoder) -> None:
    decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget()), 0))
    smaller = create_encoder("resilient", 64, 48, FPS)
    pictures = [np.full((72, 64), 128, np.uint8)] * 4
    decoded = decoder.decode(receive(smaller.encode(pictures, 1, budget()), 1))
    assert decoded.pictures[0].shape == (72, 64)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.binary(max_size=80)), min_size=1, max_size=6), st.integers(0, 2**40))
def test_hostile_payloads_raise_the_documented_error(
    decoder: UnitDecoder, segments: list[bytes], unit: int
) -> None:
    try:
        decoder.decode(Received(unit, tuple(segments)))
    except CodecError:
        return


def test_wrong_pictures_are_refused(encoder: UnitEncoder) -> None:
    with pytest.raises(ValueError, match="pictures"):
        encoder.encode([np.zeros((96, 64), np.uint8)] * 4, 0, budget())


def test_unknown_reference_and_model_are_refused(encoder: UnitEncoder, decoder: UnitDecoder) -> None:
    payload = encoder.encode(unit_pictures(0), 0, budget()).payloads[0]
    for first, message in ((payload[0] | 1, "reference"), (0xF0, "model")):
        with pytest.raises(CodecError, match=message):
            decoder.decode(Received(0, (bytes((first,)) + payload[1:],)))
