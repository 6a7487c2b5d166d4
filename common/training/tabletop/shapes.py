"""All triangles of a scene's models, with their materials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.training.tabletop.camera import Floats
from common.training.tabletop.model import Model
from common.training.tabletop.textures import linear

Indices = NDArray[np.intp]


class Shapes:
    """Models one after the other, in their own coordinates."""

    def __init__(self, models: list[Model]) -> None:
        parts = [(number, part) for number, model in enumerate(models) for part in model.parts]
        count = [len(part.mesh.corners) for _, part in parts]
        self.corners = np.concatenate([part.mesh.corners for _, part in parts])
        self.normals = np.concatenate([part.mesh.normals for _, part in parts])
        self.uv = np.concatenate([part.mesh.uv for _, part in parts])
        self.part = np.repeat(np.arange(len(parts)), count)
        owner = np.repeat([number for number, _ in parts], count)
        self.bounds = np.searchsorted(owner, np.arange(len(models) + 1))
        self.gloss = np.array([part.gloss for _, part in parts], np.float32)
        self.metal = np.array([part.metal for _, part in parts])
        pictures = [linear(part.texture) for _, part in parts]
        self._texels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
        self._shape = np.array([picture.shape[:2] for picture in pictures])
        self._first = np.concatenate([[0], np.cumsum(self._shape.prod(axis=1))])[:-1]
        means = np.array([picture.mean(axis=(0, 1)) for picture in pictures], np.float32)
        self.mean = means

    def albedo(self, part: Indices, uv: Floats) -> Floats:
        """Bilinear look-up in the parts' textures."""
        rows, columns = self._shape[part].T
        return bilinear(self._texels, self._first[part], rows, columns, uv[:, 1], uv[:, 0])


def bilinear(texels: Floats, first: Indices, rows: Indices, columns: Indices, v: Floats, u: Floats) -> Floats:
    """Colours (N, 3) at (v, u) of textures that begin at `first` in the flat list `texels`; edges are held."""
    y = np.clip(v * rows - 0.5, 0, rows - 1.001).astype(np.float32)
    x = np.clip(u * columns - 0.5, 0, columns - 1.001).astype(np.float32)
    top, left = y.astype(np.intp), x.astype(np.intp)
    fy, fx = (y - top)[:, None], (x - left)[:, None]
    at = first + top * columns + left
    right, below = np.minimum(left + 1, columns - 1) - left, (np.minimum(top + 1, rows - 1) - top) * columns
    upper = texels[at] * (1 - fx) + texels[at + right] * fx
    lower = texels[at + below] * (1 - fx) + texels[at + below + right] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float32)
