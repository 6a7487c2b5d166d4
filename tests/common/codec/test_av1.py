"""The AV1 coder: round trip, levels, and nothing but CodecError for bytes that are no group."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec import av1
from common.codec.av1 import (
    COARSEST,
    FINEST,
    PRESETS,
    decode,
    encode,
    temporal_units,
)
from common.codec.base import CodecError
from tests.common.codec.scene import (
    HEIGHT,
    WIDTH,
    changed,
    mean_psnr,
    noise_pictures,
    sized_pictures,
    unit_pictures,
)

FAST = PRESETS[-1]
GROUP = encode(unit_pictures(0), 40.0, FAST)
DELIMITER = bytes([0x12, 0])


def decodes(data: bytes, count: int = 4) -> bool:
    """Whether it is pictures; anything but CodecError is a failure."""
    try:
        pictures = decode(data, WIDTH, HEIGHT, count)
    except CodecError:
        return False
    assert [picture.shape for picture in pictures] == [(HEIGHT * 3 // 2, WIDTH)] * count
    return True


def obu(kind: int, body: bytes) -> bytes:
    """An OBU of at most 127 bytes, with its size."""
    return bytes((kind << 3 | 2, len(body))) + body


@pytest.mark.parametrize("preset", PRESETS)
def test_pictures_come_back_in_order(preset: int) -> None:
    pictures = unit_pictures(0)
    shown = decode(encode(pictures, 20.0, preset), WIDTH, HEIGHT, 4)
    assert all(picture.dtype == np.uint8 for picture in shown)
    assert mean_psnr(pictures, shown) > 42
    assert mean_psnr(pictures[::-1], shown) < 35


@pytest.mark.parametrize("size", [(64, 64), (66, 64), (64, 130), (160, 96), (352, 288), (640, 368)])
def test_sizes(size: tuple[int, int]) -> None:
    """All even ones from SMALLEST_SIDE on, also those that no block size of AV1 divides."""
    pictures = sized_pictures(*size)
    assert mean_psnr(pictures, decode(encode(pictures, 30.0, FAST), *size, 4)) > 35


def sizes_and_quality(levels: Sequence[float]) -> tuple[list[int], list[float]]:
    """Bytes of a unit of the scene, and its PSNR."""
    pictures = unit_pictures(0)
    groups = [encode(pictures, level, 8) for level in levels]
    return [len(group) for group in groups], [
        mean_psnr(pictures, decode(group, WIDTH, HEIGHT, 4)) for group in groups
    ]


def test_a_finer_level_takes_more_bytes_and_shows_more() -> None:
    sizes, quality = sizes_and_quality(np.linspace(FINEST, 65.0, 8).tolist())
    assert all(finer > coarser for finer, coarser in pairwise(sizes))
    assert all(finer > coarser for finer, coarser in pairwise(quality))


def test_the_coarsest_levels_differ() -> None:
    """Or the fit runs the coder again for the same bytes."""
    sizes, _ = sizes_and_quality([60.0, 62.0, 64.0, COARSEST])
    assert len(set(sizes)) == 4


def test_fractions_of_a_level_count() -> None:
    """The fit needs finer steps than AV1's 64 quantisers."""
    sizes = {len(encode(noise_pictures(), level, FAST)) for level in (30.0, 30.25, 30.5, 30.75)}
    assert len(sizes) == 4


def test_the_bytes_fall_by_half_about_every_halving() -> None:
    fine, coarse = (
        len(encode(sized_pictures(352, 288), level, FAST)) for level in (20.0, 20 + 2 * av1.HALVING)
    )
    assert 2 < fine / coarse < 8


def test_groups_stand_alone_and_are_the_same_each_time() -> None:
    first = encode(unit_pictures(1), 40.0, 8)
    encode(noise_pictures(), 10.0, 8)
    assert encode(unit_pictures(1), 40.0, 8) == first
    one, other = (decode(first, WIDTH, HEIGHT, 4) for _ in range(2))
    assert np.array_equal(np.stack(one), np.stack(other))


