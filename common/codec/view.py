"""What a view shows: the pictures of a unit made smaller and mirrored, and back."""

from __future__ import annotations

from collections.abc import Sequence

from common.codec.av1 import SMALLEST_SIDE
from common.codec.header import CodecHeader, Mirror
from common.codec.pictures import Planes, split
from common.codec.texture.scaling import enlarge, shrink
from common.video import Picture, from_planes, planes


def coded_size(header: CodecHeader) -> tuple[int, int]:
    """(width, height) of the coded pictures: even, and no side under what the coder takes."""
    width, height = (
        max(SMALLEST_SIDE, -(-side // (2 * header.shrink)) * 2) for side in (header.width, header.height)
    )
    return width, height


def take(pictures: Sequence[Picture], header: CodecHeader) -> list[Picture]:
    """The pictures as the view codes them."""
    size = coded_size(header)
    seen = [_mirrored(shrink(picture, *size), header.mirror) for picture in pictures]
    return seen[::-1] if header.mirror.backwards else seen


def put(coded: Sequence[Picture], header: CodecHeader) -> Planes:
    """Decoded pictures of a view as the stream's."""
    shown = coded[::-1] if header.mirror.backwards else coded
    size = header.width, header.height
    return split([enlarge(_mirrored(picture, header.mirror), *size) for picture in shown])


def _mirrored(picture: Picture, mirror: Mirror) -> Picture:
    if not (mirror.sideways or mirror.upside_down):
        return picture
    rows, columns = -1 if mirror.upside_down else 1, -1 if mirror.sideways else 1
    return from_planes(*(plane[::rows, ::columns] for plane in planes(picture)))
