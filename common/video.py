"""Pictures: the one in-memory form used everywhere, and the way there from and to FFmpeg's frames.

A picture is a uint8 array of shape (H * 3 // 2, W): I420, limited range, BT.601 matrix, W and H even. It is
what PyAV's `to_ndarray(format="yuv420p")` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

Picture = npt.NDArray[np.uint8]

BLACK_LUMA = 16
NEUTRAL_CHROMA = 128
HD_LINES = 720
"""Untagged pictures of at least this height are taken as BT.709, smaller ones as BT.601, as players do."""

UNTAGGED = 2
"""FFmpeg's AVCOL_SPC_UNSPECIFIED."""

MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""FFmpeg's AVColorSpace -> swscale's table; all others are BT.601."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured picture.

    `captured_at`: seconds since the Unix epoch (common.clock.WallClock). `index`: number of the frame at the
    source; a gap means that frames were skipped.
    """

    picture: Picture
    captured_at: float
    index: int


def picture_size(picture: Picture) -> tuple[int, int]:
    """(width, height) in pixels. Raises ValueError when the array is no I420 picture."""
    if picture.dtype != np.uint8 or picture.ndim != 2 or picture.shape[0] % 3 or picture.shape[1] % 2:
        raise ValueError(f"not an I420 picture: {picture.dtype} {picture.shape}")
    return picture.shape[1], picture.shape[0] * 2 // 3


def planes(picture: Picture) -> tuple[Picture, Picture, Picture]:
    """(Y, U, V) of shapes (H, W), (H/2, W/2), (H/2, W/2): views when the picture is contiguous."""
    width, height = picture_size(picture)
    flat = picture.reshape(-1)
    luma, quarter = width * height, width * height // 4
    chroma = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + quarter].reshape(chroma),
        flat[luma + quarter :].reshape(chroma),
    )


def from_planes(luma: Picture, blue: Picture, red: Picture) -> Picture:
    """A picture from its (Y, U, V) planes; the inverse of `planes`."""
    height, width = luma.shape
    flat = np.concatenate([plane.reshape(-1) for plane in (luma, blue, red)])
    return flat.reshape(height * 3 // 2, width)


def blank(width: int, height: int, luma: int = BLACK_LUMA) -> Picture:
    """A grey picture (black by default)."""
    picture = np.full((height * 3 // 2, width), NEUTRAL_CHROMA, np.uint8)
    picture[:height] = luma
    return picture


def to_video_frame(
    picture: Picture, pts: int | None = None, time_base: Fraction | None = None
) -> av.VideoFrame:
    """An av.VideoFrame (yuv420p, tagged limited range and BT.601) that holds a copy of the picture."""
    picture_size(picture)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
    frame.colorspace = Colorspace.ITU601
    frame.color_range = ColorRange.MPEG
    if pts is not None:
        frame.pts = pts
    if time_base is not None:
        frame.time_base = time_base
    return frame


def from_video_frame(frame: av.VideoFrame) -> Picture:
    """The picture of any av.VideoFrame at its own size (an odd one is scaled to the even size below)."""
    return Resizer(frame.width & ~1, frame.height & ~1).convert(frame)


def cover(width: int, height: int, target_width: int, target_height: int) -> tuple[int, int, int, int]:
    """How to fill the target without distortion: (scaled width, scaled height, crop x, crop y), all even.

    The source is scaled so that it just covers the target, then the centre is cut out.
    """
    if min(width, height, target_width, target_height) < 1:
        raise ValueError("sizes must be positive")
    scale = max(Fraction(target_width, width), Fraction(target_height, height))
    scaled_width = max(target_width, _even(width * scale))
    scaled_height = max(target_height, _even(height * scale))
    return (
        scaled_width,
        scaled_height,
        _even((scaled_width - target_width) / 2),
        _even((scaled_height - target_height) / 2),
    )


def _even(value: float | Fraction) -> int:
    return int(value / 2 + Fraction(1, 2)) * 2


class Resizer:
    """Turns frames of any size and pixel format into pictures of one size. Owned by one thread.

    Scales to cover, cuts out the centre, honours the frame's rotation mark and the pixel aspect, converts to
    limited-range BT.601. A frame that has the right form already comes out unchanged, bit for bit.
    """

    def __init__(self, width: int, height: int) -> None:
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise ValueError(f"the size must be even: {width}x{height}")
        self.width = width
        self.height = height
        self._reformatter = VideoReformatter()

    def convert(self, frame: av.VideoFrame, pixel_aspect: Fraction | None = None) -> Picture:
        """The frame as a picture of `width` x `height`. `pixel_aspect`: width / height of a source pixel."""
        turns = round(frame.rotation / 90) % 4
        sideways = turns % 2 == 1
        width, height = (self.height, self.width) if sideways else (self.width, self.height)
        shape = Fraction(frame.width, 1) * (pixel_aspect or 1)
        denominator = shape.denominator
        scaled_width, scaled_height, left, top = cover(
            shape.numerator, frame.height * denominator, width, height
        )
        scaled = self._reformatter.reformat(
            frame,
            width=scaled_width,
            height=scaled_height,
            format="yuv420p",
            src_colorspace=_matrix(frame),
            dst_colorspace=Colorspace.ITU601,
            src_color_range=_range(frame),
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA if scaled_width < frame.width else Interpolation.BICUBIC,
            threads=1,
        )
        picture = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
        if (scaled.width, scaled.height) != (width, height):
            picture = _crop(picture, left, top, width, height)
        return np.ascontiguousarray(_turn(picture, turns) if turns else picture)


def _matrix(frame: av.VideoFrame) -> int:
    """swscale's number of the frame's matrix, from FFmpeg's AVColorSpace tag."""
    if frame.colorspace in MATRICES:
        return int(MATRICES[frame.colorspace])
    untagged_hd = frame.colorspace == UNTAGGED and frame.height >= HD_LINES and not frame.format.is_rgb
    return int(Colorspace.ITU709 if untagged_hd else Colorspace.ITU601)


def _range(frame: av.VideoFrame) -> int:
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj") or frame.format.is_rgb
    return int(ColorRange.JPEG if full else ColorRange.MPEG)


def _crop(picture: Picture, left: int, top: int, width: int, height: int) -> Picture:
    luma, blue, red = planes(picture)
    half = np.s_[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
    return from_planes(luma[top : top + height, left : left + width], blue[half], red[half])


def _turn(picture: Picture, turns: int) -> Picture:
    luma, blue, red = (np.rot90(plane, turns) for plane in planes(picture))
    return from_planes(luma, blue, red)
