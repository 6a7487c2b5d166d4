"""The on-screen display: the right words at the right place, whatever the figures and the size."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.base import IMAGINED, RECEIVED, RECOVERED
from common.font import plain, text_mask
from receiver.play.base import SignalState
from receiver.play.osd.canvas import AMBER, RED, WHITE, Canvas, text_width
from receiver.play.osd.figures import LOSS, SHORT, Item, milliseconds, rate, share
from receiver.play.osd.tint import TINTS, tint
from receiver.play.osd.view import Level, View, dot_size, draw

FIGURES: dict[str, object] = {
    "sender": "Drône 7",
    "recording": True,
    "rate_kbps": 59.84,
    "loss": 0.52,
    "latency_ms": 487.2,
    "imagined": 0.231,
    "recovered": 0.31,
    "fps_shown": 14.93,
    "text": "alt 120 m",
}
LIVE = View(Level.SMALL, SignalState.LIVE, figures=FIGURES, picture="256X256 15 FPS")


def has(pixels: npt.NDArray[np.uint8], text: str, dot: int = 1) -> bool:
    """Whether the text stands somewhere, in any bright colour."""
    return find(pixels, text, dot) is not None


def find(pixels: npt.NDArray[np.uint8], text: str, dot: int = 1) -> tuple[int, int] | None:
    ink = (pixels[..., 3] == 255) & (pixels[..., :3].max(2) > 128)
    mask = text_mask(text, dot)[:, : text_width(text, dot)]
    if ink.shape[0] < mask.shape[0] or ink.shape[1] < mask.shape[1]:
        return None
    views = np.lib.stride_tricks.sliding_window_view(ink, mask.shape[1], axis=1)
    for y in range(ink.shape[0] - mask.shape[0] + 1):
        same = (views[y : y + mask.shape[0]] == mask[:, None]).all((0, 2))
        if same.any():
            return int(np.argmax(same)), y
    return None


def test_the_small_display_tells_what_a_pilot_needs() -> None:
    pixels = draw(LIVE, 384, 300)
    for text in (
        "LIVE",
        "DRONE 7",
        "REC",
        "59.8 KBIT/S",
        "LOSS 52 %",
        "487 MS",
        "IMAGINED 23 %",
        "ALT 120 M",
    ):
        assert has(pixels, text), text
    assert not has(pixels, "RECOVERED")
    state, figures, recording = find(pixels, "LIVE"), find(pixels, "LOSS 52 %"), find(pixels, "REC")
    assert state and figures and recording
    assert state[1] < 20 and figures[1] > 270 and recording[0] > 350
    assert not pixels[40:250].any()  # the middle is free


@pytest.mark.parametrize(
    ("figures", "mute", "told"),
    [
        ({"sound": True, "audio": True, "audio_buffer_ms": 120.0}, False, ""),
        ({"sound": True, "audio": True, "audio_buffer_ms": 120.0}, True, "MUTED"),
        ({"sound": True, "audio": True, "audio_buffer_ms": 0.0}, True, "NO SOUND"),
        ({"sound": True, "audio": False, "audio_buffer_ms": None}, False, "NO SOUND"),
        ({"sound": False, "audio": False}, True, ""),
    ],
)
def test_sound_is_marked_where_it_is_sent_and_not_heard(
    figures: dict[str, object], mute: bool, told: str
) -> None:
    view = dataclasses.replace(LIVE, figures=FIGURES | figures, mute=mute)
    pixels = draw(view, 384, 300)
    for text in ("MUTED", "NO SOUND"):
        assert has(pixels, text) is (text == told)
    assert has(pixels, "DRONE 7") and has(pixels, "REC")
    lost = dataclasses.replace(view, state=SignalState.LOST)
    assert not has(draw(lost, 384, 300), "NO SOUND")


def test_the_full_display_has_all_figures_and_a_minute_of_the_link() -> None:
    history = {"rate_kbps": (10.0, 60.0), "loss": (math.nan, 1.0)}
    pixels = draw(dataclasses.replace(LIVE, level=Level.FULL, history=history), 384, 384)
    for text in ("RATE", "RECOVERED", "31 %", "PLAYOUT", "FPS", "14.9", "256X256 15 FPS", "DRIFT"):
        assert has(pixels, text), text
    without = draw(dataclasses.replace(LIVE, level=Level.FULL), 384, 384)
    assert not np.array_equal(pixels, without)


def test_off_is_off() -> None:
    assert not draw(dataclasses.replace(LIVE, level=Level.OFF), 384, 384).any()
    assert [Level.OFF.next, Level.SMALL.next, Level.FULL.next] == [Level.SMALL, Level.FULL, Level.OFF]


def test_a_lost_signal_leaves_room_for_its_mark() -> None:
    lost = dataclasses.replace(LIVE, level=Level.FULL, state=SignalState.LOST, silence=67.0)
    pixels = draw(lost, 384, 384)
    assert has(pixels, "LOST 1:07") and has(pixels, "ALT 120 M")
    assert not has(pixels, "LOSS") and not pixels[40:340].any()


def test_waiting_says_where_to_send() -> None:
    pixels = draw(View(Level.OFF, address="192.0.2.7:5004"), 384, 300)
    assert has(pixels, "WAITING FOR SIGNAL", 2)
    assert has(pixels, "LISTENING AT UDP 192.0.2.7:5004")
    assert has(draw(View(Level.OFF), 150, 100), "WAITING FOR SIGNAL")


def test_help_legend_and_notice_come_with_every_level() -> None:
    for level in Level:
        view = dataclasses.replace(LIVE, level=level, help=True, overlay=True, notice="SAVED A.PNG")
        pixels = draw(view, 384, 384)
        for text in ("FULL SCREEN", "SNAPSHOT TO A PNG FILE", "RECOVERED", "IMAGINED", "SAVED A.PNG"):
            assert has(pixels, text), text


def test_what_is_missing_is_a_dash_and_what_is_too_long_is_cut() -> None:
    assert LOSS.made({}) == ("LOSS -", WHITE)
    assert LOSS.made({"loss": math.nan})[0] == LOSS.made({"loss": "much"})[0] == "LOSS -"
    pixels = draw(dataclasses.replace(LIVE, figures={"text": "x" * 500}), 100, 100)
    assert has(pixels, "X..")


def test_colours_warn() -> None:
    assert [LOSS.made({"loss": loss})[1] for loss in (0.5, 0.7, 0.95)] == [WHITE, AMBER, RED]


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (rate(8.04), "8.0 KBIT/S"),
        (rate(250.4), "250 KBIT/S"),
        (rate(12_345), "12.3 MBIT/S"),
        (share(0.0), "0 %"),
        (share(0.001), "<1 %"),
        (share(1.0), "100 %"),
        (milliseconds(87.6), "88 MS"),
        (milliseconds(12_340), "12.3 S"),
    ],
)
def test_figures_are_short_and_have_units(made: str, text: str) -> None:
    assert made == text


def test_letters_keep_about_their_share_of_the_window() -> None:
    sizes = {(256, 256): 1, (768, 768): 2, (1280, 720): 3, (1920, 1080): 4, (3840, 2160): 8}
    assert {size: dot_size(*size) for size in sizes} == sizes
    assert dot_size(1920, 1080, 0.5) == 2 and dot_size(10, 10) == 1


values = st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=300), st.booleans())


@given(
    st.dictionaries(st.sampled_from([*FIGURES, "drift_ppm", "frozen_seconds"]), values),
    st.sampled_from(Level),
    st.sampled_from(SignalState),
    st.integers(1, 300),
    st.integers(1, 200),
)
def test_any_figures_fit_any_size(
    figures: dict[str, object], level: Level, state: SignalState, width: int, height: int
) -> None:
    view = View(level, state, 3.0, figures, overlay=True, help=True, history={"loss": (0.5, math.nan)})
    assert draw(view, width, height).shape == (height, width, 4)


@given(st.text(max_size=40))
def test_plain_text_is_all_in_the_font(text: str) -> None:
    for letter in set(plain(text)) - {" "}:
        assert text_mask(letter).any()


def test_plain_text_loses_accents_but_no_letters() -> None:
    assert plain("Drône äöß\n25°C €") == "DRONE AOSS 25°C ?"


def test_text_has_a_backing() -> None:
    canvas = Canvas(20, 12)
    canvas.text(2, 2, "I")
    assert tuple(canvas.pixels[2, 4]) == WHITE
    assert 0 < canvas.pixels[2, 2, 3] < 255 and canvas.pixels[11, 19, 3] == 0


def test_the_tint_leaves_out_what_was_received() -> None:
    colours = tint(np.array([[RECEIVED, RECOVERED, IMAGINED]], np.uint8))
    assert colours.shape == (1, 3, 4)
    assert colours[0, 0, 3] == 0
    assert tuple(colours[0, 1]) == TINTS[RECOVERED] and tuple(colours[0, 2]) == TINTS[IMAGINED]


def test_every_short_figure_has_its_text() -> None:
    assert all(isinstance(item, Item) and item.made(FIGURES)[0] for item in SHORT)
