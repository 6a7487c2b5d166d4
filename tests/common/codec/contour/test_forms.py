"""Ellipses, polygons that half a turn maps to themselves, turns; and when a key comes again."""

from __future__ import annotations

import cv2
import numpy as np

from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.contour.fit import Gains
from common.codec.contour.forms import forms
from common.codec.contour.instances import contours
from common.codec.contour.payload import Payload
from common.codec.contour.raster import paint
from common.codec.contour.scene import CIRCLE, ONE_BITS, pixels, symmetric, turned
from common.codec.contour.syntax import ELLIPSE, SYMMETRIC, TURNS, Geometry, Key, Move, Record, Records
from common.codec.contour.worth import counts, mean_iou
from tests.common.codec.contour.drawn import PLENTY, Labels

GEOMETRY = Geometry(160, 120, 1, 0)


def blank() -> Labels:
    return np.zeros((120, 160), np.uint8)


def box(turn: float, x: float = 80, y: float = 60) -> Labels:
    out = blank()
    corners = cv2.boxPoints(((x, y), (70, 16), turn))
    cv2.fillPoly(out, [np.rint(corners).astype(np.int32)], 1)
    return out


def sent(maps: list[Labels], refresh: int = 64) -> tuple[list[list[Record]], list[int], float]:
    """Records and bytes of each unit of two maps, and the mean IoU of what is shown."""
    encoder, decoder = (
        ContourEncoder(ContourSettings(2, period=2, refresh=refresh), 160, 120),
        ContourDecoder(),
    )
    records, sizes, found = list[list[Record]](), list[int](), np.zeros((2, 2), np.int64)
    for unit in range(len(maps) // 2):
        part = maps[2 * unit : 2 * unit + 2]
        payloads = encoder.encode(part, unit, PLENTY).payloads
        bodies = [Payload.parse(one).body for one in payloads]
        steps = [step for body in bodies if isinstance(body, Records) for step in body.steps]
        records.append([record for step in steps for record in step])
        sizes.append(sum(map(len, payloads)))
        decoded = decoder.decode(list(payloads))
        assert decoded is not None
        found += sum(counts(a, b, 2) for a, b in zip(part, decoded.maps, strict=True))
    return records, sizes, mean_iou(found)


def test_no_sine_is_near_a_tie() -> None:
    exact = np.exp(2j * np.pi * np.arange(TURNS) / TURNS) * (1 << ONE_BITS)
    for values, whole in ((exact.real, CIRCLE[:, 0]), (exact.imag, CIRCLE[:, 1])):
        assert np.abs(values - whole).max() < 0.499


def test_an_ellipse_is_where_it_is_said_to_be() -> None:
    key = Key(0, 0, 1, 1, ((40, 30), (20, 10)), form=ELLIPSE, slant=0)
    truth = blank()
    cv2.ellipse(truth, (80, 60), (40, 20), 0, 0, 360, 1, -1)
    shown = paint(truth.shape, 0, [(1, pixels(key, GEOMETRY))])
    assert mean_iou(counts(truth, shown, 2)) > 0.95
    upright = Key(0, 0, 1, 1, ((40, 30), (20, 10)), form=ELLIPSE, slant=8)
    left, top, wide, high = cv2.boundingRect(pixels(upright, GEOMETRY))
    assert (left, top, wide, high) == (60, 20, 41, 81)


def test_half_a_polygon_tells_the_rest() -> None:
    half = np.array(((10, 0), (30, 10), (20, 20)), np.int32)
    assert symmetric(half).tolist() == [[10, 0], [30, 10], [20, 20], [0, 10]]


def test_a_whole_turn_is_none() -> None:
    points = np.array(((50, -3), (7, 41)), np.int32)
    assert (turned(points, TURNS) == points).all()
    assert (turned(points, TURNS // 4) == np.stack((-points[:, 1], points[:, 0]), axis=1)).all()


def test_a_disc_costs_little() -> None:
    disc = blank()
    cv2.circle(disc, (80, 60), 40, 1, -1)
    records, sizes, likeness = sent([disc] * 4)
    assert [record.form for record in records[0] if isinstance(record, Key)] == [ELLIPSE]
    assert sizes[0] <= 10 and likeness > 0.85


def test_a_box_is_told_by_half_of_its_corners() -> None:
    truth = box(30)
    gains = Gains.of(np.where(truth > 0, np.float32(1), np.float32(-1)), 0, 0)
    found = [form for form in forms(contours(truth)[0], gains, 2, (159, 119)) if form.form == SYMMETRIC]
    assert min(len(form.points) for form in found) == 3
    keys = [Key(0, 0, 1, 1, form.points, form=form.form) for form in found]
    assert max(gains.painted(pixels(key, GEOMETRY)) for key in keys) > 0.85 * truth.sum()


def test_what_turns_is_moved() -> None:
    records, _, likeness = sent([box(4 * frame) for frame in range(24)])
    moves = [record for unit in records for record in unit if isinstance(record, Move)]
    keys = [record for unit in records for record in unit if isinstance(record, Key)]
    assert any(move.turn for move in moves) and likeness > 0.8
    assert len(keys) < len(moves)


def test_keys_come_again_once_and_not_before_half_of_the_time() -> None:
    records, _, _ = sent([box(30)] * 40, refresh=6)
    units = [unit for unit, group in enumerate(records) for record in group if isinstance(record, Key)]
    gaps = np.diff(units)
    assert len(units) >= 3 and gaps.max() <= 6 and gaps.min() >= 3
