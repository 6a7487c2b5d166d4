"""What painting may cost is bounded by the size of the map, whatever the polygons are; counted, not timed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.contour import raster
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.payload import Payload
from common.codec.contour.raster import FILLED, Ints, affordable, most_work, paint
from common.codec.contour.syntax import ELLIPSE, FAR, MAX_TRACKS, Contour, Contours, Geometry, Key, Records

SHAPE = (512, 512)
WHOLE: Ints = np.array([(0, 0), (511, 0), (511, 511), (0, 511)], np.int32)
NUMBERS = st.integers(-FAR, FAR)


def work(shape: tuple[int, int], points: Ints) -> int:
    """README.md section 5, word for word."""
    sides = sum(int(np.abs(points[i] - points[i - 1]).max()) for i in range(len(points)))
    x, y = ([n for n in range(size) if points[:, axis].min() <= n <= points[:, axis].max()] for axis, size in
            enumerate((shape[1], shape[0])))  # fmt: skip
    return sides + len(x) * len(y) // FILLED


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5), max_size=60))
def test_polygons_are_left_out_as_the_rule_says(given_points: list[list[tuple[int, int]]]) -> None:
    shape, polygons = (48, 64), [np.array(one, np.int32) for one in given_points]
    left, expected = (1 << 18) + 48 * 64 // 8, []
    for points in polygons:
        expected.append(work(shape, points) <= left)
        left -= work(shape, points) if expected[-1] else 0
    assert affordable(shape, polygons) == expected and left >= 0


def test_small_ones_are_painted_where_large_ones_do_not_fit() -> None:
    star: Ints = np.array([(k, 511 * (k % 2)) for k in range(512)], np.int32)
    small: Ints = np.array([(3, 3), (9, 3), (9, 9), (3, 9)], np.int32)
    assert affordable(SHAPE, [star, star, small]) == [True, False, True]
    assert most_work(SHAPE) // work(SHAPE, WHOLE) > 40  # the whole map, dozens of times
    assert paint(SHAPE, 0, [(1, WHOLE), (2, small)])[5, 5] == 2


@pytest.mark.parametrize("form", ["ellipse", "zigzag", "paper"])
def test_a_payload_cannot_have_more_painted_than_that(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many large instances as a unit may have; all of a map's polygons are counted, painted or not."""
    asked: list[int] = []
    spent: list[int] = []
    count, fill = raster.affordable, cv2.fillPoly

    def counted(shape: tuple[int, int], polygons: list[Ints]) -> list[bool]:
        asked.append(sum(work(shape, one) for one in polygons))
        spent.append(0)
        return count(shape, polygons)

    def filled(out: np.ndarray, polygons: list[Ints], label: int) -> None:
        spent[-1] += work(SHAPE, polygons[0])
        fill(out, polygons, label)

    monkeypatch.setattr("common.codec.contour.raster.affordable", counted)
    monkeypatch.setattr("common.codec.contour.paper.affordable", counted)
    monkeypatch.setattr(cv2, "fillPoly", filled)
    geometry = Geometry(512, 512, 1, 0)
    zigzag = tuple((k % 64, 64 * (k % 2)) for k in range(64))
    body: Records | Contours
    if form == "paper":
        far = Contour(1, (0, 0), ((511, 0), (0, 511), (-511, 0)), ())
        body = Contours(geometry, 16, (far,) * 400)
    elif form == "ellipse":
        keys = (Key(n, 0, 1, 3, ((32, 32), (1000, 1000)), form=ELLIPSE) for n in range(MAX_TRACKS))
        body = Records(geometry, (tuple(keys),))
    else:
        body = Records(geometry, (tuple(Key(n, 0, 1, 3, zigzag) for n in range(200)),))
    decoder = ContourDecoder()
    decoded = decoder.decode([bytes(Payload(1, body))])
    assert 0 < decoder.left_out < MAX_TRACKS
    assert decoded is not None and (decoded.maps[0] == 1).any()
    assert asked[0] > most_work(SHAPE) and max(spent) <= most_work(SHAPE) * (2 if form == "paper" else 1)
