"""Decoder: maps from whatever arrived, and how far each region of them can be trusted (README.md section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, CodecError
from common.codec.contour import paper
from common.codec.contour.payload import Payload
from common.codec.contour.raster import Labels, paint, painted
from common.codec.contour.scene import Scene
from common.codec.contour.syntax import Contours, Geometry, Records, parts

BLOCK = 16  # side of the blocks that trust is told of
IMAGINED_AFTER = 4  # steps without a word of an instance while packets are lost


@dataclass(frozen=True, slots=True)
class DecodedMaps:
    """The maps of one unit (H, W), and trust (H / 16, W / 16, rounded up) of RECEIVED, RECOVERED, IMAGINED."""

    maps: list[Labels]
    trust: NDArray[np.uint8]


class ContourDecoder:
    """Decoder of one stream; owns what is known of the instances; called by one thread."""

    def __init__(self) -> None:
        self.left_out = 0
        """Polygons of maps so far that would have cost too much to paint."""
        self._scene = Scene()
        self._bodies: list[Contours] = []
        self._frames = self._steps = 1

    @property
    def instances(self) -> int:
        """That are known now."""
        return len(self._scene.tracks) if not self._bodies else sum(len(one.contours) for one in self._bodies)

    def decode(self, payloads: Sequence[bytes | None] | None) -> DecodedMaps | None:
        """Maps of the next unit from its payloads in order, None for each that was lost; None: nothing arrived.
        Instances of which nothing arrived stay, moving on. Returns None while no size is known. Raises CodecError on a
        bad payload and then changes nothing."""
        parsed = [Payload.parse(one) for one in payloads or () if one is not None]
        lossy = not payloads or any(one is None for one in payloads)
        self._check(parsed)
        if parsed:
            self._frames = parsed[0].frames
        bodies = [one.body for one in parsed if isinstance(one.body, Contours)]
        if bodies or (self._bodies and not parsed):
            return self._paper(bodies, lossy)
        return self._tracks([one.body for one in parsed if isinstance(one.body, Records)], lossy)

    def _check(self, parsed: Sequence[Payload]) -> None:
        if len({(one.frames, type(one.body)) for one in parsed}) > 1:
            raise CodecError("contours: payloads of one unit differ in frames or kind")
        if len({one.body.geometry for one in parsed if one.body.geometry}) > 1:
            raise CodecError("contours: payloads of one unit differ in geometry")
        if len({len(one.body.steps) for one in parsed if isinstance(one.body, Records)}) > 1:
            raise CodecError("contours: payloads of one unit differ in steps")

    def _tracks(self, bodies: Sequence[Records], lossy: bool) -> DecodedMaps | None:
        self._bodies = []
        geometry = next((body.geometry for body in bodies if body.geometry), self._scene.geometry)
        if geometry is None:
            return None
        if geometry != self._scene.geometry:
            self._scene = Scene(geometry)
        scene = self._scene
        scene.repeat(record for body in bodies for record in body.repeats)
        if bodies:
            self._steps = len(bodies[0].steps)
        steps = self._steps
        shape = (geometry.height, geometry.width)
        maps = []
        for step, (start, end) in enumerate(parts(self._frames, steps)):
            scene.apply((record for body in bodies for record in body.steps[step]), lossy)
            frames = range(end - start)
            drawn = [painted(shape, geometry.ground, scene.polygons(frame, len(frames))) for frame in frames]
            maps += [labels for labels, _ in drawn]
            self.left_out += sum(left_out for _, left_out in drawn)
        return DecodedMaps(maps, self._trust(geometry))

    def _trust(self, geometry: Geometry) -> NDArray[np.uint8]:
        """Of the blocks: what the least trusted instance that shows in them has."""
        tracks = [self._scene.tracks[number] for number in self._scene.painted()]
        shape = (geometry.height, geometry.width)
        levels = [
            RECEIVED if not one.doubt else IMAGINED if one.doubt > IMAGINED_AFTER else RECOVERED
            for one in tracks
        ]
        if not any(levels):
            return np.zeros((-(-shape[0] // BLOCK), -(-shape[1] // BLOCK)), np.uint8)
        pairs = ((level, one.points) for level, one in zip(levels, tracks, strict=True))
        return blocks(paint(shape, RECEIVED, pairs))

    def _paper(self, bodies: list[Contours], lossy: bool) -> DecodedMaps:
        """The paper's maps; what was not painted is filled from the neighbours: recovered, after a loss."""
        if bodies:
            self._bodies = bodies
        drawn = paper.draw(self._bodies, self._frames)
        self.left_out += sum(one[2] for one in drawn)
        void = np.any([one[1] for one in drawn], axis=0).astype(np.uint8)
        trust = void * np.uint8(RECOVERED) if bodies else np.full(void.shape, RECOVERED, np.uint8)
        return DecodedMaps([one[0] for one in drawn], blocks(trust if lossy else np.zeros_like(void)))


def blocks(trust: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The greatest value of each block of 16x16."""
    height, width = trust.shape
    padded = cv2.copyMakeBorder(trust, 0, -height % BLOCK, 0, -width % BLOCK, cv2.BORDER_REPLICATE)
    return np.asarray(padded.reshape(-(-height // BLOCK), BLOCK, -(-width // BLOCK), BLOCK).max(axis=(1, 3)))
