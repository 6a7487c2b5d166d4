"""Pictures to the networks' planes and back; the networks see sides that are multiples of 32, edges repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.video import Picture

Planes = NDArray[np.float32]


def to_planes(pictures: Sequence[Picture]) -> tuple[Planes, Planes]:
    """T pictures -> luma (1, T, H, W) and chroma (1, T, 2, H/2, W/2), in [-1, 1], padded to multiples of 32."""
    stacked = np.stack(pictures).astype(np.float32) * np.float32(1 / 127.5) - np.float32(1)
    frames, lines, width = stacked.shape
    height = lines * 2 // 3
    chroma = stacked[:, height:].reshape(1, frames, 2, height // 2, width // 2)
    return _padded(stacked[None, :, :height], 32), _padded(chroma, 16)


def _padded(planes: Planes, multiple: int) -> Planes:
    rows, columns = (-side % multiple for side in planes.shape[-2:])
    return np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(0, rows), (0, columns)], mode="edge")


def from_planes(luma: Planes, chroma: Planes, width: int, height: int) -> list[Picture]:
    """Inverse of `to_planes` for pictures of width x height: crops, rounds and clips to bytes."""
    frames = luma.shape[1]
    out = np.empty((frames, height * 3 // 2, width), dtype=np.uint8)
    out[:, :height] = _bytes(luma[0, ..., :height, :width])
    out[:, height:] = _bytes(chroma[0, ..., : height // 2, : width // 2]).reshape(frames, height // 2, width)
    return list(out)


def _bytes(values: Planes) -> NDArray[np.uint8]:
    scaled = values * np.float32(127.5) + np.float32(128.0)  # + 0.5 to round, truncated below
    out: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return out
