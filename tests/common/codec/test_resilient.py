"""The shipped `resilient` codec: budget, any subset decodes, graceful loss, trust, hostile payloads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, Budget, CodecError, UnitDecoder, UnitEncoder
from common.codec.decoder import RECOVERED_SECONDS
from common.codec.header import CodecHeader
from common.codec.registry import create_decoder, create_encoder, describe
from common.codec.weights import load_model
from tests.common.codec.conversation import believing
from tests.common.codec.scene import (
    FPS,
    HEIGHT,
    WIDTH,
    Received,
    budget,
    mean_psnr,
    other_pictures,
    psnr,
    receive,
    sized_pictures,
    unit_pictures,
)

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
        assert decoded.quality == encoded.quality
    assert decoded.arrived == decoded.total == (WIDTH // 16) * (HEIGHT // 16)
    assert decoded.trust.shape == (HEIGHT // 16, WIDTH // 16)
    assert (decoded.trust == RECEIVED).all()
    assert decoded.fps == FPS
    assert len(decoded.pictures) == encoder.frames_per_unit
    assert {picture.dtype for picture in decoded.pictures} == {np.dtype(np.uint8)}
    assert min(psnr(a, b) for a, b in zip(unit_pictures(3), decoded.pictures, strict=True)) > 30
    assert set(encoded.stages) == {"encode"}
    assert set(decoded.stages) == {"parse", "recover", "decode"}
    assert min(*encoded.stages.values(), *decoded.stages.values()) > 0


def test_any_packet_shows_the_whole_unit_and_all_show_it_better(encoder: UnitEncoder) -> None:
    """Without reports each packet is a view of its own."""
    encoded = encoder.encode(unit_pictures(0), 0, budget(250))
    alone = []
    assert len(encoded.payloads) > 1
    for number in range(len(encoded.payloads)):
        arrived = [index == number for index in range(len(encoded.payloads))]
        decoded = create_decoder("resilient").decode(receive(encoded, 0, arrived))
        assert decoded.arrived == decoded.total
        alone.append(mean_psnr(unit_pictures(0), decoded.pictures))
    together = create_decoder("resilient").decode(receive(encoded, 0))
    assert mean_psnr(unit_pictures(0), together.pictures) > np.mean(alone)
    assert min(alone) > 30


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_as_many_packets_as_needed_show_the_unit_and_fewer_do_not(loss: float) -> None:
    encoded = believing(loss).encode(unit_pictures(0), 0, budget(700))
    count, needed = len(encoded.payloads), CodecHeader.parse(encoded.payloads[0]).needed
    assert 1 < needed < count
    decoder = create_decoder("resilient")
    enough = decoder.decode(receive(encoded, 0, [index >= count - needed for index in range(count)]))
    assert (enough.trust == RECEIVED).all()
    assert mean_psnr(unit_pictures(0), enough.pictures) > 30
    short = decoder.decode(receive(encoded, 1, [index > count - needed for index in range(count)]))
    assert short.arrived == 0
    assert (short.trust == RECOVERED).all()


def test_quality_falls_gracefully_with_loss(encoder: UnitEncoder) -> None:
    rng = np.random.default_rng(3)
    units = [encoder.encode(unit_pictures(unit), unit, budget(120)) for unit in range(16)]
    quality = []
    for loss in (0.0, 0.3, 0.6, 0.9):
        decoder, seen = create_decoder("resilient"), []
        for unit, encoded in enumerate(units):
            arrived = [bool(unit == 0 or rng.random() >= loss) for _ in encoded.payloads]
            decoded = decoder.decode(receive(encoded, unit, arrived))
            seen.append(mean_psnr(unit_pictures(unit), decoded.pictures))
        quality.append(float(np.mean(seen)))
    assert quality == sorted(quality, reverse=True)
    assert quality[0] - quality[1] < 8  # no cliff
    assert quality[3] > 13


def test_a_lost_unit_is_concealed_and_never_poisons_later_ones(encoder: UnitEncoder) -> None:
    through_loss, whole = create_decoder("resilient"), create_decoder("resilient")
    for unit in range(8):
        encoded = encoder.encode(unit_pictures(unit), unit, budget(120))
        clean = whole.decode(receive(encoded, unit))
        lossy = through_loss.decode(None if unit in (2, 3) else receive(encoded, unit))
        if unit == 3:
            assert lossy.arrived == 0
            assert lossy.total == clean.total
            assert (lossy.trust == RECOVERED).all()
    reference = unit_pictures(7)[-1]
    assert psnr(reference, lossy.pictures[-1]) > psnr(reference, clean.pictures[-1]) - 0.5


def test_a_unit_without_any_segment_is_a_lost_one(encoder: UnitEncoder, decoder: UnitDecoder) -> None:
    decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget()), 0))
    decoded = decoder.decode(Received(1, (None, None)))
    assert decoded.arrived == 0
    assert (decoded.trust == RECOVERED).all()


def test_silence_keeps_the_picture_and_loses_trust(encoder: UnitEncoder, decoder: UnitDecoder) -> None:
    """Recovered for a second, in which things may move on; imagined from then on, and still. Received again with the
    next packet."""
    encoded = encoder.encode(unit_pictures(0), 0, budget())
    whole = decoder.decode(receive(encoded, 0))
    shown = [decoder.decode(None) for _ in range(40)]
    recovered = int(RECOVERED_SECONDS * FPS / encoder.frames_per_unit + 1e-9)
    for index, unit in enumerate(shown):
        assert set(unit.trust.flat) == {RECOVERED if index < recovered else IMAGINED}
        assert unit.arrived == 0
        if index >= recovered:
            assert all(np.array_equal(p, shown[recovered - 1].pictures[-1]) for p in unit.pictures)
    assert psnr(whole.pictures[-1], shown[-1].pictures[-1]) > 15
    again = decoder.decode(receive(encoded, 1))
    assert (again.trust == RECEIVED).all()


def test_what_was_never_seen_is_imagined(decoder: UnitDecoder) -> None:
    """Too few symbols tell of the geometry alone: the grey that is shown is not recovered from anything."""
    encoded = believing(0.1).encode(unit_pictures(0), 0, budget(700))
    first = [index == 0 for index in range(len(encoded.payloads))]
    decoded = decoder.decode(receive(encoded, 0, first))
    assert decoded.arrived == 0
    assert (decoded.trust == IMAGINED).all()


@pytest.mark.parametrize("loss", [1.0, 0.95])
def test_it_recovers_after_minutes_of_silence(encoder: UnitEncoder, loss: float) -> None:
    """What the network makes of its own pictures must not run away; one whole unit then looks as at a new receiver."""
    rng = np.random.default_rng(5)
    encoded = [encoder.encode(unit_pictures(u), u, budget()) for u in range(8)]
    through, fresh = create_decoder("resilient"), create_decoder("resilient")
    through.decode(receive(encoded[0], 0))
    for unit in range(400):
        arrived = [bool(rng.random() >= loss) for _ in encoded[unit % 8].payloads]
        shown = through.decode(receive(encoded[unit % 8], unit % 8, arrived) if any(arrived) else None)
    assert shown.pictures[0].std() > 20  # neither grey nor at a limit
    assert ((shown.pictures[0] > 0) & (shown.pictures[0] < 255)).mean() > 0.95
    after, new = (
        mean_psnr(unit_pictures(7), d.decode(receive(encoded[7], 7)).pictures) for d in (through, fresh)
    )
    assert after > new - 1.0


def test_after_a_cut_nothing_of_the_old_scene_stays(encoder: UnitEncoder) -> None:
    through, fresh = create_decoder("resilient"), create_decoder("resilient")
    for unit in range(3):
        through.decode(receive(encoder.encode(unit_pictures(unit), unit, budget(250)), unit))
    received = receive(encoder.encode(other_pictures(), 3, budget(250)), 3)
    seen, new = (
        mean_psnr(other_pictures(), decoder.decode(received).pictures) for decoder in (through, fresh)
    )
    assert seen > new - 2.0


@pytest.mark.parametrize("size", [(16, 16), (48, 80), (80, 48), (352, 288), (640, 368)])
def test_any_multiple_of_16_is_a_size(size: tuple[int, int], decoder: UnitDecoder) -> None:
    """Whole or in part, with a trust for each 16x16 of the picture."""
    width, height = size
    encoder, pictures = create_encoder("resilient", width, height, FPS), sized_pictures(width, height)
    room = Budget(600 + 1.2 * (width * height / 16), packet_overhead=57, max_payload=1171)
    for unit in range(3):
        encoded = encoder.encode(pictures, unit, room)
        arrived = [unit != 1 or index % 2 == 0 for index in range(len(encoded.payloads))]
        decoded = decoder.decode(receive(encoded, unit, arrived))
        assert [p.shape for p in decoded.pictures] == [p.shape for p in pictures]
        assert decoded.trust.shape == (height // 16, width // 16)
        assert decoded.total == decoded.trust.size
    assert decoded.arrived == decoded.total
    assert (decoded.trust == RECEIVED).all()
    assert mean_psnr(pictures, decoded.pictures) > 25


@pytest.mark.parametrize("size", [(1280, 720), (736, 1280)])
def test_the_largest_sizes_come_back(size: tuple[int, int], decoder: UnitDecoder) -> None:
    encoder, pictures = create_encoder("resilient", *size, FPS), sized_pictures(*size)
    encoded = encoder.encode(pictures, 0, Budget(20_000, packet_overhead=57, max_payload=1171))
    assert max(map(len, encoded.payloads)) <= 1171
    assert mean_psnr(pictures, decoder.decode(receive(encoded, 0)).pictures) > 25


@pytest.mark.parametrize("size", [(640, 360), (250, 256), (0, 64), (1920, 1088), (1280, 752)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"size|width"):
        create_encoder("resilient", *size, FPS)


@pytest.mark.parametrize("fps", [0.1, 100.0])
def test_other_frame_rates_are_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="fps"):
        create_encoder("resilient", WIDTH, HEIGHT, fps)


def test_nothing_before_the_first_unit(decoder: UnitDecoder) -> None:
    for received in (None, Received(0, (None,))):
        with pytest.raises(CodecError, match="nothing has arrived"):
            decoder.decode(received)


def test_every_payload_describes_the_stream(encoder: UnitEncoder) -> None:
    for payload in encoder.encode(unit_pictures(0), 0, budget(250)).payloads:
        info = describe(payload)
        assert (info.profile, info.width, info.height, info.fps) == ("resilient", WIDTH, HEIGHT, FPS)
        assert info.frames_per_unit == encoder.frames_per_unit
        assert info.unit_duration == pytest.approx(4 / 15)


def test_geometry_may_change_between_units(decoder: UnitDecoder, encoder: UnitEncoder) -> None:
    """There and back: nothing of the other size is left."""
    encoded = encoder.encode(unit_pictures(0), 0, budget())
    first = decoder.decode(receive(encoded, 0))
    smaller = create_encoder("resilient", 64, 48, FPS)
    decoded = decoder.decode(receive(smaller.encode(sized_pictures(64, 48), 1, budget()), 1))
    assert decoded.pictures[0].shape == (72, 64)
    assert decoder.decode(None).pictures[0].shape == (72, 64)
    back = decoder.decode(receive(encoded, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first.pictures, back.pictures, strict=True))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=80)), min_size=1, max_size=6), st.integers(0, 2**40))
def test_hostile_payloads_raise_the_documented_error(
    decoder: UnitDecoder, segments: list[bytes | None], unit: int
) -> None:
    try:
        decoder.decode(Received(unit, tuple(segments)))
    except CodecError:
        return


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 31), st.sampled_from([1, 2, 4]), st.integers(1, 3))
def test_a_good_header_before_garbage_harms_nothing(
    garbage: bytes, quality: int, shrink: int, needed: int
) -> None:
    """Authentic but senseless: refused or not, a whole unit looks as at a fresh receiver after it."""
    header = CodecHeader(MODEL_ID, WIDTH, HEIGHT, FPS, shrink, quality, needed=needed)
    through, fresh = create_decoder("resilient"), create_decoder("resilient")
    try:
        shown = through.decode(Received(0, (bytes(header) + garbage, None))).pictures
        assert shown[0].shape == (HEIGHT * 3 // 2, WIDTH)
    except CodecError:
        pass
    after, new = (mean_psnr(unit_pictures(0), d.decode(receive(WHOLE, 1)).pictures) for d in (through, fresh))
    assert after > new - 0.5


def test_a_refused_unit_leaves_the_state_as_it_was(encoder: UnitEncoder) -> None:
    units = [receive(encoder.encode(unit_pictures(unit), unit, budget()), unit) for unit in range(2)]
    disturbed, calm = create_decoder("resilient"), create_decoder("resilient")
    for decoder in (disturbed, calm):
        decoder.decode(units[0])
    other = bytes(CodecHeader(MODEL_ID, 64, 48, FPS)) + b"garbage"
    for segments in ((other,), (b"",), (units[1].segments[0], other)):
        with pytest.raises(CodecError):
            disturbed.decode(Received(1, segments))
    for received in (None, units[1]):
        one, two = disturbed.decode(received), calm.decode(received)
        assert np.array_equal(np.stack(one.pictures), np.stack(two.pictures))
        assert np.array_equal(one.trust, two.trust)


@pytest.mark.parametrize("shape", [(96, 64), (HEIGHT, WIDTH), (HEIGHT * 3 // 2 + 3, WIDTH)])
def test_wrong_pictures_are_refused(encoder: UnitEncoder, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="pictures"):
        encoder.encode([np.zeros(shape, np.uint8)] * 4, 0, budget())


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_wrong_number_of_pictures_is_refused(encoder: UnitEncoder, count: int) -> None:
    with pytest.raises(ValueError, match="pictures"):
        encoder.encode(unit_pictures(0)[:1] * count, 0, budget())


def test_an_unknown_model_is_refused(encoder: UnitEncoder, decoder: UnitDecoder) -> None:
    changed = tuple(
        b"\x70" + payload[1:] for payload in encoder.encode(unit_pictures(0), 0, budget()).payloads
    )
    with pytest.raises(CodecError, match="model"):
        decoder.decode(Received(0, changed))
    with pytest.raises(CodecError, match="model"):
        describe(changed[0])


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="profile"):
        create_encoder("other", WIDTH, HEIGHT, FPS)
    with pytest.raises(ValueError, match="profile"):
        create_decoder("other")
