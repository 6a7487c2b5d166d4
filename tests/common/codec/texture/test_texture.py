"""The texture codec as the daemons use it: any subset of packets, loss, bad input."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import COARSEST_QP, IMAGINED, RECEIVED, RECOVERED, Budget, CodecError
from common.codec.contour.coder import Decoder, Encoder
from common.codec.texture import tables
from common.codec.texture.choose import Held, choose, worth_of
from common.codec.texture.decoder import TextureDecoder, read
from common.codec.texture.encoder import REPORTED_UNITS, TextureEncoder, change, unit_frames, usual_scale
from common.codec.texture.group import Groups
from common.codec.texture.header import HEADER_BYTES, MODEL, PROFILE, TextureHeader
from common.codec.texture.past import step_of
from common.codec.texture.scaling import shrink
from common.codec.texture.syntax import Levels, most_visited, walk
from common.codec.texture.transform import BLOCKS, forward, grid
from common.video import Picture
from tests.bench.quality import psnr
from tests.common.codec.scene import Received, picture

WIDTH, HEIGHT, FPS, FRAMES = 256, 192, 8.0, 8
SCALE = 4
BUDGET = Budget(500.0, 57, 1143)


def unit(number: int, still: bool = False) -> list[Picture]:
    first = 0 if still else number * FRAMES
    return [picture(first + (0 if still else i), WIDTH, HEIGHT) for i in range(FRAMES)]


def payloads(units: int, still: bool = False, budget: Budget = BUDGET) -> list[bytes]:
    coder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE)
    assert coder.frames_per_unit == FRAMES
    return [coder.encode(unit(number, still), number, budget).payloads[0] for number in range(units)]


def closeness(number: int, small: list[Picture], still: bool = False) -> float:
    sent = [shrink(one, WIDTH // SCALE, HEIGHT // SCALE) for one in unit(number, still)]
    return float(np.mean([psnr(a, b) for a, b in zip(sent, small, strict=True)]))


def test_pictures_come_back_at_both_sizes() -> None:
    decoder = TextureDecoder()
    for number, payload in enumerate(payloads(2)):
        assert len(payload) <= BUDGET.wire_bytes - BUDGET.packet_overhead
        decoded = decoder.decode(Received(number, (payload,)))
        assert [one.shape for one in decoded.pictures] == [(HEIGHT * 3 // 2, WIDTH)] * FRAMES
        assert [one.shape for one in decoder.small] == [(HEIGHT * 3 // 2 // SCALE, WIDTH // SCALE)] * FRAMES
        assert (decoded.trust == RECEIVED).all() and decoded.trust.shape == (HEIGHT // 16, WIDTH // 16)
        assert closeness(number, decoder.small) > 20


def test_more_bytes_look_better_and_a_unit_never_passes_its_budget() -> None:
    found = []
    for wire in (110.0, 200.0, 500.0, 1000.0):
        (payload,) = payloads(1, budget=replace(BUDGET, wire_bytes=wire))
        assert len(payload) + BUDGET.packet_overhead <= wire
        decoder = TextureDecoder()
        decoder.decode(Received(0, (payload,)))
        found.append(closeness(0, decoder.small))
    assert found == sorted(found) and found[-1] > found[0] + 5


def test_it_tells_how_coarse_pictures_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Groups, "code", lambda *given: None)
    found = []
    for wire in (200.0, 400.0, 1000.0):
        coder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, 2)
        (payload,) = coder.encode(unit(0), 0, replace(BUDGET, wire_bytes=wire)).payloads
        assert not TextureHeader.is_group(payload)
        decoder = TextureDecoder()
        decoded = decoder.decode(Received(0, (payload,)))
        found.append(decoded.qp)
        # H.265's step doubles every six, and is one at four.
        step = 2 ** ((decoded.qp - 4) / 6)
        most = step_of(TextureHeader.step(payload), 0)
        assert most / FRAMES**0.5 < step < most
        assert decoder.decode(None).qp == decoded.qp
    assert found == sorted(found, reverse=True) and found[0] > found[-1] + 6
    (payload,) = payloads(1)
    assert TextureDecoder().decode(Received(0, (payload,))).qp == COARSEST_QP  # a quarter of each side


def test_what_fits_at_no_step_is_left_out() -> None:
    """Down to a unit in which nothing is sent."""
    width, height, frames = 512, 256, 4
    noise = np.random.default_rng(1)
    strange = [
        noise.integers(0, 2, (height // SCALE * 3 // 2, width // SCALE), np.uint8) * 255
        for _ in range(frames)
    ]
    strange = [one.repeat(SCALE, 0).repeat(SCALE, 1) for one in strange]
    for wire in (70.0, 80.0, 150.0):
        coder, decoder = TextureEncoder(width, height, FPS, frames, SCALE), TextureDecoder()
        (payload,) = coder.encode(strange, 0, replace(BUDGET, wire_bytes=wire)).payloads
        assert len(payload) + BUDGET.packet_overhead <= wire
        assert len(decoder.decode(Received(0, (payload,))).pictures) == frames


def test_what_was_sent_is_forgotten_whatever_the_numbers() -> None:
    coder, pictures = TextureEncoder(64, 64, FPS, 1, SCALE), [picture(0, 64, 64)]
    for number in range(0, 210, 3):
        coder.encode(pictures, number, BUDGET)
    assert len(coder._sent) <= REPORTED_UNITS


@pytest.mark.parametrize("size", [100, 600, 1171, 2000])
def test_a_packet_costs_no_more_than_its_bytes_can_mean(size: int) -> None:
    """Runs of zeros, then the last coefficient, in all blocks: hundredths of a bit each."""
    header = TextureHeader(1024, 896, 8.0, 16)
    unit = Levels.empty(16, *grid(*header.coded_size))
    coder, blocks = Encoder(tables.contexts()), size * 16 // 11
    for plane in unit.values:
        for time in plane:
            for row in time:
                for block in row[: max(0, blocks)]:
                    block[-1] = 1
                    blocks -= 1
    visited = walk(coder, unit, False)
    body = coder.finish()
    assert visited > 2 * most_visited(len(body))  # as hostile as is said
    payload = header.with_step(20) + body
    seen = Counting(tables.contexts(), body)
    with pytest.raises(CodecError):
        walk(seen, Levels.empty(16, *grid(*header.coded_size)), True, most_visited(len(body)))
    assert seen.bits < 1.5 * most_visited(len(body)) + 3 * 2 * 16 * 256
    with pytest.raises(CodecError, match="mean so much"):
        read(payload)


class Counting(Decoder):
    """Counts its bits."""

    bits = 0

    def bit(self, context: int, value: int = 0) -> int:
        self.bits += 1
        return super().bit(context, value)


def test_what_stands_still_gets_better_from_unit_to_unit() -> None:
    decoder, found = TextureDecoder(), []
    for number, payload in enumerate(payloads(8, still=True, budget=replace(BUDGET, wire_bytes=200.0))):
        decoder.decode(Received(number, (payload,)))
        found.append(closeness(number, decoder.small, still=True))
    assert found[-1] > found[0] + 2


@settings(deadline=None, max_examples=15)
@given(st.lists(st.booleans(), min_size=8, max_size=8))
def test_any_subset_of_units_decodes(mask: list[bool]) -> None:
    decoder, seen = TextureDecoder(), False
    for number, (payload, came) in enumerate(zip(payloads_once(), mask, strict=True)):
        if not came and not seen:
            continue
        seen = True
        decoded = decoder.decode(Received(number, (payload,)) if came else None)
        assert len(decoded.pictures) == (FRAMES if came else decoder_part(payload))
        assert (decoded.trust != RECEIVED).all() or came


def decoder_part(payload: bytes) -> int:
    """Pictures that are made in place of a unit at a time."""
    part = TextureHeader.parse(payload).info.concealed
    assert 1 <= part < FRAMES
    return part


_ONCE: list[bytes] = []


def payloads_once() -> list[bytes]:
    if not _ONCE:
        _ONCE.extend(payloads(8))
    return _ONCE


def test_a_lost_unit_does_not_outlast_itself_for_long() -> None:
    """A moving scene with every other unit lost ends as good as without loss, but for what has not been refreshed."""
    all_, some = TextureDecoder(), TextureDecoder()
    worst = 0.0
    for number, payload in enumerate(payloads_once()):
        all_.decode(Received(number, (payload,)))
        lost = number % 2 == 1
        decoded = some.decode(None if lost else Received(number, (payload,)))
        if lost:
            assert (decoded.trust == RECOVERED).all()
        else:
            worst = max(worst, closeness(number, all_.small) - closeness(number, some.small))
    assert worst < 3


def test_joins_anywhere() -> None:
    decoder = TextureDecoder()
    with pytest.raises(CodecError, match="nothing has arrived"):
        decoder.decode(None)
    for number, payload in list(enumerate(payloads_once()))[4:6]:
        decoded = decoder.decode(Received(number, (payload,)))
    assert len(decoded.pictures) == FRAMES
    assert closeness(5, decoder.small) > 15


def test_silence_becomes_imagined() -> None:
    decoder = TextureDecoder()
    decoder.decode(Received(0, (payloads_once()[0],)))
    trusts = [int(decoder.decode(None).trust.max()) for _ in range(12)]
    assert trusts[0] == RECOVERED and trusts[-1] == IMAGINED


def test_reports_change_what_is_sent() -> None:
    def quality(came: bool) -> float:
        coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), TextureDecoder()
        for number in range(6):
            one = coder.encode(unit(number, True), number, replace(BUDGET, wire_bytes=160.0))
            if came or number == 0 or number == 5:
                decoder.decode(Received(number, (one.payloads[0],)))
            coder.report(number, [came])
            coder.report(number, [came])  # a second report changes nothing
            coder.report(1000, None)
        return closeness(5, decoder.small, still=True)

    assert quality(True) > quality(False)


def test_the_header_tells_the_stream() -> None:
    payload = payloads_once()[0]
    header = TextureHeader.parse(payload)
    assert (payload[0] >> 4, header.info.profile) == (MODEL, PROFILE)
    assert (header.width, header.height, header.fps, header.frames) == (WIDTH, HEIGHT, FPS, FRAMES)
    assert header.coded_size == (WIDTH // SCALE, HEIGHT // SCALE)
    assert TextureHeader(480, 352, 10.0, 12).coded_size == (120, 88)
    assert TextureHeader.parse(header.with_step(9)) == header and TextureHeader.step(header.with_step(9)) == 9


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0x12), (0, 0xF6), (0, 0xFA), (1, 0), (2, 0), (3, 0), (4, 1), (5, 64), (1, 255)]
)
def test_damaged_headers_are_refused(place: int, value: int) -> None:
    payload = bytearray(payloads_once()[0])
    payload[place] = value
    with pytest.raises(CodecError):
        if place == 1 and value == 255:
            payload[2] = 255
        TextureDecoder().decode(Received(0, (bytes(payload),)))


def test_damaged_bodies_are_refused_and_change_nothing() -> None:
    first, second = payloads_once()[:2]
    decoder, other = TextureDecoder(), TextureDecoder()
    for one in (decoder, other):
        one.decode(Received(0, (first,)))
    for bad in (second[: HEADER_BYTES - 1], second + bytes(20) + b"\1", second[:HEADER_BYTES] + b"\xff" * 40):
        with pytest.raises(CodecError):
            decoder.decode(Received(1, (bad,)))
    with pytest.raises(CodecError, match="disagree"):
        decoder.decode(Received(1, (first, second)))
    same = [one.decode(Received(1, (second,))).pictures for one in (decoder, other)]
    assert np.array_equal(same[0], same[1])


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=120))
def test_any_body_reads_or_raises(body: bytes) -> None:
    header = TextureHeader(64, 64, 10.0, 4)
    try:
        _, _, levels = read(header.with_step(20) + body)
    except CodecError:
        return
    assert isinstance(levels, Levels) and len(levels.values[0]) == 4


def test_bad_arguments() -> None:
    with pytest.raises(CodecError, match="frames"):
        TextureEncoder(256, 256, 15.0, frames=40)
    with pytest.raises(CodecError, match="size"):
        TextureEncoder(250, 256, 15.0)
    with pytest.raises(CodecError, match="scale"):
        TextureEncoder(256, 256, 15.0, scale=3)
    coder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE)
    with pytest.raises(ValueError, match="pictures"):
        coder.encode(unit(0)[:3], 0, BUDGET)


def test_units_are_as_long_as_headers_ask_for_or_a_packet_holds() -> None:
    assert [unit_frames(15.0, kbps) for kbps in (1, 3, 5, 8, 12, 1000)] == [30, 22, 20, 18, 12, 4]
    assert unit_frames(10.0) == 20
    assert unit_frames(60.0) == 32


def test_finer_pictures_where_little_changes_and_the_rate_allows_them() -> None:
    frames = unit_frames(10.0, 7.0)
    still = partial(usual_scale, 480, 352, 10.0, frames, change=0.0)
    assert (still(kbps=5.0), still(kbps=5.1)) == (4, 2)
    moving = partial(usual_scale, 480, 352, 10.0, frames, change=4.0)
    assert (moving(kbps=11.0), moving(kbps=12.0)) == (4, 2)
    assert usual_scale(960, 544, 2.0, 8, 100.0, 0.0) == 2
    assert usual_scale(960, 544, 2.0, 16, 100.0, 0.0) == 4  # a unit of finer ones would be too large
    assert usual_scale(480, 352, 30.0, 24, 7.0, 0.0) == 2
    assert usual_scale(480, 352, 60.0, 24, 7.0, 0.0) == 4  # finer ones would take too long


def test_change_is_of_samples_in_a_tenth_of_a_second() -> None:
    grey = [np.full((48, 32), 100 + 3 * k, np.uint8) for k in range(4)]
    assert change(grey, 10.0) == pytest.approx(3.0)
    assert change(grey, 30.0) == pytest.approx(9.0)
    assert change(grey[:1], 30.0) == 0.0


def test_bits_are_cheaper_where_all_moves() -> None:
    assert [worth_of(change) for change in (0.0, 4.0, 6.0, 30.0)] == [0.15, 0.15, pytest.approx(0.1), 0.068]
    coefficients = forward([shrink(one, WIDTH // SCALE, HEIGHT // SCALE) for one in unit(0)])
    rows, columns = grid(WIDTH // SCALE, HEIGHT // SCALE)
    nothing = [np.zeros((rows, columns, side * side), np.float32) for side in BLOCKS]
    held = Held(nothing, [np.ones_like(one) for one in nothing])
    sent = [
        sum(int((values != 0).sum()) for values in choose(coefficients, 20, held, worth_of(change)).values)
        for change in (0.0, 30.0)
    ]
    assert sent[0] < sent[1]


def test_the_first_unit_sets_the_size_of_small_pictures_for_good() -> None:
    moving, still = [picture(3 * i, WIDTH, HEIGHT) for i in range(FRAMES)], [unit(0)[0]] * FRAMES
    scales = []
    for first, second in ((moving, still), (still, moving)):
        coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, kbps=1.6), TextureDecoder()
        for number, pictures in enumerate((first, second)):
            (payload,) = coder.encode(pictures, number, BUDGET).payloads
            scale = TextureHeader.parse(payload).scale
            scales.append(scale)
            decoded = decoder.decode(Received(number, (payload,)))
            assert [one.shape for one in decoder.small] == [
                (HEIGHT * 3 // 2 // scale, WIDTH // scale)
            ] * FRAMES
            assert [one.shape for one in decoded.pictures] == [(HEIGHT * 3 // 2, WIDTH)] * FRAMES
            assert (decoded.trust == RECEIVED).all() and decoded.trust.shape == (HEIGHT // 16, WIDTH // 16)
    assert scales == [4, 4, 2, 2]


def test_half_size_looks_better_where_there_are_bytes_for_it_and_only_there() -> None:
    """Of the pictures at their full size."""

    def quality(scale: int, wire: float) -> float:
        coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, scale), TextureDecoder()
        for number in range(6):
            one = coder.encode(unit(number, True), number, replace(BUDGET, wire_bytes=wire))
            assert one.wire_bytes <= wire
            shown = decoder.decode(Received(number, (one.payloads[0],))).pictures
            coder.report(number, [True])
        return float(np.mean([psnr(a, b) for a, b in zip(unit(5, True), shown, strict=True)]))

    assert quality(2, 600.0) > quality(4, 600.0) + 1
    assert quality(2, 80.0) < quality(4, 80.0)


def test_a_slow_host_looks_for_less_and_still_keeps_the_budget() -> None:
    coder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE, adaptive=True)
    coder._slow = True  # as after a unit that took long
    decoder = TextureDecoder()
    for number in range(4):
        (payload,) = coder.encode(unit(number), number, BUDGET).payloads
        coder._slow = True
        assert len(payload) + BUDGET.packet_overhead <= BUDGET.wire_bytes
        decoder.decode(Received(number, (payload,)))
    assert closeness(3, decoder.small) > 15
