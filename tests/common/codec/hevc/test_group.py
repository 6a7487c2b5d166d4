"""Units of H.265: round trip alone and from a picture before, sizes, and nothing but CodecError for other bytes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.hevc import sets
from common.codec.hevc.group import FOLLOWING, KEYS, LEVELS, PARAMS, PRESETS, START, decode, encode
from common.codec.lengths import length
from common.video import Picture
from tests.common.codec.scene import (
    HEIGHT,
    WIDTH,
    changed,
    mean_psnr,
    noise_pictures,
    sized_pictures,
    unit_pictures,
)

FAST = max(PRESETS)
LONG = 9  # pictures
MOVING = [picture for number in range(4) for picture in unit_pictures(number)]
FIRST, SECOND = MOVING[:LONG], MOVING[LONG : LONG + 4]
ALONE = encode(FIRST, 40.0, FAST)
BEFORE = decode(ALONE, WIDTH, HEIGHT, LONG)[-1]
AFTER = encode(SECOND, 40.0, FAST, BEFORE)


def decodes(data: bytes, count: int = LONG, before: Picture | None = None) -> bool:
    """Whether it is pictures; anything but CodecError is a failure."""
    try:
        pictures = decode(data, WIDTH, HEIGHT, count, before)
    except CodecError:
        return False
    assert [picture.shape for picture in pictures] == [(HEIGHT * 3 // 2, WIDTH)] * count
    return True


@pytest.mark.parametrize("preset", PRESETS)
def test_pictures_come_back_in_order(preset: int) -> None:
    shown = decode(encode(FIRST, 24.0, preset), WIDTH, HEIGHT, LONG)
    assert all(picture.dtype == np.uint8 for picture in shown) and mean_psnr(FIRST, shown) > 35
    for number, picture in enumerate(shown):
        errors = [mean_psnr([picture], [one]) for one in FIRST]
        assert errors.index(max(errors)) == number


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [(64, 64), (66, 64), (64, 130), (118, 90), (160, 96), (352, 288)])
def test_of_all_sizes_alone_and_from_the_picture_before(size: tuple[int, int], preset: int) -> None:
    """All even ones from SMALLEST_SIDE on, also those that no block divides; and whatever the preset, the parameter
    sets are those that are not sent."""
    pictures = sized_pictures(*size)
    shown = decode(encode(pictures, 30.0, preset), *size, 4)
    assert mean_psnr(pictures, shown) > 32
    after = encode(pictures[::-1], 30.0, preset, shown[-1])
    assert mean_psnr(pictures[::-1], decode(after, *size, 4, shown[-1])) > 32


def test_what_refers_to_a_picture_takes_fewer_bytes() -> None:
    alone = [encode(SECOND, level, 4) for level in np.arange(30.0, 50.0)]
    wanted = mean_psnr(decode(AFTER, WIDTH, HEIGHT, 4, BEFORE), SECOND)
    as_good = min(alone, key=lambda data: abs(mean_psnr(decode(data, WIDTH, HEIGHT, 4), SECOND) - wanted))
    assert len(AFTER) < 0.6 * len(as_good)


def test_another_picture_in_its_place_shows_something_else() -> None:
    right = decode(AFTER, WIDTH, HEIGHT, 4, BEFORE)
    wrong = decode(AFTER, WIDTH, HEIGHT, 4, np.roll(BEFORE, 9))
    assert mean_psnr(right, SECOND) > mean_psnr(wrong, SECOND) + 3


def test_nothing_adds_up_over_many_units() -> None:
    """The coder has the picture before a little otherwise than the decoder; each unit begins with the decoder's."""
    before, errors = BEFORE, list[float]()
    for number in range(12):
        pictures = unit_pictures(number + 3)
        before_it, before = before, decode(encode(pictures, 34.0, FAST, before), WIDTH, HEIGHT, 4, before)[-1]
        errors.append(mean_psnr([before], [pictures[-1]]))
        assert not np.array_equal(before, before_it)
    assert min(errors[6:]) > errors[0] - 2


def test_a_finer_level_takes_more_bytes_and_shows_more() -> None:
    coded = [encode(FIRST, level, 8) for level in np.linspace(LEVELS.finest, LEVELS.coarsest, 8)]
    assert all(len(finer) > len(coarser) for finer, coarser in pairwise(coded))
    quality = [mean_psnr(FIRST, decode(data, WIDTH, HEIGHT, LONG)) for data in coded]
    assert all(finer > coarser for finer, coarser in pairwise(quality))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 16, 32])
