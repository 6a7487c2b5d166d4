"""The `classic` profile end to end: rate held, what a loss costs and how it ends, key units, hostile data."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, CodecError, EncodedUnit
from common.codec.classic.decoder import ClassicDecoder
from common.codec.classic.encoder import ClassicEncoder
from common.codec.classic.header import HEADER_BYTES, ClassicHeader
from common.codec.effort import Effort
from common.codec.registry import create_decoder, create_encoder
from common.video import Picture
from tests.common.codec.scene import (
    FPS,
    HEIGHT,
    WIDTH,
    Received,
    budget,
    mean_psnr,
    noise_pictures,
    other_pictures,
    receive,
    sized_pictures,
    still_pictures,
    unit_pictures,
)
from tests.common.codec.scene import (
    picture as scene_picture,
)

GOOD = 28.0  # dB


def encoder(calm: bool = True) -> ClassicEncoder:
    """`calm`: the link is known to lose next to nothing."""
    out = ClassicEncoder(
        WIDTH, HEIGHT, FPS, Effort(0.05)
    )  # the fastest preset: what is tested does not depend on it
    if calm:
        out.observe([True] * 400)
    return out


def encoded(count: int, coder: ClassicEncoder | None = None, kbps: float = 250.0) -> list[EncodedUnit]:
    coder = coder or encoder()
    return [coder.encode(unit_pictures(unit), unit, budget(kbps)) for unit in range(count)]


def sized_noise(width: int, height: int) -> list[Picture]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 255, (4, height * 3 // 2, width), dtype=np.uint8))


def header(unit: EncodedUnit) -> ClassicHeader:
    return ClassicHeader.parse(unit.payloads[0])


def protected() -> EncodedUnit:
    """A key unit against a loss of a tenth."""
    coder = encoder(calm=False)
    coder.observe(([True] * 9 + [False]) * 30)
    return coder.encode(unit_pictures(0), 0, budget(250))


UNITS, PROTECTED = encoded(6, kbps=60), protected()


def test_round_trip() -> None:
    decoder = create_decoder("classic")
    for number, unit in enumerate(UNITS):
        decoded = decoder.decode(receive(unit, number))
        assert mean_psnr(unit_pictures(number), decoded.pictures) > GOOD
        assert (decoded.trust == RECEIVED).all() and decoded.trust.shape == (HEIGHT // 16, WIDTH // 16)
        assert (decoded.arrived, decoded.fps, decoded.quality) == (decoded.total, FPS, unit.quality)


def test_a_unit_refers_to_the_one_before() -> None:
    """What the pictures have in common is sent once: the units after the key unit look better."""
    assert [header(unit).link for unit in UNITS] == list(range(6))
    decoder = ClassicDecoder()
    quality = [
        mean_psnr(unit_pictures(n), decoder.decode(receive(unit, n)).pictures) for n, unit in enumerate(UNITS)
    ]
    assert min(quality[2:]) > quality[0] + 1


def test_the_same_bytes_give_the_same_samples() -> None:
    again = encoded(3, kbps=60)
    assert [unit.payloads for unit in again] == [unit.payloads for unit in UNITS[:3]]
    one, two = ClassicDecoder(), ClassicDecoder()
    for number, unit in enumerate(again):
        first, second = (d.decode(receive(unit, number)).pictures for d in (one, two))
        assert np.array_equal(np.stack(first), np.stack(second))


@pytest.mark.parametrize("kbps", [30.0, 60.0, 250.0])
def test_units_fit_their_budgets(kbps: float) -> None:
    """A scene that moves, then another, stillness, noise, and the first again."""
    coder = encoder()
    scenes = [
        *map(unit_pictures, range(4)),
        other_pictures(),
        still_pictures(),
        noise_pictures(),
        unit_pictures(9),
    ]
    for number, pictures in enumerate(scenes):
        unit = coder.encode(pictures, number, budget(kbps))
        assert unit.wire_bytes == sum(len(p) + budget().packet_overhead for p in unit.payloads)
        assert all(len(payload) <= budget().max_payload for payload in unit.payloads)
        assert unit.wire_bytes <= 1.05 * budget(kbps).wire_bytes


def test_the_budget_is_used() -> None:
    coder, spent = encoder(), 0
    for number in range(10):
        spent += coder.encode(unit_pictures(number), number, budget(120)).wire_bytes
    assert spent > 0.75 * 10 * budget(120).wire_bytes


def test_another_budget_is_followed_within_the_stream() -> None:
    """No key unit is needed for it."""
    coder = encoder()
    units = [coder.encode(unit_pictures(n), n, budget(250 if n < 4 else 90)) for n in range(8)]
    sizes, links = [unit.wire_bytes for unit in units], [header(unit).link for unit in units]
    assert max(sizes[4:]) <= 1.05 * budget(90).wire_bytes < min(sizes[:4])
    assert links[:6] == list(range(6))


def test_a_cut_begins_anew_and_fits() -> None:
    coder = encoder()
    encoded(3, coder, 60)
    unit = coder.encode(noise_pictures(), 3, budget(60))
    assert unit.wire_bytes <= 1.05 * budget(60).wire_bytes


@pytest.mark.parametrize("lost", range(1, 5))
def test_a_lost_unit_is_held_until_the_next_key_unit(lost: int) -> None:
    coder, decoder = encoder(), ClassicDecoder()
    units: list[EncodedUnit] = []
    shown: list[Picture] = []
    for number in range(8):
        if number == lost + 2:  # the report is back
            coder.report(lost, [False] * len(units[lost].payloads))
        units.append(coder.encode(unit_pictures(number), number, budget(250)))
        decoded = decoder.decode(None if number == lost else receive(units[-1], number))
        if lost <= number < lost + 2:
            assert all(np.array_equal(picture, shown[-1]) for picture in decoded.pictures)
            assert (decoded.trust == RECOVERED).all() and decoded.arrived == 0
        else:
            assert (decoded.trust == RECEIVED).all()
            assert mean_psnr(unit_pictures(number), decoded.pictures) > GOOD
        shown += decoded.pictures
    assert header(units[lost + 2]).key


def test_where_the_first_unit_is_lost_the_picture_is_grey_and_imagined() -> None:
    decoder = ClassicDecoder()
    with pytest.raises(CodecError, match="nothing has arrived"):
        decoder.decode(None)
    decoded = decoder.decode(receive(UNITS[1], 1))
    assert (decoded.trust == IMAGINED).all() and decoded.arrived == 0
    assert all((picture == 128).all() for picture in decoded.pictures)


def test_symbols_that_are_too_few_lose_the_unit_and_enough_do_not() -> None:
    unit = PROTECTED
    needed, count = header(unit).needed, len(unit.payloads)
    assert count > needed > 1
    for missing in range(count - needed + 1):
        kept = [i >= missing for i in range(count)]
        decoded = ClassicDecoder().decode(receive(unit, 0, kept))
        assert mean_psnr(unit_pictures(0), decoded.pictures) > GOOD
    kept = [i < needed - 1 for i in range(count)]
    assert (ClassicDecoder().decode(receive(unit, 0, kept)).trust == IMAGINED).all()


def test_after_a_second_what_is_held_is_imagined() -> None:
    decoder = ClassicDecoder()
    decoder.decode(receive(UNITS[0], 0))
    trust = [int(decoder.decode(None).trust.max()) for _ in range(6)]
    assert trust[:3] == [RECOVERED] * 3 and trust[4:] == [IMAGINED] * 2


def test_concealing_in_between_loses_no_reference() -> None:
    """A receiver conceals when its ticks run dry, though nothing is lost."""
    disturbed, calm = ClassicDecoder(), ClassicDecoder()
    for number, unit in enumerate(UNITS[:4]):
        disturbed.decode(receive(unit, number))
        expected = calm.decode(receive(unit, number)).pictures
        if number:
            disturbed.decode(None)
            with pytest.raises(CodecError):
                disturbed.decode(Received(number, (b"\0garbage",)))
    assert np.array_equal(disturbed.decode(None).pictures[0], expected[-1])
    assert (disturbed.decode(receive(UNITS[4], 4)).trust == RECEIVED).all()


def test_units_out_of_order_are_not_decoded_onto_the_wrong_reference() -> None:
    decoder = ClassicDecoder()
    decoder.decode(receive(UNITS[0], 0))
    assert (decoder.decode(receive(UNITS[2], 2)).trust == RECOVERED).all()
    assert (decoder.decode(receive(UNITS[1], 1)).trust == RECEIVED).all()
    assert (decoder.decode(receive(UNITS[2], 2)).trust == RECEIVED).all()
    assert (decoder.decode(receive(UNITS[0], 0)).trust == RECEIVED).all()


def test_key_units_come_by_themselves_on_a_one_way_link() -> None:
    links = [header(unit).link for unit in encoded(26, encoder(calm=False), 120)]
    keys = [number for number, link in enumerate(links) if link == 0]
    assert len(keys) >= 2 and max(np.diff([*keys, 26])) <= 12  # three seconds


def test_key_units_never_come_in_bursts() -> None:
    """Every unit is reported lost."""
    coder, keys = encoder(), 0
    for number in range(12):
        unit = coder.encode(still_pictures(), number, budget(120))
        coder.report(number, [False] * len(unit.payloads))
        keys += header(unit).key
    assert keys <= 6


def test_a_loss_before_the_last_key_unit_asks_for_nothing() -> None:
    coder = encoder()
    units = [coder.encode(still_pictures(), n, budget(120)) for n in range(3)]
    coder.report(1, None)
    units += [coder.encode(still_pictures(), n, budget(120)) for n in range(3, 6)]
    coder.report(2, [False] * len(units[2].payloads))
    coder.report(77, None)  # unknown
    units += [coder.encode(still_pictures(), n, budget(120)) for n in range(6, 12)]
    assert [header(unit).key for unit in units].count(True) == 2


def test_reports_of_loss_make_protection_stronger() -> None:
    shares = []
    for loss in (0.0, 0.2):
        coder, rng = encoder(calm=False), np.random.default_rng(3)
        for number in range(8):
            unit = coder.encode(still_pictures(), number, budget(120))
            coder.report(number, [bool(x) for x in rng.random(len(unit.payloads)) >= loss])
        shares.append(coder.prospect(budget(120)).needed / coder.prospect(budget(120)).count)
    assert shares[1] < 0.8 * shares[0]


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (208, 112)])
def test_sizes(size: tuple[int, int]) -> None:
    coder, decoder = create_encoder("classic", *size, FPS), create_decoder("classic")
    for number in range(2):
        decoded = decoder.decode(receive(coder.encode(sized_pictures(*size), number, budget(250)), number))
        assert decoded.pictures[0].shape == (size[1] * 3 // 2, size[0]) and len(decoded.pictures) == 4
        assert mean_psnr(sized_pictures(*size), decoded.pictures) > 20


def test_geometry_may_change_between_units() -> None:
    decoder = ClassicDecoder()
    first = decoder.decode(receive(UNITS[0], 0)).pictures
    smaller = create_encoder("classic", 64, 48, FPS).encode(sized_pictures(64, 48), 1, budget())
    assert decoder.decode(receive(smaller, 1)).pictures[0].shape == (72, 64)
    assert decoder.decode(None).pictures[0].shape == (72, 64)
    back = decoder.decode(receive(UNITS[0], 2)).pictures
    assert np.array_equal(np.stack(first), np.stack(back))


def test_poor_rates_are_coded_smaller() -> None:
    """What does not fit at full size, and what fits but looks better."""
    noise = ClassicEncoder(256, 192, FPS).encode(sized_noise(256, 192), 0, budget(10))
    assert header(noise).shrink > 1
    coder = ClassicEncoder(256, 192, FPS, Effort(0.05))
    small = replace(budget(), wire_bytes=400)
    for number in range(10):
        pictures = [scene_picture(4 * number + i, 256, 192) for i in range(4)]
        last = header(coder.encode(pictures, number, small))
    assert last.shrink > 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=80)), min_size=1, max_size=6))
def test_any_payloads_raise_the_documented_error(segments: list[bytes | None]) -> None:
    try:
        ClassicDecoder().decode(Received(0, tuple(segments)))
    except CodecError:
        return


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.integers(0, 2), st.sampled_from([1, 2]), st.integers(1, 2))
def test_a_good_header_before_garbage_harms_nothing(
    garbage: bytes, link: int, shrink: int, needed: int
) -> None:
    """Authentic but senseless: the next key unit looks as at a fresh receiver."""
    good = ClassicHeader(WIDTH, HEIGHT, FPS, shrink, 0, link, needed)
    decoder = ClassicDecoder()
    decoder.decode(receive(UNITS[0], 0))
    payloads = tuple(bytes(replace(good, index=index)) + garbage for index in range(needed))
    with contextlib.suppress(CodecError):
        assert decoder.decode(Received(1, payloads)).pictures[0].shape == (HEIGHT * 3 // 2, WIDTH)
    after = decoder.decode(receive(UNITS[0], 2)).pictures
    assert np.array_equal(np.stack(after), np.stack(ClassicDecoder().decode(receive(UNITS[0], 0)).pictures))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1), st.integers(HEADER_BYTES, 5000), st.integers(1, 255))
def test_damage_in_coded_pictures_is_refused_or_shown_but_never_crashes(
    number: int, where: int, flip: int
) -> None:
    unit = UNITS[number]
    needed = header(unit).needed
    payloads = [bytearray(payload) for payload in unit.payloads[:needed]]
    part = payloads[where % needed]
    part[HEADER_BYTES + where % (len(part) - HEADER_BYTES)] ^= flip
    decoder = ClassicDecoder()
    for earlier in range(number):
        decoder.decode(receive(UNITS[earlier], earlier))
    with contextlib.suppress(CodecError):
        shown = decoder.decode(Received(number, tuple(map(bytes, payloads)))).pictures
        assert shown[0].shape == (HEIGHT * 3 // 2, WIDTH)
    assert (decoder.decode(receive(UNITS[0], 9)).trust == RECEIVED).all()


def test_symbols_that_disagree_are_refused() -> None:
    for other in (UNITS[1].payloads[0], PROTECTED.payloads[1][:-1]):
        with pytest.raises(CodecError, match="disagree"):
            ClassicDecoder().decode(Received(0, (PROTECTED.payloads[0], other)))
    with pytest.raises(CodecError, match="empty"):
        ClassicDecoder().decode(Received(0, (UNITS[0].payloads[0][:HEADER_BYTES],)))


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_wrong_number_of_pictures_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="pictures"):
        encoder().encode(unit_pictures(0)[:1] * count, 0, budget())
