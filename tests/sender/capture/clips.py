"""Small clips made on the spot, whose pictures tell their own number."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

from common.video import Picture, blank, to_video_frame

STEP = 6
"""Luma levels between neighbouring frames."""


def numbered(index: int, width: int = 64, height: int = 64) -> Picture:
    """A grey picture that says its number (0 to 31)."""
    return blank(width, height, 30 + STEP * index)


def number(picture: Picture) -> int:
    """The number that a picture says."""
    return round((float(np.median(picture[: picture.shape[0] * 2 // 3])) - 30) / STEP)


def write_clip(
    path: Path,
    frames: int,
    rate: int = 10,
    width: int = 64,
    height: int = 64,
    codec: str = "ffv1",
    picture: Callable[[int, int, int], Picture] = numbered,
) -> Path:
    """A clip of `picture(index, width, height)`; returns its path."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            frame = to_video_frame(picture(index, width, height), index, Fraction(1, rate))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
