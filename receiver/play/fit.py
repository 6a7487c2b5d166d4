"""Keeps the size of a recording when the sender restarts with another one."""

from __future__ import annotations

import numpy as np
from av.video.reformatter import VideoReformatter

from common.video import Picture, blank, picture_size, planes, to_video_frame


class Fitter:
    """Pictures of any size in, pictures of one size out: scaled to fit, black around.  Owned by one thread."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._reformatter = VideoReformatter()

    def fit(self, picture: Picture) -> Picture:
        """The picture itself when it has the right size already."""
        width, height = picture_size(picture)
        if (width, height) == (self.width, self.height):
            return picture
        scale = min(self.width / width, self.height / height)
        inner_width = max(2, min(self.width, round(width * scale)) & ~1)
        inner_height = max(2, min(self.height, round(height * scale)) & ~1)
        frame = self._reformatter.reformat(to_video_frame(picture), width=inner_width, height=inner_height)
        canvas = blank(self.width, self.height)
        left, top = (self.width - inner_width) // 4 * 2, (self.height - inner_height) // 4 * 2
        scaled = planes(np.asarray(frame.to_ndarray(), dtype=np.uint8))
        for target, source, step in zip(planes(canvas), scaled, (1, 2, 2), strict=True):
            y, x = top // step, left // step
            target[y : y + source.shape[0], x : x + source.shape[1]] = source
        return canvas
