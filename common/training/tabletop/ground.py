"""The light on the table top. Camera and lamps stand still, so that all of its rays are known beforehand."""

from __future__ import annotations

import numpy as np

from common.training.tabletop.camera import Floats, Light
from common.training.tabletop.lighting import facing, lamp_rays, room_rays
from common.training.tabletop.rays import Bools, RayScene
from common.training.tabletop.shapes import Indices

_LAMP_RAYS, _ROOM_RAYS = 4, 5  # a pixel; the 4x4 pixels of a tile share 16 times as many
_TILE = 4
_ORDER = np.array([0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5])
_OFF = np.array([0, 0, 3e-4], np.float32)  # metres that rays start off the table


def tiles(side: int) -> Indices:
    """(S * S,) place of each pixel in its tile, 0 to 15, neighbours far apart."""
    y, x = np.mgrid[:side, :side]
    return np.asarray(_ORDER[((y % _TILE) * _TILE + x % _TILE).ravel()])


class Ground:
    """Light at the points (S * S, 3) of the table that a picture's pixels show."""

    def __init__(self, side: int, spots: Floats, light: Light, bounce: Floats) -> None:
        """`bounce`: the light that a white object sends to what is around it."""
        self._side, self._spots, self._bounce = side, spots + _OFF, bounce
        up = np.broadcast_to(np.array([0, 0, 1], np.float32), spots.shape)
        tile, patterns = tiles(side), _TILE * _TILE
        self._room = [room_rays(up, tile, _ROOM_RAYS, patterns, number) for number in range(_ROOM_RAYS)]
        self._sky = [light.sky(ways) / _ROOM_RAYS for ways in self._room]
        self._open = np.sum(self._sky, axis=0)
        self._lamps = [
            (
                facing(lamp, self._spots, up),
                [lamp_rays(lamp, self._spots, tile, _LAMP_RAYS, patterns, n) for n in range(_LAMP_RAYS)],
            )
            for lamp in light.lamps
        ]
        self.bare: Floats = smooth(self._open.reshape(side, side, 3)).reshape(-1, 3)
        """(S * S, 3) light with nothing on the table."""
        for full, _ in self._lamps:
            self.bare += full

    def light(self, scene: RayScene, means: Floats, at: Indices, clean: Bools) -> Floats:
        """(S * S, 3) light at the pixels `at`, smoothed over those that show nothing else (`clean`).

        `means` is the mean colour of each part of the objects.
        """
        spots, rough = self._spots[at], self._open[at]
        for ways, sky in zip(self._room, self._sky, strict=True):
            parts = scene.parts(spots, ways[at])
            hit = np.flatnonzero(parts >= 0)
            rough[hit] += means[parts[hit]] * self._bounce / _ROOM_RAYS - sky[at[hit]]
        for full, rays in self._lamps:
            free = np.zeros(len(at), np.float32)
            for ways, lengths in rays:
                free += ~scene.blocked(spots, ways[at], lengths[at])
            rough += full[at] * (free / _LAMP_RAYS)[:, None]
        weight = clean.astype(np.float32)
        total = np.zeros_like(self._spots)
        total[at] = rough
        side = self._side
        sums = smooth((total * weight[:, None]).reshape(side, side, 3)).reshape(-1, 3)
        norm = smooth(weight.reshape(side, side, 1)).reshape(-1, 1)
        return np.where(norm > 0.06, sums / np.maximum(norm, 0.06), total)


def smooth(picture: Floats) -> Floats:
    """Mean over a tile around each pixel of (S, S, C); edges are held."""
    side = picture.shape[0]
    wide = np.pad(picture, ((_TILE // 2, _TILE // 2 - 1), (_TILE // 2, _TILE // 2 - 1), (0, 0)), mode="edge")
    rows = wide[:side] + wide[1 : side + 1] + wide[2 : side + 2] + wide[3 : side + 3]
    both = rows[:, :side] + rows[:, 1 : side + 1] + rows[:, 2 : side + 2] + rows[:, 3 : side + 3]
    return np.asarray(both / np.float32(_TILE * _TILE))
