"""JPEGs for browsers without WebRTC."""

from __future__ import annotations

import asyncio
import io

import av
import numpy as np

from common.video import Resizer
from receiver.play.mjpeg import BOUNDARY, JpegEncoder, SharedJpeg, part
from tests.receiver.play.pictures import shown


def test_a_jpeg_looks_like_its_picture_at_any_size() -> None:
    encoder = JpegEncoder()
    for number, (width, height) in enumerate([(64, 48), (64, 48), (256, 128)]):
        picture = shown(number, width, height).picture
        data = encoder.encode(picture)
        assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"
        with av.open(io.BytesIO(data), mode="r", format="jpeg_pipe") as container:
            frame = next(container.decode(video=0))
        back = Resizer(width, height).convert(frame)
        assert np.abs(back.astype(int) - picture).mean() < 4


async def test_viewers_share_one_encode() -> None:
    shared = SharedJpeg()
    first, second = await asyncio.gather(shared.of(shown(1)), shared.of(shown(1)))
    assert first is second
    newer = await shared.of(shown(2))
    assert newer is not first
    assert await shared.of(shown(1)) is newer


def test_a_part_is_framed_for_multipart_replace() -> None:
    text = part(b"JPEG")
    assert text.startswith(f"--{BOUNDARY}\r\n".encode()) and text.endswith(b"\r\n\r\nJPEG\r\n")
    assert b"Content-Length: 4\r\n" in text
