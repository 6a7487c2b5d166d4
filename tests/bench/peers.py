"""The ordinary encoders that users would pick, driven for a lossy link: x264, x265 and SVT-AV1 through FFmpeg.

How coarse each block of pictures is coded is given from outside (a *level*, a quantiser on the encoder's own scale), so
that the caller can make every block as large as the link takes: no encoder's own VBV is as even as that. The levels
reach x264 and x265 as zones. Which setting is used where was chosen on training clips: results/peer-settings.md.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from common.video import Picture, picture_size

GLOBAL_HEADER = 1 << 22  # FFmpeg's flag: parameter sets apart from the stream, as in a session description
WHOLE_CLIP = 1_000_000  # period of a stream whose only key frame is its first
SMALLEST_SIDE = 64  # pixels: SVT-AV1 takes no less

DECODERS = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "libdav1d"}
PRESETS = {"libx264": "slow", "libx265": "medium", "libsvtav1": "4"}
FIRST = {"libx264": 38.0, "libx265": 38.0, "libsvtav1": 50.0}  # level to begin the search with
STEPS = {"libx264": 6.5, "libx265": 6.5, "libsvtav1": 9.0}  # levels that halve the bytes, about
COARSEST = {
    "libx264": 51.0,
    "libx265": 51.0,
    "libsvtav1": 79.0,
}  # above 63: an offset for AV1's key frame alone
KEY_GAIN = {"libx264": 2.0, "libx265": 2.0, "libsvtav1": 4.0}  # levels between a key frame and what follows

# x264 and x265 number the pictures of zones from 0 and 1, and take a first picture's quantiser from elsewhere. Adaptive
# quantisation lowers PSNR and MS-SSIM here. Motion vectors must not be predicted from a picture that may be lost.
X264 = "threads=1:stitchable=1:keyint=infinite:scenecut=0:aq-mode=0:ipratio=1"
X265 = (
    "log-level=none:info=0:pools=none:frame-threads=1:bframes=0:rc-lookahead=0:keyint=-1:scenecut=0:ipratio=1"
    ":temporal-mvp=0"
)

NAL_START, NAL_SEI = b"\0\0\1", 6
TEMPORAL_DELIMITER = bytes([0x12, 0])


@dataclass(frozen=True, slots=True)
class Setting:
    """How an encoder is used. `shrinks`: the sides of the coded picture are those of the clip over one of these,
    whichever looks best without loss. `step`: every step-th picture is coded, what lies between is mixed.
    `period`: pictures from a key frame to the next."""

    shrinks: tuple[Fraction, ...]
    step: int
    period: int

    @property
    def label(self) -> str:
        """For example `1/2 or 1/3 size, every 2nd picture, key 4`."""
        sizes = " or ".join("full" if s == 1 else str(1 / s) for s in self.shrinks)
        rate = {1: "", 2: ", every 2nd picture"}.get(self.step, f", every {self.step}th picture")
        return f"{sizes} size{rate}, " + ("one key" if self.period == WHOLE_CLIP else f"key {self.period}")


# Bytes of coded data a block and 65536 pixels of the clip, below which: sizes (clip over coded), step.
BANDS: tuple[tuple[float, tuple[Fraction, ...], int], ...] = (
    (120, (Fraction(3), Fraction(4)), 4),
    (300, (Fraction(2), Fraction(3), Fraction(4)), 2),
    (700, (Fraction(3, 2), Fraction(2), Fraction(3)), 1),
    (1200, (Fraction(3, 2), Fraction(2)), 1),
    (2500, (Fraction(1), Fraction(2)), 1),
    (math.inf, (Fraction(1),), 1),
)

# Pictures from key frame to key frame by code rate, where it is not one block of 4. Code rate 1 is for links that lose
# nothing, 3/4 for those that lose little. SVT-AV1 cannot make the blocks of a longer group equally large.
PERIODS = {
    (codec, rate): period
    for codec in ("libx264", "libx265")
    for rate, period in ((Fraction(1), WHOLE_CLIP), (Fraction(3, 4), 8))
}


def setting_for(codec: str, rate: Fraction, room: float, size: tuple[int, int]) -> Setting:
    """The setting at a code rate when a block has `room` bytes for coded data; `size`: width and height of the clip."""
    density = room * 65536 / (size[0] * size[1])
    _, shrinks, step = next(band for band in BANDS if density < band[0])
    fitting = tuple(s for s in shrinks if min(size) / s >= SMALLEST_SIDE) or (Fraction(1),)
    return Setting(fitting, step, PERIODS.get((codec, rate), 4))


def shrunk(pictures: Sequence[Picture], shrink: Fraction) -> list[Picture]:
    """The pictures with their sides divided by `shrink` and rounded to even numbers."""
    if shrink == 1:
        return list(pictures)
    width, height = (round(side / shrink / 2) * 2 for side in picture_size(pictures[0]))
    return [_resized(picture, width, height, Interpolation.AREA) for picture in pictures]


def enlarged(picture: Picture, width: int, height: int) -> Picture:
    """The picture at the size of the clip."""
    if picture_size(picture) == (width, height):
        return picture
    return _resized(picture, width, height, Interpolation.LANCZOS)


def _resized(picture: Picture, width: int, height: int, how: Interpolation) -> Picture:
    frame = _frame(picture)
    scaled = VideoReformatter().reformat(frame, width, height, "yuv420p", interpolation=how, threads=1)
    return np.asarray(scaled.to_ndarray(), np.uint8)


def _frame(picture: Picture) -> VideoFrame:
    return VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")


@dataclass(frozen=True, slots=True)
class Stream:
    """What an encoder made: `head` for the decoder before everything, one access unit a coded picture, and for each
    the unit that stands in when it is lost (none: the decoder then repeats the picture before by itself)."""

    head: bytes
    coded: list[bytes]
    repeats: list[bytes]


def code(
    codec: str, setting: Setting, pictures: Sequence[Picture], fps: float, levels: Sequence[float], block: int
) -> Stream:
    """Pictures as one stream, block by block at its level; `fps` and `block` are those of the coded pictures.

    The encoders give no hold on a key frame inside of a run, so each group from a key frame to the next is a run."""
    period = min(setting.period // setting.step, len(pictures))
    coded: list[bytes] = []
    head = b""
    for start in range(0, len(pictures), period):
        group = pictures[start : start + period]
        own = levels[start // block : (start + len(group) - 1) // block + 1]
        if codec == "libsvtav1":
            options = _av1_options(own, len(group))
        else:
            options = _mpeg_options(codec, _quantisers(KEY_GAIN[codec], own, block, len(group)))
        head, units = _run(codec, options, group, fps)
        coded += units
    return Stream(head if codec != "libsvtav1" else b"", coded, [])


def repeats(codec: str, setting: Setting, size: tuple[int, int], count: int, fps: float) -> list[bytes]:
    """For each of `count` pictures the unit that repeats the picture before (a grey one for a key frame).

    FFmpeg's hevc decoder puts grey in the place of a lost reference, so a player has to hand it such a unit: a picture
    of a still scene, all of it skipped. h264 repeats by itself; AV1's references stay where they are."""
    if codec != "libx265":
        return []
    period = min(setting.period // setting.step, count)
    grey = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
    units = _run(codec, _mpeg_options(codec, [45] * period), [grey] * period, fps)[1]
    return [units[i % period] for i in range(count)]


def _mpeg_options(codec: str, quantisers: Sequence[int]) -> dict[str, str]:
    preset = {"preset": PRESETS[codec], "tune": "zerolatency"}
    if codec == "libx264":
        return {**preset, "x264-params": f"{X264}:crf={quantisers[0]}:zones={_zones(quantisers, 0)}"}
    return {**preset, "x265-params": f"{X265}:qp={quantisers[0]}:zones={_zones(quantisers, 1)}"}


def _av1_options(levels: Sequence[float], count: int) -> dict[str, str]:
    """The first level for the key frame, the mean of the others for the rest: there is no quantiser a picture."""
    gain = KEY_GAIN["libsvtav1"] / 2
    rest = float(np.mean(levels[1:])) if len(levels) > 1 else levels[0] + gain
    level = math.floor(min(rest, 63.0))
    offset = max(-64, min(63, round((levels[0] - gain - level) * 4)))  # on AV1's scale of 256
    params = (
        f"pred-struct=1:lp=1:rc=0:keyint={count + 1}:qp={level}:aq-mode=0"
        f":use-fixed-qindex-offsets=1:key-frame-qindex-offset={offset}"
    )
    return {"preset": PRESETS["libsvtav1"], "svtav1-params": params}


def _quantisers(gain: float, levels: Sequence[float], block: int, count: int) -> list[int]:
    """A whole quantiser for each picture of a group, `gain` finer for its key frame; the fraction of a level is the
    share of the block's last pictures that get one more."""
    out = []
    for index in range(count):
        level = levels[index // block] + gain / 4 * (-3 if index == 0 else 1)
        whole = math.floor(level)
        place = (index % block + 0.5) / block
        out.append(max(1, min(51, whole + (place > 1 - (level - whole)))))
    return out


def _zones(quantisers: Sequence[int], first: int) -> str:
    """Runs of pictures with one quantiser, numbered from `first`."""
    parts, start = [], first
    for quantiser, run in itertools.groupby(quantisers):
        end = start + len(list(run))
        parts.append(f"{start},{end - 1},q={quantiser}")
        start = end
    return "/".join(parts)


def _run(
    codec: str, options: dict[str, str], pictures: Sequence[Picture], fps: float
) -> tuple[bytes, list[bytes]]:
    """One encoder from its start to its end: (head, one access unit a picture)."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    (encoder.width, encoder.height), encoder.pix_fmt = picture_size(pictures[0]), "yuv420p"
    encoder.framerate = Fraction(fps).limit_denominator(1000)
    encoder.time_base = 1 / encoder.framerate
    if codec != "libsvtav1":
        encoder.flags |= GLOBAL_HEADER
    encoder.thread_count = 1
    encoder.options = options
    coded: list[bytes] = []
    for index, picture in enumerate(pictures):
        frame = _frame(picture)
        frame.pts = index
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    coded += [bytes(packet) for packet in encoder.encode(None)]
    if codec == "libsvtav1" and os.geteuid() == 0:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # run by root it takes real-time priority
    if len(coded) != len(pictures):
        raise RuntimeError(f"{codec} made {len(coded)} units of {len(pictures)} pictures")
    return bytes(encoder.extradata or b""), [_bare(codec, unit) for unit in coded]


def _bare(codec: str, unit: bytes) -> bytes:
    """Without what no decoder needs: x264's note about itself (700 bytes), AV1's temporal delimiters."""
    if codec == "libx264":
        parts = unit.split(NAL_START)
        return b"".join(NAL_START + part for part in parts if part and part[0] & 31 not in (0, NAL_SEI))
    return unit.removeprefix(TEMPORAL_DELIMITER) if codec == "libsvtav1" else unit
