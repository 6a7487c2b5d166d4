"""The stand-ins hold what they promise, or the tests built on them prove nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.base import IMAGINED, RECEIVED, Budget, CodecError
from common.video import Picture, blank
from tests.fakes import FakeDecoder, FakeEncoder, ManualClock, fake_describe

BUDGET = Budget(2000, 57, 1171)


@dataclass
class Received:
    unit: int
    segments: tuple[bytes | None, ...]


def pictures() -> list[Picture]:
    return [blank(64, 48, 40 + 30 * i) for i in range(4)]


def test_all_segments_give_all_blocks() -> None:
    encoded = FakeEncoder(64, 48, 12.5).encode(pictures(), 5, BUDGET)
    info = fake_describe(encoded.payloads[2])
    assert (info.width, info.height, info.fps, info.frames_per_unit) == (64, 48, 12.5, 4)
    decoded = FakeDecoder().decode(Received(5, tuple(encoded.payloads)))
    assert decoded.arrived == decoded.total == 4 * 12
    assert (decoded.trust == RECEIVED).all()
    assert decoded.trust.shape == (3, 4)
    assert [int(picture[0, 0]) for picture in decoded.pictures] == [40, 70, 100, 130]


def test_any_subset_decodes_and_nothing_is_concealed() -> None:
    encoded = FakeEncoder(64, 48, 15).encode(pictures(), 6, BUDGET)
    decoder = FakeDecoder()
    with pytest.raises(CodecError, match="nothing arrived yet"):
        decoder.decode(None)
    half = decoder.decode(Received(6, (None, *encoded.payloads[1:3], None)))
    assert half.arrived == 24
    concealed = decoder.decode(None)
    assert (concealed.arrived, concealed.trust.min()) == (0, IMAGINED)
    assert all(np.array_equal(a, b) for a, b in zip(half.pictures, concealed.pictures, strict=True))


@given(st.binary(max_size=60))
def test_garbage_raises_the_documented_error(data: bytes) -> None:
    with pytest.raises(CodecError):
        FakeDecoder().decode(Received(0, (data, None)))


def test_the_clock_moves_by_hand() -> None:
    clock = ManualClock(5.0)
    assert (clock(), clock.advance(1.5), clock()) == (5.0, 6.5, 6.5)
