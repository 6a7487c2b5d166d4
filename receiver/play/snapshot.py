"""One picture as a PNG file."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from pathlib import Path

import av

from common.video import Picture, picture_size, to_video_frame


def png(picture: Picture) -> bytes:
    """The picture as an RGB PNG of the same size."""
    width, height = picture_size(picture)
    codec = av.CodecContext.create("png", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = width, height, "rgb24"
    packets = [*codec.encode(to_video_frame(picture).reformat(format="rgb24")), *codec.encode(None)]
    return b"".join(map(bytes, packets))


def save(picture: Picture, folder: Path, at: datetime) -> Path:
    """Write the picture to a new file in `folder`, which is made where it is missing; returns the path.

    Never overwrites: a name that is taken gets a number. Raises OSError (no permission, disk full) and leaves nothing.
    """
    data = png(picture)
    folder.mkdir(parents=True, exist_ok=True)
    stem = at.strftime("semcast-%Y%m%d-%H%M%S")
    for number in count(1):
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path
    raise AssertionError("unreachable")
