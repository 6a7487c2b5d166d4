"""Units that go as closed AV1 groups: when, how near, and what they leave to the units that follow."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from common.codec import av1
from common.codec.base import RECEIVED, RECOVERED, Budget, CodecError
from common.codec.texture import decoder as texture
from common.codec.texture.between import between
from common.codec.texture.decoder import TextureDecoder
from common.codec.texture.encoder import TextureEncoder, change
from common.codec.texture.group import Group, Groups, filled, read, squared_error
from common.codec.texture.header import HEADER_BYTES, TextureHeader
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


def sent(units: int) -> list[bytes]:
    coder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE)
    return [coder.encode(panned(number), number, BUDGET).payloads[0] for number in range(units)]


def error(decoder: TextureDecoder, pictures: list[Picture]) -> float:
    return squared_error(decoder.small, [shrink(one, WIDTH // SCALE, HEIGHT // SCALE) for one in pictures])


def test_a_moving_camera_is_sent_as_groups_which_are_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert change(panned(0), FPS) > 4
    found = {}
    for name in ("groups", "levels"):
        if name == "levels":
            monkeypatch.setattr(Groups, "code", lambda self, pictures, room, before: None)
        decoder, errors = TextureDecoder(), []
        for number, payload in enumerate(sent(3)):
            assert len(payload) <= BUDGET.wire_bytes - BUDGET.packet_overhead
            assert TextureHeader.is_group(payload) == (name == "groups")
            decoded = decoder.decode(Received(number, (payload,)))
            assert len(decoded.pictures) == FRAMES and (decoded.trust == RECEIVED).all()
            errors.append(error(decoder, panned(number)))
        found[name] = errors
    assert all(one < 0.6 * other for one, other in zip(found["groups"], found["levels"], strict=True))


def test_what_stands_later_grows_from_the_last_picture_of_a_group() -> None:
    coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), TextureDecoder()
    still = [panned(1)[-1]] * FRAMES
    units = [panned(0), panned(1), *[still] * 4]
    errors = []
    for number, pictures in enumerate(units):
        (payload,) = coder.encode(pictures, number, BUDGET).payloads
        assert TextureHeader.is_group(payload) == (number < 2)
        coder.report(number, [True])
        decoder.decode(Received(number, (payload,)))
        errors.append(error(decoder, pictures))
    assert errors[2] < errors[1] and errors[5] < 0.6 * errors[2]


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
        decoder.decode(Received(1, (header.of_group(9, False) + second[HEADER_BYTES:],)))
    for one in (decoder, other):
        one.decode(Received(1, (second,)))
    assert np.array_equal(np.stack(decoder.small), np.stack(other.small))


def test_the_header_says_so() -> None:
    header = TextureHeader(WIDTH, HEIGHT, FPS, FRAMES, SCALE)
    for half in (False, True):
        head = header.of_group(17, half)
        assert TextureHeader.parse(head) == header and TextureHeader.step(head) == 17
        assert TextureHeader.is_group(head) and TextureHeader.is_half(head) == half
    levels = header.with_step(17)
    assert not TextureHeader.is_group(levels)
    with pytest.raises(CodecError, match="reserved"):  # half of what are levels
        TextureHeader.parse(levels[:4] + bytes((levels[4] | 1,)) + levels[5:])
    _, number, pictures = texture.read(sent(1)[0])
    assert isinstance(pictures, list) and len(pictures) == FRAMES and 0 < number < 64


def test_a_slow_host_codes_groups_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    small, presets = [shrink(one, 128, 96) for one in panned(0)], list[int]()
    clock = iter(
        np.arange(0.0, 1000.0, 2.0 * FRAMES / FPS).tolist()
    )  # each look takes twice as long as the unit

    def encode(pictures: list[Picture], level: float, preset: int, pyramid: bool) -> bytes:
        presets.append(preset)
        return av1.encode(pictures, level, preset, pyramid)

    monkeypatch.setattr("common.codec.fit.av1", SimpleNamespace(**{**vars(av1), "encode": encode}))
    monkeypatch.setattr("common.codec.texture.group.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    groups = Groups(FPS, adaptive=True)
    found = [groups.code(small, 900.0) is not None for _ in range(60)]
    assert presets[-1] > presets[0]
    # Each takes four or six times as long as a unit lasts: a tenth of them makes two fifths of the time.
    assert found[0] and 0.05 < sum(found) / len(found) < 0.15


def test_few_bytes_or_tiny_pictures_are_no_use() -> None:
    small = [shrink(one, 128, 96) for one in panned(0)]
    groups = Groups(FPS, adaptive=False)
    assert groups.code(small, 150.0) is None
    found = groups.code(small, 900.0)
    assert found is not None and 450 < len(found.data) <= 900 and not found.half
    assert groups.code([shrink(one, 64, 48) for one in small], 900.0) is None


def test_where_bytes_are_few_every_second_picture_is_made_of_its_neighbours() -> None:
    units = [[shrink(one, 128, 96) for one in panned(number)] for number in range(2)]
    first, second = units
    found = Groups(FPS, adaptive=False).code(second, 420.0, first[-1])
    assert isinstance(found, Group) and found.half and len(found.data) <= 420
    coded = read(found.data, 128, 96, FRAMES, half=True)
    assert np.array_equal(np.stack(found.pictures[1::2]), np.stack(coded))
    assert np.array_equal(found.pictures[0], between(first[-1], coded[0]))
    alone = filled(coded, FRAMES + 1, None)  # one more, which is held
    assert len(alone) == FRAMES + 1 and np.array_equal(alone[0], coded[0])
    assert np.array_equal(alone[-1], coded[-1])
    assert squared_error(found.pictures, second) < squared_error(alone[:FRAMES], second)


def test_receivers_show_what_the_sender_chose_by() -> None:
    coder, decoder = TextureEncoder(WIDTH, HEIGHT, FPS, FRAMES, SCALE), TextureDecoder()
    few = Budget(480.0, 57, 1143)
    for number in range(3):
        (payload,) = coder.encode(panned(number), number, few).payloads
        assert TextureHeader.is_half(payload)
        decoder.decode(Received(number, (payload,)))
        shown = coder._shown()
        assert shown is not None and np.abs(shown.astype(int) - decoder.small[-1]).max() <= 1
        if number:
            assert np.abs(decoder.small[0].astype(int) - decoder.small[1]).max() > 8  # on the way, not held


def test_a_picture_between_two_is_halfway_along_the_motion() -> None:
    wide = picture(0, 160, 96)[:96]

    def at(left: int) -> Picture:
        return np.concatenate((wide[:, left : left + 128], np.full((48, 128), 90, np.uint8)))

    made, true = between(at(0), at(8)), at(4)
    mixed = (at(0).astype(int) + at(8)) / 2
    inside = np.s_[8:88, 12:116]
    error, mean = (np.square(one[inside].astype(float) - true[inside]).mean() for one in (made, mixed))
    assert error < 0.3 * mean
    assert np.abs(between(true, true).astype(int) - true).max() <= 1


def test_half_of_one_picture_is_refused() -> None:
    data = av1.encode([shrink(panned(0)[0], 128, 96)], 50.0, 10, pyramid=True)
    head = TextureHeader(WIDTH, HEIGHT, FPS, 1, SCALE).of_group(9, half=True)
    with pytest.raises(CodecError, match="half"):
        TextureDecoder().decode(Received(0, (head + data,)))


@pytest.mark.parametrize("side", [16, 32, 112])
def test_half_of_pictures_too_small_to_find_motion_in_is_refused(side: int) -> None:
    head = TextureHeader(side, side, FPS, FRAMES, SCALE).of_group(9, half=True)
    with pytest.raises(CodecError, match="half"):
        TextureDecoder().decode(Received(0, (head + bytes(40),)))
