"""From pictures of the full size to small ones and back."""

from __future__ import annotations

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from common.video import Picture, picture_size, to_video_frame


def shrink(picture: Picture, width: int, height: int) -> Picture:
    """The picture at a smaller size: means over areas, so nothing aliases."""
    return _resized(picture, width, height, Interpolation.AREA)


def enlarge(picture: Picture, width: int, height: int) -> Picture:
    """The picture at a larger size (Lanczos)."""
    return _resized(picture, width, height, Interpolation.LANCZOS)


def _resized(picture: Picture, width: int, height: int, how: Interpolation) -> Picture:
    if picture_size(picture) == (width, height):
        return picture
    frame = to_video_frame(picture)
    scaled = VideoReformatter().reformat(frame, width, height, "yuv420p", interpolation=how, threads=1)
    return np.asarray(scaled.to_ndarray(), np.uint8)