def test_units_of_any_number_of_pictures(count: int) -> None:
    pictures = [MOVING[i % len(MOVING)] for i in range(count)]
    data = encode(pictures, 45.0, FAST)
    assert decodes(data, count) and not decodes(data, count + 1) and not decodes(data, count - 1)
    assert encode(pictures, 45.0, FAST) == data
    assert decodes(encode(pictures, 45.0, FAST, BEFORE), count, BEFORE)


def test_units_are_the_same_each_time() -> None:
    encode(noise_pictures(), 10.0, 8)
    assert encode(FIRST, 40.0, FAST) == ALONE and encode(SECOND, 40.0, FAST, BEFORE) == AFTER
    one, other = (decode(AFTER, WIDTH, HEIGHT, 4, BEFORE) for _ in range(2))
    assert np.array_equal(np.stack(one), np.stack(other))


def test_one_that_stands_alone_is_not_taken_for_one_that_refers() -> None:
    assert not decodes(AFTER, 4) and not decodes(ALONE, LONG, BEFORE)


@pytest.mark.parametrize("zeros", [1, 15, 400])
def test_zeros_may_follow(zeros: int) -> None:
    assert decodes(ALONE + bytes(zeros)) and decodes(AFTER + bytes(zeros), 4, BEFORE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(100),
        b"\xff\xff\xff\xff",
        ALONE + b"\1",
        ALONE + ALONE,
        ALONE[1:],
        length(40) + sets.sequence_set(WIDTH, HEIGHT)[:40],  # a parameter set
        length(60) + bytes((KEYS[0] << 1,)) + b"\1" * 20 + START + sets.picture_set() + b"\1" * 30,
        length(1) + bytes((KEYS[0] << 1,)),
        length(3) + bytes((FOLLOWING[0] << 1, 1, 1)),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data, WIDTH, HEIGHT, LONG)


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT + 64), (WIDTH - 64, HEIGHT), (64, 64), (640, 368)])
def test_another_size_is_pictures_of_it_or_refused(size: tuple[int, int]) -> None:
    """Nothing in a unit says its size: the header of the payload does."""
    try:
        pictures = decode(ALONE, *size, LONG)
    except CodecError:
        return
    assert [picture.shape for picture in pictures] == [(size[1] * 3 // 2, size[0])] * LONG


def test_truncation_is_refused_nearly_at_every_byte() -> None:
    whole = len(ALONE.rstrip(b"\0"))
    assert not any(decodes(ALONE[:end]) for end in range(0, whole, 3))


@settings(max_examples=200)
@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_refused(data: bytes, refers: bool) -> None:
    assert not decodes(data, LONG, BEFORE if refers else None)


@settings(max_examples=60)
@given(st.lists(st.binary(min_size=3, max_size=60), min_size=4, max_size=4), st.booleans())
def test_garbage_in_slices_harms_nothing(bodies: list[bytes], refers: bool) -> None:
    """Gets past the framing and into the decoder."""
    kinds = [FOLLOWING[1] if refers else KEYS[0], *[FOLLOWING[1]] * 3]
    data = b"".join(
        length(len(body) + 1) + bytes((kind << 1,)) + body for kind, body in zip(kinds, bodies, strict=True)
    )
    decodes(data, 4, BEFORE if refers else None)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(ALONE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_mutated_units_are_pictures_or_refused(changes: list[tuple[int, int]]) -> None:
    decodes(changed(ALONE, changes))


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, len(AFTER) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_mutated_units_that_refer_are_pictures_or_refused(changes: list[tuple[int, int]]) -> None:
    decodes(changed(AFTER, changes), 4, BEFORE)


def test_no_set_is_sent_and_none_holds_a_start_code() -> None:
    assert START[1:] not in ALONE and "repeat-headers=1" in PARAMS
    for width, height in ((64, 64), (118, 90), (256, 256), (1280, 720)):
        for one in (sets.video_set(), sets.sequence_set(width, height), sets.picture_set(True)):
            assert not any(code in one for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
            assert one[1] == 1 and one[0] >> 1 in (sets.VIDEO, sets.SEQUENCE, sets.PICTURE)
