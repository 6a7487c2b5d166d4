"""Units that go as groups: when, how near, what they refer to, and what they leave to the units that follow."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from common.codec.base import RECEIVED, RECOVERED, Budget, CodecError
from common.codec.hevc import group as hevc
from common.codec.texture import decoder as texture
from common.codec.texture.between import between
from common.codec.texture.chain import MOST_BACK, Reference
from common.codec.texture.decoder import Coded, TextureDecoder
from common.codec.texture.encoder import TextureEncoder, change
from common.codec.texture.group import Group, Groups, decoded, filled, squared_error
from common.codec.texture.header import EVERY, HEADER_BYTES, TextureHeader
from common.codec.texture.scaling import shrink
from common.video import Picture
from tests.common.codec.scene import Received, picture

WIDTH, HEIGHT, FPS, FRAMES, SCALE = 256, 192, 8.0, 8, 2
BUDGET = Budget(900.0, 57, 1143)
SPEED = 4  # pixels a picture


def panned(number: int, frames: int = FRAMES) -> list[Picture]:
    """A textured scene over which the camera moves evenly."""
    wide = picture(0, WIDTH + SPEED * FRAMES * 6, HEIGHT)
    wide[:HEIGHT, ::24] = 30
    out = []
    for index in range(number * FRAMES, number * FRAMES + frames):
        luma = wide[:HEIGHT, SPEED * index : SPEED * index + WIDTH]
        chroma = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        out.append(np.ascontiguousarray(np.concatenate((luma, chroma))))
    return out


def sent(units: int, told: bool = False) -> list[bytes]:
    """Payloads of the moving scene; `told`: each unit is reported before the next."""
    coder, out = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), []
    for number in range(units):
        out.append(coder.encode(panned(number), number, BUDGET).payloads[0])
        if told:
            coder.report(number, [True])
    return out


def error(decoder: TextureDecoder, pictures: list[Picture]) -> float:
    return squared_error(decoder.small, [shrink(one, WIDTH // SCALE, HEIGHT // SCALE) for one in pictures])


def test_a_moving_camera_is_sent_as_groups_which_are_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert change(panned(0), FPS) > 4
    found = {}
    for name in ("groups", "levels"):
        if name == "levels":
            monkeypatch.setattr(Groups, "code", lambda *given: None)
        decoder, errors = TextureDecoder(), []
        for number, payload in enumerate(sent(3)):
            assert len(payload) <= BUDGET.wire_bytes - BUDGET.packet_overhead
            assert TextureHeader.is_group(payload) == (name == "groups")
            decoded = decoder.decode(Received(number, (payload,)))
            assert len(decoded.pictures) == FRAMES and (decoded.trust == RECEIVED).all()
            assert name == "levels" or decoded.qp == pytest.approx(TextureHeader.step(payload) * 51 / 63)
            errors.append(error(decoder, panned(number)))
        found[name] = errors
    assert all(one < 0.6 * other for one, other in zip(found["groups"], found["levels"], strict=True))


def test_what_stands_later_grows_from_the_last_picture_of_a_group() -> None:
    """Where nobody reports: levels go on from it."""
    coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), TextureDecoder()
    coder._chain.hopeful = lambda unit: False  # type: ignore[method-assign]
    still = [panned(1)[-1]] * FRAMES
    units = [panned(0), panned(1), *[still] * 4]
    errors = []
    for number, pictures in enumerate(units):
        (payload,) = coder.encode(pictures, number, BUDGET).payloads
        assert TextureHeader.is_group(payload) == (number < 2) and not TextureHeader.refers(payload)
        decoder.decode(Received(number, (payload,)))
        errors.append(error(decoder, pictures))
    assert errors[2] < errors[1] and errors[5] < 0.6 * errors[2]


def test_what_is_told_to_have_come_is_referred_to_and_that_is_nearer() -> None:
    alone, chained = TextureDecoder(), TextureDecoder()
    found = {False: list[float](), True: list[float]()}
    for told, decoder in ((False, alone), (True, chained)):
        for number, payload in enumerate(sent(5, told)):
            assert TextureHeader.is_group(payload)
            assert TextureHeader.refers(payload) == (told and number > 0)
            decoder.decode(Received(number, (payload,)))
            found[told].append(error(decoder, panned(number)))
    assert sum(found[True][2:]) < 0.7 * sum(found[False][2:])


def test_after_a_loss_it_refers_to_what_came() -> None:
    coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), TextureDecoder()
    backs = []
    for number in range(6):
        (payload,) = coder.encode(panned(number), number, BUDGET).payloads
        unit = texture.read(payload)[2]
        assert isinstance(unit, Coded)
        backs.append(unit.back)
        lost = number == 2
        coder.report(number, [not lost])
        shown = decoder.decode(None if lost else Received(number, (payload,)))
        assert lost or (shown.trust == RECEIVED).all()
        held = coder._chain.reference(number + 1)
        assert (held is not None and np.array_equal(held.picture, decoder.small[-1])) or lost
    assert backs == [None, 1, 1, 2, 1, 1]


def test_what_it_refers_to_is_not_there_and_nothing_changes() -> None:
    first, second, third, fourth = sent(4, told=True)
    decoder = TextureDecoder()
    with pytest.raises(CodecError, match="not there"):
        decoder.decode(Received(1, (second,)))
    decoder.decode(Received(0, (first,)))
    with pytest.raises(CodecError, match="refers to the one 1 before"):
        decoder.decode(Received(2, (third,)))
    decoder.decode(Received(1, (second,)))
    decoder.decode(Received(2, (third,)))
    whole = TextureDecoder()
    for number, payload in enumerate((first, second, third)):
        whole.decode(Received(number, (payload,)))
    assert np.array_equal(np.stack(decoder.small), np.stack(whole.small))
    with pytest.raises(CodecError, match="not there"):  # of another size
        header = TextureHeader(WIDTH * 2, HEIGHT, FPS, FRAMES, SCALE)
        decoder.decode(Received(3, (header.of_group(9, 1, True) + fourth[HEADER_BYTES:],)))
    for back in (0, MOST_BACK + 1, 255):
        with pytest.raises(CodecError, match="none of the last"):
            decoder.decode(
                Received(3, (fourth[:HEADER_BYTES] + bytes((back,)) + fourth[HEADER_BYTES + 1 :],))
            )
    decoder.decode(Received(3, (fourth,)))
    assert len(decoder._known) == 4


def test_a_receiver_keeps_few_pictures() -> None:
    decoder = TextureDecoder()
    for number, payload in enumerate(sent(3) * 8):
        decoder.decode(Received(number, (payload,)))
    assert sorted(decoder._known) == list(range(24 - MOST_BACK, 24))


def test_the_size_is_chosen_again_when_somebody_tells_for_the_first_time() -> None:
    """Where much moves finer pictures need reports: what is predicted from unit to unit takes fewer bytes."""
    coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, kbps=8.0), TextureDecoder()
    scales = []
    for number in range(6):
        payload = coder.encode(panned(number), number, BUDGET).payloads[0]
        if number >= 1:
            coder.report(number - 1, [True])  # also of pictures of the size before
        decoder.decode(Received(number, (payload,)))
        scales.append(TextureHeader.parse(payload).scale)
        assert TextureHeader.refers(payload) == (number in (4, 5))
    assert scales == [4, 4, 2, 2, 2, 2]


def test_where_nobody_reports_nothing_refers() -> None:
    assert not any(TextureHeader.refers(payload) for payload in sent(6))


def test_a_group_needs_nothing_and_is_shown_on_where_units_are_missing() -> None:
    first, second, third = sent(3)
    alone, after = TextureDecoder(), TextureDecoder()
    after.decode(Received(0, (first,)))
    for decoder in (alone, after):
        decoder.decode(Received(2, (third,)))
    assert np.array_equal(np.stack(alone.small), np.stack(after.small))
    last = alone.small[-1]
    held = alone.decode(None)
    assert (held.trust == RECOVERED).all()
    assert np.abs(alone.small[0].astype(int) - last).max() <= 1
    assert TextureHeader.is_group(second)


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_damaged_group_is_refused_and_changes_nothing(cut: int) -> None:
    first, second, _ = sent(3)
    decoder, other = TextureDecoder(), TextureDecoder()
    for one in (decoder, other):
        one.decode(Received(0, (first,)))
    with pytest.raises(CodecError):
        decoder.decode(Received(1, (second[:HEADER_BYTES] + second[HEADER_BYTES:][:cut],)))
    with pytest.raises(CodecError):  # of another size than the header says
        header = TextureHeader(WIDTH // 2, HEIGHT, FPS, FRAMES, SCALE)
        decoder.decode(Received(1, (header.of_group(9, 1, False) + second[HEADER_BYTES:],)))
    for one in (decoder, other):
        one.decode(Received(1, (second,)))
    assert np.array_equal(np.stack(decoder.small), np.stack(other.small))


def test_the_header_says_so() -> None:
    header = TextureHeader(WIDTH, HEIGHT, FPS, FRAMES, SCALE)
    for every in EVERY:
        for refers in (False, True):
            head = header.of_group(17, every, refers)
            assert TextureHeader.parse(head) == header and TextureHeader.step(head) == 17
            assert TextureHeader.is_group(head) and TextureHeader.refers(head) == refers
            assert TextureHeader.every(head) == every
    levels = header.with_step(17)
    assert not TextureHeader.is_group(levels)
    head = header.of_group(17, 1, False)
    for base, place, bits in ((levels, 4, 1), (levels, 5, 128), (levels, 5, 64), (head, 5, 64), (head, 4, 6)):
        with pytest.raises(CodecError, match="reserved"):
            TextureHeader.parse(base[:place] + bytes((base[place] | bits,)) + base[place + 1 :])
    _, number, unit = texture.read(sent(1)[0])
    assert isinstance(unit, Coded) and unit.back is None and 0 < number < 64


def test_a_slow_host_codes_groups_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    small, presets = [shrink(one, 128, 96) for one in panned(0)], list[int]()
    clock = iter(
        np.arange(0.0, 1000.0, 2.0 * FRAMES / FPS).tolist()
    )  # each look takes twice as long as the unit

    encode = hevc.encode

    def counted(pictures: list[Picture], level: float, preset: int, before: Picture | None) -> bytes:
        presets.append(preset)
        return encode(pictures, level, preset, before)

    monkeypatch.setattr(hevc, "encode", counted)
    monkeypatch.setattr("common.codec.texture.group.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    groups = Groups(FPS, adaptive=True)
    found = [groups.code(small, 900.0) is not None for _ in range(60)]
    assert presets[-1] > presets[0]
    # Each takes four or six times as long as a unit lasts: a tenth of them makes two fifths of the time.
    assert found[0] and 0.05 < sum(found) / len(found) < 0.15


def test_few_bytes_or_tiny_pictures_are_no_use() -> None:
    small = [shrink(one, 128, 96) for one in panned(0)]
    groups = Groups(FPS, adaptive=False)
    assert groups.code(small, 50.0) is None
    found = groups.code(small, 900.0)
    assert found is not None and 450 < len(found.data) <= 900 and found.back is None
    assert groups.code([shrink(one, 64, 48) for one in small], 900.0) is None


def test_where_bytes_are_few_some_pictures_are_made_of_their_neighbours() -> None:
    units = [[shrink(one, 128, 96) for one in panned(number)] for number in range(2)]
    first, second = units
    found = Groups(FPS, adaptive=False).code(second, 330.0, first[-1])
    assert isinstance(found, Group) and found.every > 1 and len(found.data) <= 330
    every = found.every
    coded = decoded(found.data, 128, 96, FRAMES, every, None)
    assert np.array_equal(np.stack(found.pictures[every - 1 :: every]), np.stack(coded))
    assert np.array_equal(found.pictures[0], between(first[-1], coded[0], every - 1)[0])
    alone = filled(coded, FRAMES + 1, every, None)  # one more, which is held
    assert len(alone) == FRAMES + 1 and np.array_equal(alone[0], coded[0])
    assert np.array_equal(alone[-1], coded[-1])
    assert squared_error(found.pictures, second) < squared_error(alone[:FRAMES], second)


def test_a_group_refers_to_the_picture_it_is_given() -> None:
    first, second = ([shrink(one, 128, 96) for one in panned(number)] for number in range(2))
    groups = Groups(FPS, adaptive=False)
    begun = groups.code(first, 500.0)
    assert begun is not None
    known = Reference(3, begun.pictures[-1])
    after = groups.code(second, 500.0, known.picture, known)
    assert after is not None and after.back == after.data[0] == 3 and len(after.data) <= 500
    alone = groups.code(second, 500.0, known.picture)
    assert alone is not None and alone.back is None
    assert squared_error(after.pictures, second) < 0.8 * squared_error(alone.pictures, second)


@pytest.mark.parametrize("told", [False, True])
def test_receivers_show_what_the_sender_chose_by(told: bool) -> None:
    coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), TextureDecoder()
    few = Budget(480.0, 57, 1143)
    for number in range(3):
        (payload,) = coder.encode(panned(number), number, few).payloads
        assert TextureHeader.is_group(payload)
        decoder.decode(Received(number, (payload,)))
        if told:
            coder.report(number, [True])
        shown = coder._shown()
        assert shown is not None and np.abs(shown.astype(int) - decoder.small[-1]).max() <= 1
        if number and TextureHeader.every(payload) > 1:
            assert np.abs(decoder.small[0].astype(int) - decoder.small[1]).max() > 8  # on the way, not held


def test_a_picture_between_two_is_halfway_along_the_motion() -> None:
    wide = picture(0, 160, 96)[:96]

    def at(left: int) -> Picture:
        return np.concatenate((wide[:, left : left + 128], np.full((48, 128), 90, np.uint8)))

    (made,), true = between(at(0), at(8)), at(4)
    mixed = (at(0).astype(int) + at(8)) / 2
    inside = np.s_[8:88, 12:116]
    error, mean = (np.square(one[inside].astype(float) - true[inside]).mean() for one in (made, mixed))
    assert error < 0.3 * mean
    assert np.abs(between(true, true)[0].astype(int) - true).max() <= 1
    several = between(at(0), at(8), 7)
    for number, one in enumerate(several):
        errors = [np.square(one[inside].astype(float) - at(left)[inside]).mean() for left in range(1, 8)]
        assert np.argmin(errors) == number


def test_one_of_more_pictures_than_there_are_is_refused() -> None:
    data = hevc.encode([shrink(panned(0)[0], 128, 96)], 50.0, 10)
    head = TextureHeader(WIDTH, HEIGHT, FPS, 1, SCALE).of_group(9, 2, False)
    with pytest.raises(CodecError, match="fewer"):
        TextureDecoder().decode(Received(0, (head + data,)))


@pytest.mark.parametrize("side", [16, 32, 112])
def test_groups_of_small_pictures_are_refused(side: int) -> None:
    """x265 codes none of them, and no motion is found in them."""
    head = TextureHeader(side, side, FPS, FRAMES, SCALE).of_group(9, 2, False)
    with pytest.raises(CodecError, match="a group of pictures"):
        TextureDecoder().decode(Received(0, (head + bytes(40),)))
