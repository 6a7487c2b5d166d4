"""What becomes of a track in a unit: held, moved, keyed anew, or ended; whatever gains most for its bits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from common.codec.contour import fit
from common.codec.contour.fit import Gains
from common.codec.contour.forms import Form, forms, solid
from common.codec.contour.instances import clockwise, contours
from common.codec.contour.raster import Ints, Labels, area2
from common.codec.contour.scene import Scene, Track, moved, next_generation, pixels
from common.codec.contour.search import Course, Way, search, search_turn
from common.codec.contour.sheet import Sheet
from common.codec.contour.syntax import GRIDS, POLYGON, End, Geometry, Key, Move, Record

MARGIN, WIDE_MARGIN = 16, 20  # pixels about a polygon in which it may move: over one frame, over several
END_BITS, MOVE_BITS, KEY_BITS, BEND_BITS, SHIFT_BITS = (
    8.0,
    5.0,
    14.0,
    6.0,
    12.0,
)  # before what their numbers cost
LEAST_FORM_BITS = 18.0  # of the sides of a polygon for which another form may cost less
TURN_BITS = 14.0  # that must be left to gain before a turn is looked for
MOST_CANDIDATES, FEWER_CANDIDATES = (
    24,
    16,
)  # vertices that a shortest path chooses from, in a simple scene and else
CLOSING = 9  # pixels: gaps that a polygon may span, where what lies in them is painted later
_CLOSE = np.ones((CLOSING, CLOSING), np.uint8)
_NEAR = np.ones((9, 9), np.uint8)
_SQUARE = np.array([(x, y) for x in range(-2, 3) for y in range(-2, 3)], np.int32)


@dataclass(frozen=True, slots=True)
class Choice:
    """A record (None: the track holds), the polygon that it gives, and its gain in bits less what it costs."""

    record: Record | None
    points: Ints | None
    score: float


def update(
    number: int,
    track: Track,
    course: Course,
    sheet: Sheet,
    geometry: Geometry,
    worth: float,
    frames: int,
    due: bool,
    simple: bool,
) -> Choice:
    """The best for one track on what lies below it, after so many frames; `due` for a key, it gets that or ends;
    `simple`: other forms and turns may pay."""
    low, high = track.points.min(axis=0), track.points.max(axis=0)
    if min(high) < 0 or low[0] >= geometry.width or low[1] >= geometry.height:
        return Choice(End(number, track.generation), None, 0.0)
    gains = sheet.gains(
        track.label, _way(track, course), MARGIN if frames == 1 else WIDE_MARGIN, course.instance
    )
    best = move = Choice(None, track.points, gains.painted(track.points) * worth)
    potential = float(np.maximum(gains.values, 0).sum())
    if potential * worth - best.score > MOVE_BITS:
        move = _move(number, track, course, gains, worth, frames, potential, simple)
    if move.score > best.score + 1:
        best = move
    end = Choice(End(number, track.generation), None, -END_BITS)
    if end.score > best.score:
        best = end
    shifts = len(best.record.shifts) if isinstance(best.record, Move) else 0
    if due or 2 * shifts > len(track.key):
        key = _rekey(
            number,
            track,
            gains,
            sheet,
            geometry,
            move.points if best.points is None else best.points,
            worth,
            course.instance,
            simple,
        )
        if key is not None and (key.score > best.score or (due and not isinstance(best.record, End))):
            best = max(key, end, key=lambda choice: choice.score)
    return best


def _way(track: Track, course: Course) -> Ints:
    """Points about which the track may be: where it is and, for an instance, where it went."""
    if not course.instance or course.speed == (0, 0):
        return track.points
    return np.concatenate((track.points, track.points + np.array(course.speed, np.int32)))


def _move(
    number: int,
    track: Track,
    course: Course,
    gains: Gains,
    worth: float,
    frames: int,
    potential: float,
    simple: bool,
) -> Choice:
    way = search(track.key, course, gains, worth, frames)
    plain = _plain(number, track, way, gains, worth)
    if len(track.key) < 3:
        return plain
    if simple and potential * worth - plain.score > TURN_BITS:
        other = _plain(number, track, search_turn(track.key, way, gains, worth), gains, worth)
        plain = max(plain, other, key=lambda choice: choice.score)
    base, record = plain.points, plain.record
    if base is None or not isinstance(record, Move) or potential * worth - plain.score < SHIFT_BITS:
        return plain
    residual = np.clip(np.rint((track.points - base) / track.grid), -6, 6).astype(np.int32)
    states = np.concatenate(
        (np.zeros((len(base), 1, 2), np.int32), residual[:, None] + fit.NEIGHBOURS), axis=1
    )
    bits = 4 + 1.6 * np.log2(1 + np.abs(states)).sum(axis=2, dtype=np.float32)
    bits[(states == 0).all(axis=2)] = 0.7
    chosen = fit.refine(base, states * track.grid, bits, gains, worth)
    every = np.arange(len(base))
    shifts = tuple((vertex, x, y) for vertex, (x, y) in enumerate(states[every, chosen].tolist()) if x or y)
    points = moved(track, record.motion, record.zoom, shifts, record.turn)
    score = gains.painted(points) * worth - _spent(record) - float(bits[every, chosen].sum())
    if score <= plain.score:
        return plain
    return Choice(replace(record, shifts=shifts), points, score)


def _plain(number: int, track: Track, way: Way, gains: Gains, worth: float) -> Choice:
    record = Move(number, track.generation, way[:2], way[2], turn=way[3])
    points = moved(track, record.motion, record.zoom, turn=record.turn)
    return Choice(record, points, gains.painted(points) * worth - _spent(record))


def _spent(move: Move) -> float:
    """About what a move costs in bits without its shifts."""
    return MOVE_BITS + 2 * float(np.log2(1 + np.abs((*move.motion, move.zoom, move.turn))).sum())


def _rekey(
    number: int,
    track: Track,
    gains: Gains,
    sheet: Sheet,
    geometry: Geometry,
    points: Ints | None,
    worth: float,
    instance: int,
    simple: bool,
) -> Choice | None:
    """A new polygon: of what truth shows about the old one, or of the old one's vertices."""
    points = track.points if points is None else points
    left, top, right, bottom = sheet.box(points, 8)
    mask = (sheet.truth[top:bottom, left:right] == track.label).astype(np.uint8)
    if instance and sheet.ids is not None:
        mask &= sheet.ids[top:bottom, left:right] == instance
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CLOSE)
    near = np.zeros_like(mask)
    cv2.fillPoly(near, [points - np.array((left, top), np.int32)], 1)
    found = contours(np.asarray(cv2.bitwise_and(mask, cv2.dilate(near, _NEAR)), np.uint8))
    ways = [points]
    if found:
        ways.append(max(found, key=lambda one: abs(area2(one))) + np.array((left, top), np.int32))
    generation = next_generation(track)
    keys = [fresh(number, track.label, generation, way, gains, geometry, worth, simple) for way in ways]
    return max((key for key in keys if key is not None), key=lambda key: key.score, default=None)


