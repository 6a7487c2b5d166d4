"""The paper's method: contours simplified with tolerance xi, increments of Q symbols, translation for P - 1 frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.base import CodecError
from common.codec.contour.instances import Instance, check, instances
from common.codec.contour.payload import Payload
from common.codec.contour.raster import Ints, Labels, affordable, area2, fill_void, order
from common.codec.contour.syntax import MAX_TRACKS, MAX_VERTICES, Contour, Contours, Geometry, Point

Q, P, XI = 256, 4, 6.0  # what the paper settles on


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """The paper's parameters: symbols, frames from I-frame to I-frame, tolerance (pixels); classes, void label."""

    symbols: int = Q
    period: int = P
    tolerance: float = XI
    classes: int = 256
    void: int | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.symbols <= 4096:
            raise CodecError(f"symbols: must be 2..4096 (got {self.symbols})")
        if not 1 <= self.period <= 16:
            raise CodecError(f"period: must be 1..16 (got {self.period})")
        if not 0 <= self.tolerance <= 1000:
            raise CodecError(f"tolerance: must be 0..1000 (got {self.tolerance})")
        if not 1 <= self.classes <= 256:
            raise CodecError(f"classes: must be 1..256 (got {self.classes})")


def encode(maps: Sequence[Labels], settings: PaperSettings, max_payload: int = 65535) -> list[bytes]:
    """Payloads of `period` maps (fewer at the end of a stream), large instances first, as many in each as it holds."""
    for labels in maps:
        check(labels, maps[0].shape)
    first = maps[0]
    found = instances(first, settings.void)[:MAX_TRACKS]
    simplified = [_simplify(one, settings.tolerance) for one in found]
    longest = max((int(np.abs(np.diff(points, axis=0)).max(initial=0)) for points in simplified), default=0)
    step = max(16, -(-16 * (2 * longest + 1) // settings.symbols))
    motions = motion(found, maps, settings.void)
    records = [
        _contour(one.label, points, step, moves)
        for one, points, moves in zip(found, simplified, motions, strict=True)
    ]
    geometry = Geometry(first.shape[1], first.shape[0], max(1, (settings.classes - 1).bit_length()), 0)
    return _pack(
        records, lambda part: bytes(Payload(len(maps), Contours(geometry, step, tuple(part)))), max_payload
    )


def _pack(records: Sequence[Contour], make: Callable[[Sequence[Contour]], bytes], most: int) -> list[bytes]:
    """Payloads of as many records each as `most` bytes hold; one that is larger alone is left out."""
    out: list[bytes] = []
    left = list(records)
    while left:
        count = len(left)
        data = make(left)
        while len(data) > most and count > 1:
            count = max(1, min(count - 1, count * most // len(data)))
            data = make(left[:count])
        if len(data) <= most:
            out.append(data)
        left = left[count:]
    return out or [make(())]


def _simplify(one: Instance, tolerance: float) -> Ints:
    points = cv2.approxPolyDP(one.contour, tolerance, True)[:, 0, :]
    while len(points) > MAX_VERTICES:
        tolerance = 1.5 * tolerance + 0.5
        points = cv2.approxPolyDP(one.contour, tolerance, True)[:, 0, :]
    return np.asarray(points, np.int32)


def _contour(label: int, points: Ints, step: int, motions: tuple[Point, ...]) -> Contour:
    """Increments from where the decoder will be, so that errors of quantisation do not add up."""
    first = (int(points[0, 0]), int(points[0, 1]))
    at, out = [16 * first[0], 16 * first[1]], []
    for point in points[1:].tolist():
        symbols = [(2 * (16 * point[i] - at[i]) + step) // (2 * step) for i in (0, 1)]
        at = [at[i] + symbols[i] * step for i in (0, 1)]
        out.append((symbols[0], symbols[1]))
    return Contour(label, first, tuple(out), motions)


def motion(found: Sequence[Instance], maps: Sequence[Labels], void: int | None) -> list[tuple[Point, ...]]:
    """Shift of each instance's centroid in each further map: to the nearest unclaimed instance of its class there."""
    moves: list[list[Point]] = [[] for _ in found]
    at = [_centroid(one) for one in found]
    size = [one.area for one in found]
    for labels in maps[1:]:
        free = [(one, _centroid(one)) for one in instances(labels, void)]
        for index, one in enumerate(found):
            match = _nearest(one.label, at[index], size[index], free)
            if match is None:
                moves[index].append((0, 0))
                continue
            other, place = free.pop(match)
            dx, dy = (round(place[i] - at[index][i]) for i in (0, 1))
            moves[index].append((dx, dy))
            at[index] = (at[index][0] + dx, at[index][1] + dy)
            size[index] = other.area
    return [tuple(one) for one in moves]


def _nearest(
    label: int, at: tuple[float, float], area: int, free: Sequence[tuple[Instance, tuple[float, float]]]
) -> int | None:
    """Of one class, half to twice as large, and no further than its own size."""
    best, least = None, max(8.0, 0.5 * area**0.5)
    for index, (one, place) in enumerate(free):
        if one.label != label or not area <= 2 * one.area + 32 or not one.area <= 2 * area + 32:
            continue
        distance = abs(place[0] - at[0]) + abs(place[1] - at[1])
        if distance < least:
            best, least = index, distance
    return best


def _centroid(one: Instance) -> tuple[float, float]:
    moments = cv2.moments(one.contour)
    if moments["m00"] <= 0:
        mean = one.contour.mean(axis=0)
        return float(mean[0]), float(mean[1])
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


def polygon(one: Contour, step: int) -> Ints:
    """Vertices (N, 2) in pixels."""
    steps = np.array(((0, 0), *one.increments), np.int64)
    points = (16 * np.array(one.first) + np.cumsum(steps, axis=0) * step + 8) // 16
    return np.clip(points, -(1 << 14), 1 << 14).astype(np.int32)


def draw(bodies: Sequence[Contours], frames: int) -> list[tuple[Labels, NDArray[np.bool_], int]]:
    """The maps of a unit, where nothing was painted (filled from the neighbours), and how many polygons were left
    out."""
    geometry = bodies[0].geometry
    contours = [(one, polygon(one, body.step)) for body in bodies for one in body.contours]
    contours = [contours[i] for i in order([abs(area2(points)) for _, points in contours])]
    out = []
    shift = np.zeros((len(contours), 2), np.int32)
    for frame in range(frames):
        if frame:
            shift += np.array([one.motions[frame - 1] for one, _ in contours], np.int32).reshape(-1, 2)
        labels = np.zeros((geometry.height, geometry.width), np.uint8)
        void = np.ones(labels.shape, np.uint8)
        now = [points + by for (_, points), by in zip(contours, shift, strict=True)]
        fitting = affordable(labels.shape, now)
        for (one, _), points, fits in zip(contours, now, fitting, strict=True):
            if fits:
                cv2.fillPoly(labels, [points], one.label)
                cv2.fillPoly(void, [points], 0)
        out.append((fill_void(labels, void > 0), void > 0, fitting.count(False)))
    return out
