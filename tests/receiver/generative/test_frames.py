"""Which frame is generated next, and what is carried over to the others."""

from __future__ import annotations

import numpy as np
import pytest

from common.video import blank, planes
from receiver.generative.carry import carry
from receiver.generative.frames import GAP_S, Detail, Frame, begins_anew, choose
from receiver.generative.pace import PLAIN, Rung
from tests.receiver.link import scene

TRUST = np.zeros((2, 2), np.uint8)
EVERY = Rung(1, 1)


def frame(number: int, run: int = 1, start: float = 100.0) -> Frame:
    """Captured 0.1 s apart from 1000.0 s on, due from `start` on."""
    return Frame(run, blank(32, 32), TRUST, 1000.0 + 0.1 * number, start + 0.1 * number)


def detail(of: Frame) -> Detail:
    return Detail(of.run, of.captured_at, of.texture, blank(32, 32, 80))


FRAMES = [frame(number) for number in range(12)]


def test_frames_come_in_order_and_those_that_cannot_be_ready_are_left_out() -> None:
    assert choose(FRAMES, None, EVERY, 0.05, 99.0) is FRAMES[0]
    assert choose(FRAMES, detail(FRAMES[0]), EVERY, 0.05, 99.0) is FRAMES[1]
    assert choose(FRAMES, detail(FRAMES[0]), EVERY, 0.05, 100.35) is FRAMES[5]
    assert choose(FRAMES, detail(FRAMES[11]), EVERY, 0.05, 99.0) is None
    assert choose([], None, EVERY, 0.05, 99.0) is None
    assert choose(FRAMES, None, PLAIN, 0.05, 99.0) is None


def test_each_third() -> None:
    third = Rung(1, 3)
    assert choose(FRAMES, None, third, 0.2, 99.0) is FRAMES[0]  # the first is there soon
    assert choose(FRAMES, detail(FRAMES[0]), third, 0.2, 99.0) is FRAMES[3]
    assert choose(FRAMES, detail(FRAMES[9]), third, 0.2, 99.0) is None  # the next unit brings it


def test_one_that_takes_longer_than_there_is_time_is_made_for_those_after_it() -> None:
    assert choose(FRAMES, detail(FRAMES[0]), EVERY, 5.0, 100.05) is FRAMES[11]
    assert choose(FRAMES, None, EVERY, 5.0, 200.0) is None  # all are over


def test_a_frame_waits_for_its_map_while_it_can() -> None:
    waits = choose(FRAMES, None, EVERY, 0.1, 99.0, newest_map=999.0)
    assert isinstance(waits, float) and 99.0 < waits < FRAMES[0].due - 0.1
    assert choose(FRAMES, None, EVERY, 0.1, waits, newest_map=999.0) is FRAMES[0]
    assert choose(FRAMES, None, EVERY, 0.1, 99.0, newest_map=1000.0) is FRAMES[0]


def test_a_new_run_comes_before_what_is_left_of_the_old_one() -> None:
    fresh = [frame(number, run=2, start=101.0) for number in range(4)]
    assert choose([*FRAMES, *fresh], detail(FRAMES[2]), EVERY, 0.05, 99.0) is fresh[0]


def test_a_sender_whose_time_jumps_back_is_followed() -> None:
    ahead = Detail(1, 2000.0, blank(32, 32), blank(32, 32))
    assert choose(FRAMES, ahead, EVERY, 0.05, 99.0) is FRAMES[0]
    assert begins_anew(FRAMES[0], ahead)


def test_what_makes_the_decoder_forget() -> None:
    last = detail(FRAMES[0])
    assert begins_anew(FRAMES[0], None)
    assert not begins_anew(FRAMES[1], last)
    assert begins_anew(frame(1, run=2), last)
    assert begins_anew(frame(round(GAP_S / 0.1) + 1), last)
    assert begins_anew(Frame(1, blank(64, 32), TRUST, 1000.1, 100.1), last)


def test_detail_stays_where_nothing_moves_and_goes_where_something_does() -> None:
    before = scene(0, 64, 64)
    made = before.copy()
    made[:64:2, ::2] ^= 8  # some texture
    after = before.copy()
    after[:64, 32:] = np.roll(after[:64, 32:], 7) // 2 + 60
    found = carry(Detail(1, 0.0, before, made), after)
    assert np.array_equal(found[:64, :24], made[:64, :24])
    assert np.abs(found[:64, 44:].astype(int) - after[:64, 44:]).mean() < 1.0
    assert found.shape == after.shape and found.dtype == np.uint8


def test_nothing_moves_nothing_changes() -> None:
    texture, made = scene(3, 64, 48), scene(9, 64, 48)
    assert np.array_equal(carry(Detail(1, 0.0, texture, made), texture), made)
    assert [plane.shape for plane in planes(carry(Detail(1, 0.0, texture, made), made))] == [
        (48, 64),
        (24, 32),
        (24, 32),
    ]


@pytest.mark.parametrize("level", [0, 255])
def test_extremes_do_not_wrap_around(level: int) -> None:
    texture = np.full((72, 64), 255 - level, np.uint8)
    made = np.full((72, 64), level, np.uint8)
    shifted = np.full((72, 64), max(0, min(255, 255 - level + 2)), np.uint8)
    found = carry(Detail(1, 0.0, texture, made), shifted)
    assert np.abs(found.astype(int) - level).max() <= 40
