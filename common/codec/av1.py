"""Pictures as one closed AV1 group and back, through SVT-AV1 and dav1d.

Each group is a run of its own, so it starts with a key frame and needs nothing else. What it is coded as is the AV1
low-overhead bitstream format (AV1 specification, section 5.2) without temporal delimiters: a sequence header and one
frame a picture. dav1d decodes it to the same samples on every machine, as the AV1 specification demands.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial

import av
import numpy as np

from common.codec.base import CodecError
from common.codec.fit import Range
from common.patience import Patience
from common.video import Picture, picture_size, to_video_frame

os.environ.setdefault("SVT_LOG", "1")  # errors alone; read when the library starts

FINEST, COARSEST = (
    2.0,
    66.0,
)  # levels: about AV1's quantiser, 0..63; near the end the key frame alone gets coarser
HALVING = 9.0  # levels that halve the bytes, about
LEVELS = Range(FINEST, COARSEST, HALVING, 0.25)
KEY_GAIN = 3.0  # levels by which the key frame is finer than a level says, and the others coarser
SMALLEST_SIDE = 64  # SVT-AV1 takes no less
PRESETS = (4, 6, 7, 8, 9, 10)  # slow and good to fast; 5 is slower than 6 and no better

OBU_SEQUENCE_HEADER, OBU_TEMPORAL_DELIMITER, OBU_FRAME = 1, 2, 6
PATIENCE = Patience("SVT-AV1", 8.0)


def encode(pictures: Sequence[Picture], level: float, preset: int) -> bytes:
    """Pictures of one size as a closed group. `level`: how coarse, FINEST to COARSEST. Takes 1 to 20 ms a picture.

    Raises StuckError: SVT-AV1 4.1 waited for ever once in some 2 000 groups of 2 to 32 pictures (not in 4 600 of
    four)."""
    return PATIENCE.call(partial(_encode, pictures, level, preset))


def _encode(pictures: Sequence[Picture], level: float, preset: int) -> bytes:
    encoder = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    (encoder.width, encoder.height), encoder.pix_fmt = picture_size(pictures[0]), "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(15), Fraction(1, 15)
    encoder.thread_count = 1
    encoder.options = {"preset": str(preset), "svtav1-params": _params(level, len(pictures))}
    coded: list[bytes] = []
    try:
        for index, picture in enumerate(pictures):
            coded += [bytes(packet) for packet in encoder.encode(to_video_frame(picture, pts=index))]
            if index == 0:
                _stay_ordinary()
        coded += [bytes(packet) for packet in encoder.encode(None)]
    finally:
        _stay_ordinary()
    data = b"".join(coded)
    return b"".join(data[begin:end] for kind, begin, end in _obus(data) if kind != OBU_TEMPORAL_DELIMITER)


def _params(level: float, count: int) -> str:
    """A whole quantiser for what follows the key frame; quarters of one for the key frame, which takes most bytes."""
    rest = math.floor(min(level + KEY_GAIN, 63.0))
    offset = max(-64, min(63, round((level - KEY_GAIN - rest) * 4)))  # on AV1's scale of 256
    return (
        f"pred-struct=1:lp=1:rc=0:keyint={count + 1}:qp={rest}:aq-mode=0"
        f":use-fixed-qindex-offsets=1:key-frame-qindex-offset={offset}"
    )


def _stay_ordinary() -> None:
    """Run by root, SVT-AV1 makes its threads and its caller real-time ones, which would starve all others."""
    if not hasattr(os, "sched_setscheduler") or os.geteuid() != 0:
        return
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            if os.sched_getscheduler(int(thread)) == os.SCHED_FIFO:
                os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))


def decode(data: bytes, width: int, height: int, count: int) -> list[Picture]:
    """The `count` pictures of a group; raises CodecError if that is not what it holds."""
    decoder = av.CodecContext.create("libdav1d", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(max(width * height, SMALLEST_SIDE**2) * 2)}
    pictures: list[Picture] = []
    try:
        for unit in temporal_units(data, count):
            pictures += [_picture(frame, width, height) for frame in decoder.decode(av.Packet(unit))]
        if len(pictures) < count:
            pictures += [_picture(frame, width, height) for frame in decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise CodecError(f"coded pictures: {error.strerror}") from error
    if len(pictures) != count:
        raise CodecError(f"coded pictures: {len(pictures)} where {count} should be")
    return pictures


def _picture(frame: av.VideoFrame, width: int, height: int) -> Picture:
    if (frame.width, frame.height, frame.format.name) != (width, height, "yuv420p"):
        raise CodecError(
            f"coded pictures: {frame.width}x{frame.height} {frame.format.name}, not {width}x{height} yuv420p"
        )
    return np.asarray(frame.to_ndarray(), np.uint8)


def temporal_units(data: bytes, count: int) -> list[bytes]:
    """A group cut after each frame; zeros may follow it. CodecError if it is no sequence header and `count` frames."""
    units: list[bytes] = []
    begin = 0
    for kind, at, end in _obus(data):
        if kind == OBU_FRAME:
            units.append(data[begin:end])
            begin = end
            if len(units) == count:
                break
        elif kind != OBU_SEQUENCE_HEADER or at > 0:
            raise CodecError(f"coded pictures: an OBU of kind {kind} at byte {at}")
    if len(units) != count or any(data[begin:]):
        raise CodecError(f"coded pictures: {len(units)} frames where {count} should be")
    return units


def _obus(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, where it begins, where the next one does) of each OBU."""
    position = 0
    while position < len(data):
        kind, end = _skip_obu(data, position)
        yield kind, position, end
        position = end


def _skip_obu(data: bytes, position: int) -> tuple[int, int]:
    """(kind, where the next one begins) of the OBU at `position`: sections 5.3.2 and 4.10.5."""
    head = data[position]
    if head & 0x87 != 0x02:  # no forbidden bit, no extension, a size, nothing reserved
        raise CodecError(f"coded pictures: byte {position} is no OBU")
    size = shift = 0
    for offset in range(position + 1, min(position + 5, len(data))):
        size |= (data[offset] & 0x7F) << shift
        shift += 7
        if data[offset] < 0x80:
            if offset + 1 + size > len(data):
                break
            return head >> 3 & 15, offset + 1 + size
    raise CodecError(f"coded pictures: cut off at byte {position}")
