"""The shipped `resilient` codec: budget, any subset decodes, graceful loss, trust, hostile payloads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, Budget, CodecError, UnitDecoder, UnitEncoder
from common.codec.decoder import ResilientDecoder
from common.codec.encoder import packet_count
from common.codec.header import HEADER_BYTES, CodecHeader
from common.codec.pictures import from_planes, to_planes
from common.codec.registry import create_decoder, create_encoder, describe
from common.codec.weights import load_model
from common.video import Picture
from proto.interleaver import loss_mask
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, Received, budget, psnr, receive, unit_pictures

MODEL_ID = load_model("resilient").model_id
WHOLE = create_encoder("resilient", WIDTH, HEIGHT, FPS).encode(unit_pictures(0), 1, budget(120))


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
    assert decoded.trust.shape == (HEIGHT // 16, WIDTH // 16)
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


@pytest.mark.parametrize("largest", [71, 100, 200])
def test_small_packets_lower_the_quality_rather_than_fail(encoder: UnitEncoder, largest: int) -> None:
    """Also over the units that follow, whose quality the room alone would raise."""
    noise = np.random.default_rng(0).integers(0, 255, (4, HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
    for unit in range(4):
        encoded = encoder.encode(list(noise), unit, Budget(20_000, packet_overhead=57, max_payload=largest))
        assert max(map(len, encoded.payloads)) <= largest
        assert len(encoded.payloads) <= (WIDTH // 16) * (HEIGHT // 16)


def test_packets_that_cannot_hold_a_base_are_one_clear_error(encoder: UnitEncoder) -> None:
    with pytest.raises(ValueError, match="max_payload"):
        encoder.encode(unit_pictures(0), 0, Budget(20_000, packet_overhead=57, max_payload=HEADER_BYTES + 1))


def test_packets_grow_in_number_and_size_with_the_rate() -> None:
    counts = [packet_count(budget(kbps), 60.0) for kbps in (10, 60, 250, 2000)]
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
    state = through._state  # type: ignore[attr-defined]
    assert np.abs(state.latent).max() < 12  # not at the limit that would hide a recursion that runs away
    assert np.abs(state.hidden).max() <= 1
    after = [
        psnr(unit_pictures(7)[3], d.decode(receive(encoded[7], 7)).pictures[3]) for d in (through, fresh)
    ]
    assert after[0] > after[1] - 1.5


def test_silence_freezes_the_picture(encoder: UnitEncoder, decoder: UnitDecoder) -> None:
    decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget()), 0))
    shown = [decoder.decode(None).pictures for _ in range(40)]
    assert min(psnr(a, b) for a, b in zip(shown[-1], shown[-20], strict=True)) > 35


def test_trust_tells_what_arrived_what_is_near_and_what_is_neither(
    encoder: UnitEncoder, decoder: UnitDecoder
) -> None:
    """At a receiver that has just joined: no past to recover from. What is left out has arrived as well."""
    encoded = encoder.encode(unit_pictures(0), 0, budget(1000))
    count = len(encoded.payloads)
    arrived = [index == 0 for index in range(count)]
    decoded = decoder.decode(receive(encoded, 0, arrived))
    there = loss_mask(decoded.total, count, arrived, 0).reshape(decoded.trust.shape)
    assert decoded.arrived == there.sum()
    assert np.array_equal(decoded.trust == RECEIVED, there)
    for y, x in np.ndindex(there.shape):
        if not there[y, x]:
            close = there[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()
            assert decoded.trust[y, x] == (RECOVERED if close else IMAGINED)


def size_pictures(width: int, height: int) -> list[Picture]:
    """Four pictures of a drifting texture, dark at the last rows and columns."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    out = []
    for i in range(4):
        luma = 120 + 60 * np.sin((x + i) / 11) * np.cos(y / 9)
        luma[-8:] = luma[:, -8:] = 30
        out.append(np.full((height * 3 // 2, width), 128, np.uint8))
        out[-1][:height] = luma
    return out


@pytest.mark.parametrize("size", [(16, 16), (48, 80), (80, 48), (352, 288), (640, 368)])
def test_any_multiple_of_16_is_a_size(size: tuple[int, int], decoder: UnitDecoder) -> None:
    """Sides that are no multiples of 32 as well: whole or in part, with a trust for each 16x16 of the picture."""
    width, height = size
    encoder, pictures = create_encoder("resilient", width, height, FPS), size_pictures(width, height)
    room = Budget(600 + 1.2 * (width * height / 16), packet_overhead=57, max_payload=1171)
    for unit in range(3):
        encoded = encoder.encode(pictures, unit, room)
        arrived = [unit != 1 or index % 2 == 0 for index in range(len(encoded.payloads))]
        decoded = decoder.decode(receive(encoded, unit, arrived))
        assert [p.shape for p in decoded.pictures] == [p.shape for p in pictures]
        assert decoded.trust.shape == (height // 16, width // 16)
        assert decoded.total == CodecHeader.parse(encoded.payloads[0]).positions
    assert decoded.arrived == decoded.total
    # what was lost in unit 1 and left out in unit 2 is recovered
    assert np.isin(decoded.trust, (RECEIVED, RECOVERED)).all()
    assert (decoded.trust == RECEIVED).mean() > 0.5
    assert min(psnr(a, b) for a, b in zip(pictures, decoded.pictures, strict=True)) > 20


@pytest.mark.parametrize("size", [(640, 360), (250, 256), (0, 64), (1920, 1088)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"size|width"):
        create_encoder("resilient", *size, FPS)


@pytest.mark.parametrize("size", [(1280, 720), (736, 1280)])
def test_the_largest_sizes_fit_into_packets(size: tuple[int, int]) -> None:
    """Every packet carries the whole base, so large pictures need a coarser one."""
    width, height = size
    encoder, pictures = create_encoder("resilient", width, height, FPS), size_pictures(width, height)
    encoded = encoder.encode(pictures, 0, Budget(20_000, packet_overhead=57, max_payload=1171))
    assert max(map(len, encoded.payloads)) <= 1171


def test_planes_are_padded_and_cut_back() -> None:
    pictures = [
        np.random.default_rng(i).integers(0, 256, (72, 80), dtype=np.uint8) for i in range(4)
    ]  # 80x48
    luma, chroma = to_planes(pictures)
    assert luma.shape == (1, 4, 64, 96)
    assert chroma.shape == (1, 4, 2, 32, 48)
    assert np.array_equal(luma[0, 0, 48:, :80], np.broadcast_to(luma[0, 0, 47, :80], (16, 80)))
    assert np.array_equal(luma[0, 0, :, 80:], np.broadcast_to(luma[0, 0, :, 79:80], (64, 16)))
    assert np.array_equal(chroma[0, 0, :, :, 40:], np.broadcast_to(chroma[0, 0, :, :, 39:40], (2, 32, 8)))
    back = from_planes(luma, chroma, 80, 48)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, back, strict=True))


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


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=80)), min_size=1, max_size=6), st.integers(0, 2**40))
def test_hostile_payloads_raise_the_documented_error(
    decoder: UnitDecoder, segments: list[bytes], unit: int
) -> None:
    try:
        decoder.decode(Received(unit, tuple(segments)))
    except CodecError:
        return


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 31), st.integers(0, 7))
def test_a_good_header_before_garbage_harms_nothing(garbage: bytes, quality: int, stillness: int) -> None:
    """Authentic but senseless: the networks get whatever it decodes to, and a whole unit looks well after it."""
    header = bytes(CodecHeader(MODEL_ID, WIDTH, HEIGHT, FPS, quality, stillness))
    through = create_decoder("resilient")
    try:
        shown = through.decode(Received(0, (header + garbage, None))).pictures
        assert shown[0].shape == (HEIGHT * 3 // 2, WIDTH)
    except CodecError:
        pass
    after = through.decode(receive(WHOLE, 1)).pictures
    assert psnr(unit_pictures(0)[3], after[3]) > 15


def test_what_stands_is_trusted_only_where_it_was_seen(encoder: UnitEncoder) -> None:
    """A still scene: most of it is left out after a while, and who joins then has not got it."""
    always, joined = create_decoder("resilient"), create_decoder("resilient")
    for unit in range(14):
        received = receive(encoder.encode(unit_pictures(0), unit, Budget(360, 57, 1171)), unit)
        seen = always.decode(received)
        if unit >= 12:
            late = joined.decode(received)
    assert (seen.trust == RECEIVED).all()
    assert 0 < (late.trust == RECEIVED).mean() < 1
    assert set(np.unique(late.trust)) == {RECEIVED, RECOVERED}


def test_wrong_pictures_are_refused(encoder: UnitEncoder) -> None:
    with pytest.raises(ValueError, match="pictures"):
        encoder.encode([np.zeros((96, 64), np.uint8)] * 4, 0, budget())


def test_unknown_reference_and_model_are_refused(encoder: UnitEncoder) -> None:
    encoded = encoder.encode(unit_pictures(0), 0, budget())
    for first, message in ((encoded.payloads[0][0] | 1, "reference"), (0xF0, "model")):
        decoder = ResilientDecoder(encoder._model)  # type: ignore[attr-defined]
        changed = tuple(bytes((first,)) + payload[1:] for payload in encoded.payloads)
        with pytest.raises(CodecError, match=message):
            decoder.decode(Received(0, changed))
