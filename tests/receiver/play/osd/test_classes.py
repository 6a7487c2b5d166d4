"""The map of classes over the picture, and its legend."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.maps.base import VOID
from receiver.contours.store import ShownMap
from receiver.play.osd.canvas import Canvas
from receiver.play.osd.classes import CROSSED, HATCHED, MapMode, entries, list_entries, paint
from receiver.play.osd.view import Level, View, draw
from tests.receiver.play.osd.test_view import LIVE, has
from tests.receiver.play.test_maps import LEGEND, a_map


def test_a_tint_has_the_colours_of_the_legend_and_its_strength() -> None:
    pixels = paint(a_map(), MapMode.TINT, 40)
    assert pixels.shape == (48, 64, 4)
    assert tuple(pixels[0, 0]) == (250, 0, 0, 102) and tuple(pixels[20, 20]) == (10, 20, 30, 102)


def test_outlines_run_between_classes_alone() -> None:
    pixels = paint(a_map(side=10), MapMode.OUTLINES)
    assert pixels[9, 5, 3] == pixels[10, 5, 3] == 255 and pixels[5, 5, 3] == pixels[30, 5, 3] == 0
    assert tuple(pixels[9, 5, :3]) == (250, 0, 0)


def test_what_is_held_over_is_hatched_and_what_is_lost_more() -> None:
    found = a_map()
    hatched = []
    for trust in (0, 1, 2):
        found.trust[:] = trust
        pixels = paint(found, MapMode.TINT)
        hatched.append(int((pixels == HATCHED).all(2).sum()))
    assert hatched[0] == 0 < hatched[1] * 1.5 < hatched[2] < 48 * 64 // 2


def test_the_legend_lists_what_is_seen() -> None:
    found = a_map()
    assert entries(found) == (
        ("road", (10, 20, 30, 255)),
        ("car", (250, 0, 0, 255)),
        ("lost 8 %", CROSSED),
    )
    only = dataclasses.replace(
        found, labels=np.full((48, 64), VOID, np.uint8), trust=np.zeros((3, 4), np.uint8)
    )
    assert [name for name, _ in entries(only)] == ["not known"]


def test_the_display_lists_the_classes_beside_the_tint_of_trust() -> None:
    view = dataclasses.replace(LIVE, classes=entries(a_map()), overlay=True)
    pixels = draw(view, 384, 300)
    for text in ("ROAD", "CAR", "LOST 8 %", "RECOVERED"):
        assert has(pixels, text)
    assert not has(draw(dataclasses.replace(view, classes=()), 384, 300), "ROAD")


def test_a_long_legend_is_cut_and_says_so() -> None:
    many = tuple((f"class {number}", (1, 2, 3, 255)) for number in range(60))
    pixels = draw(dataclasses.replace(LIVE, classes=many), 384, 200)
    listed = next(number for number in range(10, 60) if has(pixels, f"+{60 - number} MORE"))
    assert has(pixels, f"CLASS {listed - 1}") and not has(pixels, f"CLASS {listed}")


def test_figures_of_the_map_are_in_the_table_while_there_is_one() -> None:
    told = {
        **LIVE.figures,
        "map": "street",
        "contours_kbps": 6.4,
        "map_age_ms": 120.0,
        "map_held": 0.1,
        "map_lost": 0.0,
    }
    pixels = draw(dataclasses.replace(LIVE, level=Level.FULL, figures=told), 384, 300)
    for text in ("6.4 KBIT/S", "120 MS", "MAP HELD"):
        assert has(pixels, text)
    assert not has(draw(dataclasses.replace(LIVE, level=Level.FULL), 384, 300), "MAP HELD")


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 200),
    st.integers(1, 120),
    st.binary(min_size=1, max_size=8),
)
def test_any_map_is_drawn_on_any_canvas(width: int, height: int, wide: int, high: int, values: bytes) -> None:
    labels = np.resize(np.frombuffer(values, np.uint8), (height, width))
    trust = np.resize(np.frombuffer(values, np.uint8) % 3, (-(-height // 16), -(-width // 16)))
    found = ShownMap(labels, trust, LEGEND, 0.0)
    for mode in (MapMode.OUTLINES, MapMode.TINT):
        assert paint(found, mode).shape == (height, width, 4)
    canvas = Canvas(wide, high)
    list_entries(canvas, entries(found), wide - 5, 5, high)
    assert draw(View(Level.FULL, classes=entries(found)), wide, high).shape[2] == 4
