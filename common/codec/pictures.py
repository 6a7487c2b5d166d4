"""Pictures to the networks' planes and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.video import Picture

Planes = NDArray[np.float32]


def to_planes(pictures: Sequence[Picture]) -> tuple[Planes, Planes]:
    """T pictures -> luma (1, T, H, W) and chroma (1, T, 2, H/2, W/2), in [-1, 1]."""
    stacked = np.stack(pictures).astype(np.float32) * np.float32(1 / 127.5) - np.float32(1)
    frames, lines, width = stacked.shape
    height = lines * 2 // 3
    chroma = stacked[:, height:].reshape(1, frames, 2, height // 2, width // 2)
    return np.ascontiguousarray(stacked[None, :, :height]), np.ascontiguousarray(chroma)


def from_planes(luma: Planes, chroma: Planes) -> list[Picture]:
    """Inverse of `to_planes`: rounds and clips to bytes."""
    _, frames, height, width = luma.shape
    out = np.empty((frames, height * 3 // 2, width), dtype=np.uint8)
    out[:, :height] = _bytes(luma[0])
    out[:, height:] = _bytes(chroma[0]).reshape(frames, height // 2, width)
    return list(out)


def _bytes(values: Planes) -> NDArray[np.uint8]:
    scaled = values * np.float32(127.5) + np.float32(128.0)  # + 0.5 to round, truncated below
    out: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return out
