"""What a view shows: the pictures of a unit made smaller and mirrored, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from common.codec.av1 import SMALLEST_SIDE
from common.codec.header import CodecHeader, Mirror
from common.codec.pictures import Planes, split
from common.video import Picture, from_planes, picture_size, planes, to_video_frame


def coded_size(header: CodecHeader) -> tuple[int, int]:
    """(width, height) of the coded pictures: even, and no side under what the coder takes."""
    width, height = (
        max(SMALLEST_SIDE, -(-side // (2 * header.shrink)) * 2) for side in (header.width, header.height)
    )
    return width, height


def take(pictures: Sequence[Picture], header: CodecHeader) -> list[Picture]:
    """The pictures as the view codes them."""
    size = coded_size(header)
    seen = [_mirrored(_resized(picture, *size, Interpolation.AREA), header.mirror) for picture in pictures]
    return seen[::-1] if header.mirror.backwards else seen


def put(coded: Sequence[Picture], header: CodecHeader) -> Planes:
    """Decoded pictures of a view as the stream's."""
    shown = coded[::-1] if header.mirror.backwards else coded
    size = header.width, header.height
    return split(
        [_resized(_mirrored(picture, header.mirror), *size, Interpolation.LANCZOS) for picture in shown]
    )


def _mirrored(picture: Picture, mirror: Mirror) -> Picture:
    if not (mirror.sideways or mirror.upside_down):
        return picture
    rows, columns = -1 if mirror.upside_down else 1, -1 if mirror.sideways else 1
    return from_planes(*(plane[::rows, ::columns] for plane in planes(picture)))


def _resized(picture: Picture, width: int, height: int, how: Interpolation) -> Picture:
    if picture_size(picture) == (width, height):
        return picture
    frame = to_video_frame(picture)
    scaled = VideoReformatter().reformat(frame, width, height, "yuv420p", interpolation=how, threads=1)
    return np.asarray(scaled.to_ndarray(), np.uint8)
