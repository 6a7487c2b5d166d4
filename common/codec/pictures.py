"""Pictures of a unit as stacked planes, and as what the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.video import Picture, picture_size

Values = NDArray[np.float32]


class Planes(NamedTuple):
    """T pictures: luma (T, H, W) and chroma (T, 2, H/2, W/2), bytes."""

    luma: NDArray[np.uint8]
    chroma: NDArray[np.uint8]


def split(pictures: Sequence[Picture]) -> Planes:
    """The planes of pictures of one size."""
    stacked = np.stack(pictures)
    width, height = picture_size(stacked[0])
    return Planes(stacked[:, :height], stacked[:, height:].reshape(len(pictures), 2, height // 2, width // 2))


def join(planes: Planes) -> list[Picture]:
    """Inverse of `split`."""
    frames, height, width = planes.luma.shape
    return list(np.concatenate((planes.luma, planes.chroma.reshape(frames, height // 2, width)), 1))


def to_values(plane: NDArray[np.uint8] | Values) -> Values:
    """Bytes as the network sees them: -1 to 1."""
    return np.asarray(plane, np.float32) * np.float32(1 / 127.5) - np.float32(1)


def to_bytes(values: Values) -> NDArray[np.uint8]:
    """Inverse of `to_values`, rounded and clipped."""
    scaled = values * np.float32(127.5) + np.float32(128.0)  # + 0.5 to round, truncated below
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)
