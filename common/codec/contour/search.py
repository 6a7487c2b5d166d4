"""Where a polygon went since its key: translation, zoom and turn, from coarse to fine about where its course leads."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from common.codec.contour.fit import Gains
from common.codec.contour.raster import Ints
from common.codec.contour.scene import turned
from common.codec.contour.syntax import MAX_ZOOM, TURNS, Point

MOST_SEARCHED = 12  # vertices of the polygon that the search looks at
Way = tuple[int, int, int, int]  # pixels to the right and down, zoom (1/64), turn (1/128)


def _stage(step: int, zoom: int, reach: int) -> Ints:
    around = range(-reach, reach + 1)
    return np.array(
        [(x * step, y * step, z * zoom) for z in (-1, 0, 1) for x in around for y in around], np.int32
    )


_SHORT = (_stage(4, 2, 2), _stage(2, 1, 1), _stage(1, 1, 1))  # of the search for motion over one frame
_LONG = (_stage(5, 3, 2), _stage(2, 1, 2), _stage(1, 1, 1))  # and over several
_R = (-1, 0, 1)
_TURNS = tuple(
    np.array(
        [(x * by, y * by, z * by_turn) for z in range(-reach, reach + 1) for x in _R for y in _R], np.int32
    )
    for by, by_turn, reach in ((3, 6, 3), (2, 2, 1), (1, 1, 1))
)


@dataclass(frozen=True, slots=True)
class Course:
    """How a track moves, as the encoder remembers it: its last move since the key, and the last unit's part of it (or
    where its instance went since)."""

    motion: Point = (0, 0)
    zoom: int = 0
    speed: Point = (0, 0)
    instance: int = 0  # the number that the map gives it, 0: none
    turn: int = 0
    spin: int = 0  # the last unit's part of that
    keyed: int = 0  # unit of that key


def search(key: Ints, course: Course, gains: Gains, worth: float, frames: int) -> Way:
    """The translation and zoom of a key that gain most, turned as its course has it."""
    turn = _wrapped(course.turn + course.spin)
    about = np.array(
        (course.motion[0] + course.speed[0], course.motion[1] + course.speed[1], course.zoom), np.int32
    )
    middle = (key.min(axis=0) + key.max(axis=0)) // 2
    key = middle + turned(_few(key) - middle, turn)
    for stage in _SHORT if frames == 1 else _LONG:
        tried = about + stage
        np.minimum(np.maximum(tried[:, 2], -MAX_ZOOM), MAX_ZOOM, out=tried[:, 2])
        polygons = key + tried[:, None, :2] + (((key - middle) * tried[:, 2, None, None] + 32) >> 6)
        scores = gains.polygon(polygons, 10) * worth - 0.2 * np.abs(stage).sum(axis=1)
        about = tried[int(scores.argmax())]
    x, y, zoom = about.tolist()
    return x, y, zoom, turn


def search_turn(key: Ints, way: Way, gains: Gains, worth: float) -> Way:
    """The turn, and translation with it, that gain most."""
    middle = (key.min(axis=0) + key.max(axis=0)) // 2
    around = _few(key) - middle
    about, zoom = np.array((way[0], way[1], way[3]), np.int32), way[2]
    for stage in _TURNS:
        tried = about + stage
        turns = {turn: turned(around, turn) for turn in set(tried[:, 2].tolist())}
        spun = np.stack([turns[turn] for turn in tried[:, 2].tolist()])
        polygons = middle + tried[:, None, :2] + spun + ((spun * zoom + 32) >> 6)
        scores = gains.polygon(np.asarray(polygons, np.int32), 10) * worth - 0.3 * np.abs(stage).sum(axis=1)
        about = tried[int(scores.argmax())]
    x, y, turn = about.tolist()
    return x, y, zoom, _wrapped(turn)


def _few(key: Ints) -> Ints:
    tolerance, whole = 2.0, key
    while len(key) > MOST_SEARCHED:
        key = np.asarray(cv2.approxPolyDP(whole, tolerance, True)[:, 0], np.int32)
        tolerance *= 1.5
    return key


def _wrapped(turn: int) -> int:
    """The same turn, the short way round."""
    return (turn + TURNS // 2) % TURNS - TURNS // 2
