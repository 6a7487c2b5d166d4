"""What both ends know: tracks, each a polygon that records renew, move and end. README.md section 4."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from common.codec.contour.raster import Ints, area2
from common.codec.contour.syntax import (
    ELLIPSE,
    FAR,
    GENERATIONS,
    GRIDS,
    SYMMETRIC,
    TURNS,
    End,
    Geometry,
    Key,
    Point,
    Record,
)

FORGOTTEN = 24  # steps of units of which packets were lost, without a word of a track: its end was among them
COAST = 0.75  # of a step's motion that goes on in the next while nothing is known of it
ONE_BITS = 14  # binary places of sines
CIRCLE = np.array(
    [
        (round((1 << ONE_BITS) * math.cos(at)), round((1 << ONE_BITS) * math.sin(at)))
        for at in (2 * math.pi * turn / TURNS for turn in range(TURNS))
    ],
    np.int64,
)  # cosines and sines; none is so near to a tie that the platform's rounding could matter
_ROUND = CIRCLE[:: TURNS // 16]  # of an ellipse


@dataclass(frozen=True, slots=True)
class Track:
    """An instance over time: its last key, where it is now, and where it was a unit ago; points (N, 2) in pixels."""

    label: int
    grid: int  # pixels
    generation: int
    key: Ints
    area: int  # twice that of the key: its place in the painter's order
    points: Ints
    before: Ints  # as many as `points`
    doubt: int = 0  # steps since its last record, of units of which packets were lost
    earlier: Ints | None = (
        None  # what the first half of the unit shows instead, as it was a unit ago; empty: nothing
    )
    bend: Point = (0, 0)  # how far the unit's middle frame is off the straight way

    def coast(self) -> Track:
        """A unit for which no record came although one may have been sent: most of the last motion goes on."""
        by = np.rint((self.points - self.before).mean(axis=0) * COAST).astype(np.int32)
        return replace(
            self, points=self.points + by, before=self.points, doubt=self.doubt + 1, earlier=None, bend=(0, 0)
        )

    def hold(self) -> Track:
        """A unit for which no record was sent."""
        return replace(self, before=self.points, earlier=None, bend=(0, 0))

    def at(self, frame: int, frames: int) -> Ints:
        """Polygon of frame 0..frames - 1 of the unit: on the straight way from the last unit's to this one's."""
        start, end = self.before, self.points
        if self.earlier is not None and 2 * frame + 2 < frames + 1:
            start, end = self.earlier, self.earlier + (end - start)[:1]
        if frame == frames - 1 or not len(start):
            return end
        middle = (frames - 1) // 2
        over = frame <= middle
        part, parts = (frame + 1, middle + 1) if over else (frames - 1 - frame, frames - 1 - middle)
        bend = np.array(self.bend, np.int32) * part
        way = (end - start) * (frame + 1)
        return start + (2 * way + frames) // (2 * frames) + (2 * bend + parts) // (2 * parts)


NOTHING: Ints = np.zeros((0, 2), np.int32)


def pixels(key: Key, geometry: Geometry) -> Ints:
    """Vertices of a key in pixels; the last lines of the grid lie on the border of the map. What the form implies may
    lie beyond it."""
    grid = GRIDS[key.grid]
    points = np.array(key.points, np.int32) * grid
    limits = np.array((geometry.width - 1, geometry.height - 1), np.int32)
    if key.form == ELLIPSE:
        return ellipse(np.minimum(points[0], limits), points[1], key.slant)
    points = np.minimum(points, limits)
    return symmetric(points) if key.form == SYMMETRIC else points


def symmetric(half: Ints) -> Ints:
    """The polygons (..., 2 N - 2, 2) whose first halves are given (..., N, 2): the last point is opposite the first."""
    return np.concatenate((half, half[..., :1, :] + half[..., -1:, :] - half[..., 1:-1, :]), axis=-2)


def ellipse(middle: Ints, axes: Ints, slant: int) -> Ints:
    """Polygons (..., 16, 2), clockwise, of ellipses about middles (..., 2) with half axes (..., 2)."""
    along = axes[..., None, :].astype(np.int64) * _ROUND
    return middle[..., None, :] + _rotated(along, slant * (TURNS // 32))


def turned(points: Ints, turn: int) -> Ints:
    """Points turned clockwise about the origin, in 1/128."""
    return _rotated(points.astype(np.int64) << ONE_BITS, turn) if turn % TURNS else points


def _rotated(points: NDArray[np.int64], turn: int) -> Ints:
    """Points of ONE_BITS binary places, turned and rounded."""
    cos, sin = CIRCLE[turn % TURNS].tolist()
    x, y = points[..., 0], points[..., 1]
    half = 1 << 2 * ONE_BITS - 1
    out = np.stack((cos * x - sin * y + half, sin * x + cos * y + half), axis=-1)
    return (out >> 2 * ONE_BITS).astype(np.int32)


def begin(key: Key, geometry: Geometry, old: Track | None = None) -> Track:
    """The track that a key begins or renews."""
    points = pixels(key, geometry)
    before = points - np.array(key.motion, np.int32)
    earlier = NOTHING if key.late else old.points if old is not None and old.label == key.label else None
    area = abs(area2(points))
    return Track(
        key.label, GRIDS[key.grid], key.generation, points, area, points, before, 0, earlier, key.bend
    )


def moved(
    track: Track, motion: Point, zoom: int, shifts: Iterable[tuple[int, int, int]] = (), turn: int = 0
) -> Ints:
    """The key's polygon moved by `motion` pixels, turned by `turn` / 128 and zoomed by `zoom` / 64 about its middle,
    some vertices shifted."""
    key = track.key
    if zoom or turn:
        middle = (key.min(axis=0) + key.max(axis=0)) // 2
        about = turned(key - middle, turn)
        key = middle + about + ((about * zoom + 32) >> 6)
    out = key + np.array(motion, np.int32)
    for vertex, x, y in shifts:
        if vertex < len(out):
            out[vertex] += (x * track.grid, y * track.grid)
    return np.clip(out, -FAR, FAR)


@dataclass(slots=True)
class Scene:
    """All tracks by number, and the geometry once known."""

    geometry: Geometry | None = None
    tracks: dict[int, Track] = field(default_factory=dict)
    ended: list[Track] = field(default_factory=list)  # in this unit; shown in its first half

    def apply(self, records: Iterable[Record], lossy: bool = False) -> set[int]:
        """One unit: its records, then every other track holds, or coasts where records may be missing. Returns the
        tracks that records told of; a move of a key that is not known is left out."""
        told: set[int] = set()
        self.ended = []
        for record in records:
            old = self.tracks.get(record.track)
            if isinstance(record, Key):
                assert self.geometry is not None  # a key never parses without
                self.tracks[record.track] = begin(record, self.geometry, old)
            elif old is None or old.generation != record.generation:
                continue
            elif isinstance(record, End):
                self.ended.append(self.tracks.pop(record.track).hold())
            else:
                points = moved(old, record.motion, record.zoom, record.shifts, record.turn)
                self.tracks[record.track] = replace(
                    old, points=points, before=old.points, doubt=0, earlier=None, bend=record.bend
                )
            told.add(record.track)
        for number, track in list(self.tracks.items()):
            if number in told:
                continue
            if lossy and track.doubt >= FORGOTTEN:
                del self.tracks[number]
            else:
                self.tracks[number] = track.coast() if lossy else track.hold()
        return told

    def repeat(self, records: Iterable[Record]) -> None:
        """Keys and ends of the unit before, where they were missed then."""
        for record in records:
            old = self.tracks.get(record.track)
            known = old is not None and old.generation == record.generation
            if isinstance(record, Key) and not known:
                assert self.geometry is not None
                self.tracks[record.track] = begin(record, self.geometry, old)
            elif isinstance(record, End) and known:
                del self.tracks[record.track]

    def painted(self) -> list[int]:
        """Numbers of the tracks in painter's order: large keys first."""
        return sorted(self.tracks, key=lambda number: (-self.tracks[number].area, number))

    def copy(self) -> Scene:
        """A scene that changes on its own; tracks never change."""
        return Scene(self.geometry, dict(self.tracks), list(self.ended))

    def polygons(self, frame: int, frames: int) -> list[tuple[int, Ints]]:
        """Label and points of what a frame of the unit shows, in painter's order."""
        shown = [self.tracks[number] for number in self.painted()]
        if self.ended and 2 * frame + 2 < frames + 1:
            shown = sorted([*shown, *self.ended], key=lambda track: -track.area)
        pairs = [(track.label, track.at(frame, frames)) for track in shown]
        return [(label, points) for label, points in pairs if len(points)]


def next_generation(track: Track | None) -> int:
    """Of the key after this track's."""
    return 0 if track is None else (track.generation + 1) % GENERATIONS