def test_coding_leaves_the_thread_an_ordinary_one() -> None:
    """SVT-AV1 asks for real-time scheduling where it may (the tests may be run by root)."""
    encode(unit_pictures(0), 50.0, FAST)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_group_is_a_sequence_header_and_a_frame_a_picture() -> None:
    units = temporal_units(GROUP, 4)
    assert b"".join(units) == GROUP
    assert [unit[0] >> 3 for unit in units] == [av1.OBU_SEQUENCE_HEADER, *[av1.OBU_FRAME] * 3]
    assert DELIMITER not in (unit[:2] for unit in units)


@pytest.mark.parametrize("zeros", [1, 15, 400])
def test_zeros_may_follow(zeros: int) -> None:
    """They fill the last symbol."""
    shown = decode(GROUP + bytes(zeros), WIDTH, HEIGHT, 4)
    assert np.array_equal(np.stack(shown), np.stack(decode(GROUP, WIDTH, HEIGHT, 4)))


@pytest.mark.parametrize("extra", [b"\x01", b"\0\0\x12\0", GROUP, DELIMITER, obu(15, b"")])
def test_nothing_else_may_follow(extra: bytes) -> None:
    with pytest.raises(CodecError, match="coded pictures"):
        decode(GROUP + extra, WIDTH, HEIGHT, 4)


@pytest.mark.parametrize(
    "size", [(WIDTH, HEIGHT + 2), (WIDTH - 2, HEIGHT), (HEIGHT, WIDTH), (64, 64), (640, 368)]
)
def test_another_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(CodecError, match="coded pictures"):
        decode(GROUP, *size, 4)


def test_a_huge_picture_is_refused_before_it_is_allocated() -> None:
    with pytest.raises(CodecError, match="coded pictures"):
        decode(encode(sized_pictures(640, 368), 70.0, FAST), 64, 64, 4)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_another_number_of_pictures_is_refused(count: int) -> None:
    with pytest.raises(CodecError, match="frames"):
        decode(GROUP, WIDTH, HEIGHT, count)


def test_truncation_is_refused_at_every_byte() -> None:
    """But where nothing but zeros is cut off."""
    whole = len(GROUP.rstrip(b"\0"))
    for end in range(whole):
        with pytest.raises(CodecError, match="coded pictures"):
            temporal_units(GROUP[:end], 4)
        assert not decodes(GROUP[:end])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(100),
        obu(2, b"") + GROUP,  # a temporal delimiter
        obu(3, b"a frame header") + GROUP,
        GROUP[:12] + obu(5, b"metadata") + GROUP[12:],
        temporal_units(GROUP, 4)[1] * 4,  # no sequence header
        b"\x0a" + b"\xff" * 8 + GROUP,  # a size that does not end
        b"\x0a\xff\xff\xff\xff\x7f",
        GROUP[:12] * 5,
    ],
)
def test_other_streams_are_refused(data: bytes) -> None:
    assert not decodes(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    assert not decodes(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=4, max_size=4))
def test_garbage_in_frames_harms_nothing(bodies: list[bytes]) -> None:
    """Gets past the framing and into dav1d."""
    decodes(GROUP[:12] + b"".join(obu(av1.OBU_FRAME, body) for body in bodies))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GROUP) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_mutated_groups_are_pictures_or_refused(changes: list[tuple[int, int]]) -> None:
    decodes(changed(GROUP, changes))


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 11), st.integers(0, 255))
def test_mutated_sequence_headers_are_pictures_or_refused(place: int, value: int) -> None:
    """Where sizes, bit depths and chroma formats are said."""
    data = bytearray(GROUP)
    data[place] = value
    decodes(bytes(data))


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 3))
def test_frames_in_another_order_are_pictures_or_refused(order: list[int], twice: int) -> None:
    units = temporal_units(GROUP, 4)
    units[0] = units[0][12:]
    data = GROUP[:12] + b"".join(units[number] for number in order)
    decodes(data)
    assert not decodes(data + units[twice])
