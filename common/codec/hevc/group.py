"""Pictures as one unit of H.265 and back, alone or predicted from one picture that both sides have.

Pictures between are predicted from both sides, so they are coded out of order. Parameter sets are not sent (`sets`).
What is predicted from a picture is coded by x265 behind that picture as a key frame, at its finest quantiser, which is
left out: the decoder codes the picture itself, without loss, and goes on from there. x265 saw it a little otherwise
(mean squared error 0.005, and what is decoded is 0.1 off at most, of a coding error of 70 to 80): who encodes what
follows takes what `decode` gives, not what x265 has, and nothing adds up.

A unit is, for each picture as it is coded, the length (`lengths`) of what follows: the first byte of its slice's NAL
unit header (the second is always 1), and the slice (Rec. ITU-T H.265, section 7.3.6)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

from common.codec.base import CodecError
from common.codec.fit import Range
from common.codec.hevc import sets
from common.codec.hevc.region import RANGE, offset
from common.codec.lengths import length, read_length
from common.video import Picture, picture_size, to_video_frame

LEVELS = Range(8.0, 51.0, 6.0, 0.5)  # x265's rate factor; about the quantiser
PRESETS = {4: "slow", 6: "medium", 7: "medium", 8: "veryfast", 9: "veryfast", 10: "ultrafast"}
"""x265's, by Effort's, of AV1."""
KEYS, FOLLOWING = (19, 20), (0, 1)  # types of NAL units: IDR pictures, others (table 7-1)
START = b"\0\0\0\1"

PARAMS = (
    "log-level=none:info=0:repeat-headers=1:pools=none:frame-threads=1:keyint=-1:scenecut=0:open-gop=0:b-adapt=0"
    ":rc-lookahead=40:aq-mode=3:aq-strength=0.4:qg-size=16:cutree=1:psy-rd=0:psy-rdoq=0:" + sets.OPTIONS
)
# Of `slow`, whose choices by rate and distortion are then those of `slower`.
CAREFUL = ":rd=5"


def encode(pictures: Sequence[Picture], level: float, preset: int, before: Picture | None = None) -> bytes:
    """Pictures of one size as a unit. `level`: how coarse, of LEVELS; `before`: the picture
    shown before them, of the same size, which they are predicted from. Takes 2 to 20 ms a picture, and as much as
    five of them for `before`."""
    width, height = picture_size(pictures[0])
    params = f"{PARAMS}:crf={level:g}" + CAREFUL * (PRESETS[preset] == "slow")
    frames = [to_video_frame(picture) for picture in pictures]
    if before is not None:
        exact = offset(width, height, -RANGE)
        frames.insert(0, exact(to_video_frame(before)))
    slices = _run(frames, preset, params)[before is not None :]
    return b"".join(length(len(one) - 1) + one[:1] + one[2:] for one in slices)


def decode(data: bytes, width: int, height: int, count: int, before: Picture | None = None) -> list[Picture]:
    """The `count` pictures of a unit; raises CodecError if that is not what it holds. `before`: see encode; samples of
    another picture in its place make samples that are wrong."""
    slices = _slices(data, count, KEYS if before is None else FOLLOWING)
    head = START + sets.video_set() + START + sets.sequence_set(width, height)
    if before is not None:
        key = _run([to_video_frame(before)], max(PRESETS), f"{PARAMS}:lossless=1")[0]
        head += START + sets.picture_set(lossless=True) + START + key
        slices.insert(0, b"")
    pictures = _decoded(head, slices, width, height)
    if before is not None and not np.array_equal(pictures.pop(0), before):
        raise CodecError("coded pictures: the one before them was not coded without loss")
    if len(pictures) != count:
        raise CodecError(f"coded pictures: {len(pictures)} where {count} should be")
    return pictures


def _run(frames: Sequence[av.VideoFrame], preset: int, params: str) -> list[bytes]:
    """The slices of pictures, NAL units, in the order in which they are coded."""
    try:
        coder = av.CodecContext.create("libx265", "w")
    except av.codec.codec.UnknownCodecError as error:
        raise CodecError("coded pictures: this FFmpeg has no x265") from error
    assert isinstance(coder, av.VideoCodecContext)
    coder.width, coder.height, coder.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
    coder.framerate, coder.time_base = Fraction(15), Fraction(1, 15)
    coder.thread_count = 1
    coder.options = {"preset": PRESETS[preset], "x265-params": params}
    coded = b""
    for index, frame in enumerate([*frames, None]):
        if frame is not None:
            frame.pts, frame.time_base = index, Fraction(1, 15)
        coded += b"".join(bytes(packet) for packet in coder.encode(frame))
    units = [unit.rstrip(b"\0") for unit in coded.split(START[1:])]
    return [unit for unit in units if unit and unit[0] >> 1 in (*KEYS, *FOLLOWING)]


def _decoded(head: bytes, slices: Sequence[bytes], width: int, height: int) -> list[Picture]:
    decoder = av.CodecContext.create("hevc", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(width * height * 2), "err_detect": "explode"}
    frames: list[av.VideoFrame] = []
    try:
        for number, one in enumerate(slices):
            sets_of_it = START + sets.picture_set()
            unit = (head if number == 0 else b"") + (sets_of_it + START + one if one else b"")
            frames += decoder.decode(av.Packet(unit))
        frames += decoder.decode(None)
    except av.error.FFmpegError as error:
        raise CodecError(f"coded pictures: {error.strerror}") from error
    if any(frame.is_corrupt for frame in frames):
        raise CodecError("coded pictures: damaged")
    return [_picture(frame, width, height) for frame in frames]


def _picture(frame: av.VideoFrame, width: int, height: int) -> Picture:
    if (frame.width, frame.height, frame.format.name) != (width, height, "yuv420p"):
        raise CodecError(f"coded pictures: {frame.width}x{frame.height} {frame.format.name}")
    return np.asarray(frame.to_ndarray(), np.uint8)


def _slices(data: bytes, count: int, first: Sequence[int]) -> list[bytes]:
    """The NAL units of a unit, the first of these types; zeros may follow them. CodecError if it is not `count`."""
    slices: list[bytes] = []
    position = 0
    for _ in range(count):
        size, position = read_length(data, position)
        body = data[position : position + size]
        position += size
        kinds = FOLLOWING if slices else first
        if position > len(data) or size < 2 or body[0] & 1 or body[0] >> 1 not in kinds:
            raise CodecError(f"coded pictures: no slice at byte {position - size}")
        if any(code in body for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2")):
            raise CodecError("coded pictures: more than slices")
        slices.append(body[:1] + b"\1" + body[1:])
    if any(data[position:]):
        raise CodecError("coded pictures: something follows them")
    return slices