def outline(mask: Labels) -> Ints:
    """The longest outer contour of a mask whose gaps are closed; empty where there is none."""
    parts = contours(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CLOSE), np.uint8))
    return max(parts, key=lambda one: abs(area2(one)), default=np.zeros((0, 2), np.int32))


def fresh(
    number: int,
    label: int,
    generation: int,
    contour: Ints,
    gains: Gains,
    geometry: Geometry,
    worth: float,
    simple: bool,
) -> Choice | None:
    """The key that gains most along a contour, on a finer or a coarser grid, of a form that few numbers tell where
    that may pay (`simple`); None where there is no polygon."""
    extent = int((contour.max(axis=0) - contour.min(axis=0)).max())
    best: Choice | None = None
    for index in (0, 1) if extent < 40 else (1, 2) if extent < 160 else (2, 3):
        grid = GRIDS[index]
        candidates = fit.candidates(contour, grid, (geometry.width - 1, geometry.height - 1), MOST_CANDIDATES)
        if len(candidates) < 3:
            continue
        vertices = clockwise(fit.polygon(candidates, gains, grid, worth))
        cells = list(dict.fromkeys((-(-x // grid), -(-y // grid)) for x, y in vertices.tolist()))
        bits = float(fit.side_bits(vertices[:-1], vertices[1:], grid).sum())
        ways = [Form(POLYGON, tuple(cells), 0, bits)]
        if simple and bits > LEAST_FORM_BITS and solid(contour):
            ways += forms(contour, gains, grid, (geometry.width - 1, geometry.height - 1))
        place = KEY_BITS + float(np.log2((geometry.width / grid) * (geometry.height / grid)))
        for way in ways:
            key = Key(number, generation, label, index, way.points, form=way.form, slant=way.slant)
            points = pixels(key, geometry)
            score = gains.painted(points) * worth - place - way.bits
            if best is None or score > best.score:
                best = Choice(key, points, score)
    return best


def with_motion(key: Key, points: Ints, first: Sheet, frames: int, is_new: bool) -> Key:
    """The key with its motion over the step, from where it fits the first frame best; new ones may come late."""
    if frames < 2:
        return key
    left, top, right, bottom = first.box(points, 24)
    truth = first.truth[top:bottom, left:right]
    alike = np.where(truth == key.label, np.float32(1), np.float32(-1))
    alike[truth == first.prices.classes] = 0
    gains = Gains.of(alike, left, top)
    by = np.zeros(2, np.int32)
    for step in (6, 2, 1):
        tried = by + step * _SQUARE
        scores = gains.polygon(points + tried[:, None], 12) - 0.02 * len(points) * np.abs(tried).sum(axis=1)
        by = tried[int(scores.argmax())]
    stays, goes = gains.painted(points), gains.painted(points + by)
    if is_new and max(stays, goes) < 0:
        return replace(key, late=True)
    if goes < stays + 4:
        return key
    x, y = (-(by * frames) / (frames - 1)).round().astype(int).tolist()
    return replace(key, motion=(x, y))


def bend(
    record: Record | None,
    track: Track | None,
    middle: Sheet,
    geometry: Geometry,
    at: tuple[int, int],
    worth: float,
) -> Record | None:
    """The record with the bend of the way that fits frame `at` (of so many) best; paints that frame."""
    frame, frames = at
    number = record.track if record else 0
    scene = Scene(geometry, {number: track} if track else {})
    scene.apply([record] if record else [])
    shown = scene.polygons(frame, frames)
    if not shown:
        return record
    label, points = shown[0]
    if isinstance(record, Move) or (isinstance(record, Key) and not record.late):
        gains = middle.gains(label, points, 8)
        by = np.zeros(2, np.int32)
        for step in (3, 1):
            tried = by + step * fit.NEIGHBOURS
            bits = 3 * np.log2(1 + np.abs(tried)).sum(axis=1)
            by = tried[int((gains.polygon(points + tried[:, None], 12) * worth - bits).argmax())]
        if by.any() and (gains.painted(points + by) - gains.painted(points)) * worth > BEND_BITS:
            points = points + by
            record = replace(record, bend=(int(by[0]), int(by[1])))
    middle.paint(label, points)
    return record
