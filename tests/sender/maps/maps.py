"""Maps in files, made on the spot, and frames to ask for them with."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from common.values import Size
from common.video import Frame, Picture, blank

SIZE = Size(64, 48)
FPS = 10.0

Labels = NDArray[np.uint8]


def numbered(number: int, classes: int = 20) -> Labels:
    """A map that tells its number: class 0, and a block of class `number`."""
    labels = np.zeros((SIZE.height, SIZE.width), np.uint8)
    labels[16:32, 16:48] = number % classes
    return labels


def frame(index: int, picture: Picture | None = None, fps: float = FPS) -> Frame:
    """The frame of this number at the source."""
    shown = blank(SIZE.width, SIZE.height) if picture is None else picture
    return Frame(shown, 1e9 + index / fps, index)


def write_png(path: Path, labels: NDArray[np.uint8]) -> Path:
    """Grey levels, or red, green and blue."""
    assert cv2.imwrite(str(path), labels if labels.ndim == 2 else labels[:, :, ::-1])
    return path


def write_palette(path: Path, labels: Labels, colours: NDArray[np.uint8]) -> Path:
    """A palette PNG, as CamVid and others come. `colours`: (N, 3)."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = labels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in labels)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"PLTE", colours.tobytes()) + chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b""))
    return path


def write_video(
    path: Path, maps: list[NDArray[np.uint8]], rate: int, codec: str = "ffv1", form: str = "gray"
) -> Path:
    """A video of maps: grey levels, or red, green and blue."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=rate))
        stream.height, stream.width = maps[0].shape[:2]
        stream.pix_fmt = form
        for number, labels in enumerate(maps):
            picture = av.VideoFrame.from_ndarray(labels, format="gray" if labels.ndim == 2 else "rgb24")
            picture.pts, picture.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
