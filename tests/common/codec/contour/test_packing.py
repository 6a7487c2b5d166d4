"""A payload is filled in few attempts, never beyond its room; the encoder's small numbers lose no carry."""

from __future__ import annotations

import numpy as np
import pytest

from common.codec.contour.coder import Contexts, Decoder, Encoder
from common.codec.contour.encoder import MOST_SIMPLE, QUICK_STEPS, ContourEncoder, ContourSettings
from common.codec.contour.packing import ATTEMPTS, SLACK, most
from tests.common.codec.contour.drawn import PLENTY


@pytest.mark.parametrize("per_item", [1, 4, 9])
@pytest.mark.parametrize("room", [0, 30, 400, 5000])
def test_it_fills_the_room_in_few_attempts_though_costs_are_wrong(room: int, per_item: int) -> None:
    items, made = list(range(500)), []

    def make(some: object) -> bytes:
        made.append(some)
        return bytes(2 + per_item * len(list(some)))  # type: ignore[call-overload]

    count, data = most(make, items, [20.0] * 500, room)
    assert len(data) == 2 + per_item * count
    assert count == 0 or len(data) <= room
    fits = min(500, max(0, room - 2) // per_item)
    assert count >= fits - 1 - SLACK * room / per_item
    assert len(made) <= ATTEMPTS + 2


def test_nothing_to_pack_is_made_once() -> None:
    assert most(lambda some: b"x", [], [], 10) == (0, b"x")


def test_long_payloads_keep_their_carries() -> None:
    rng = np.random.default_rng(3)
    for sure in (64, 32768, 65472):
        bits = (rng.random(20000) > sure / 65536).astype(int).tolist()
        encoder = Encoder(Contexts([sure], [30]))
        for index, bit in enumerate(bits):
            encoder.bit(0, bit)
            if index % 7 == 0:
                encoder.raw(5, 31 * bit)
        decoder = Decoder(Contexts([sure], [30]), encoder.finish())
        for index, bit in enumerate(bits):
            assert decoder.bit(0) == bit
            if index % 7 == 0:
                assert decoder.raw(5) == 31 * bit
        decoder.finish()


def test_the_quick_effort_takes_few_steps_for_many_instances() -> None:
    rng = np.random.default_rng(1)
    steps = []
    for quick in (False, True):
        encoder = ContourEncoder(ContourSettings(4, floor=0.99, period=8, quick=quick), 160, 120)
        for unit in range(5):
            small = rng.integers(0, 4, (8, 8, 10)).astype(np.uint8)
            encoder.encode(list(small.repeat(15, axis=1).repeat(16, axis=2)), unit, PLENTY)
        assert encoder.instances > MOST_SIMPLE
        steps.append(encoder._steps)
    assert steps[1] <= QUICK_STEPS < steps[0]
