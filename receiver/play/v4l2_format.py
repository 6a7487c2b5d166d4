"""The parts of Linux's videodev2.h that a video output needs, as bytes. Pure.

Layouts are those of 64-bit kernels, where a format is 208 bytes: four of type, four of padding, 200 of union.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

PREFIX = "v4l2:"
"""How `--play` names such a device: v4l2:/dev/video10."""

VIDIOC_QUERYCAP = 0x80685600
VIDIOC_S_FMT = 0xC0D05605
VIDIOC_S_PARM = 0xC0CC5616

CAPABILITY_BYTES, FORMAT_BYTES = 104, 208

CAP_VIDEO_OUTPUT = 0x00000002
CAP_READWRITE = 0x01000000
CAP_DEVICE_CAPS = 0x80000000
BUF_TYPE_VIDEO_OUTPUT = 2
FIELD_NONE = 1
COLORSPACE_SMPTE170M = 1
YCBCR_601, QUANTIZATION_LIMITED, TRANSFER_709 = 1, 2, 1
PRIVATE_MAGIC = 0xFEEDCAFE
"""Tells that the fields behind `priv` are filled in."""

YUYV = struct.unpack("<I", b"YUYV")[0]
"""Packed 4:2:2: the format that every program which opens a camera understands."""

_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_PIXELS = struct.Struct("=I4xIIIIIIIIIIII152x")
_PARAMETERS = struct.Struct("=IIIIIII176x")


class FormatError(ValueError):
    """The device cannot take the pictures; the message tells why."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What the device says of itself."""

    driver: str
    card: str
    capabilities: int

    @classmethod
    def from_kernel(cls, data: bytes) -> Capability:
        """The answer to VIDIOC_QUERYCAP. Raises FormatError when it has another length."""
        if len(data) != CAPABILITY_BYTES:
            raise FormatError(f"a capability has {CAPABILITY_BYTES} bytes, not {len(data)}")
        driver, card, _, _, everything, node = _CAPABILITY.unpack(data)
        caps = node if everything & CAP_DEVICE_CAPS else everything
        return cls(_text(driver), _text(card), caps)

    @property
    def is_output(self) -> bool:
        """Whether pictures can be written to it."""
        return bool(self.capabilities & CAP_VIDEO_OUTPUT)


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Pictures of YUYV, two bytes a pixel. `stride`: bytes from line to line; `size`: bytes of a picture."""

    width: int
    height: int
    fourcc: int = YUYV
    stride: int = 0
    size: int = 0

    def __bytes__(self) -> bytes:
        """struct v4l2_format for an output, limited-range BT.601."""
        stride, size = self.stride or 2 * self.width, self.size or 2 * self.width * self.height
        return _PIXELS.pack(
            *(BUF_TYPE_VIDEO_OUTPUT, self.width, self.height, self.fourcc, FIELD_NONE, stride, size),
            *(COLORSPACE_SMPTE170M, PRIVATE_MAGIC, 0, YCBCR_601, QUANTIZATION_LIMITED, TRANSFER_709),
        )

    @classmethod
    def from_kernel(cls, data: bytes) -> PixelFormat:
        """The answer to VIDIOC_S_FMT. Raises FormatError when it is none for an output."""
        if len(data) != FORMAT_BYTES:
            raise FormatError(f"a format has {FORMAT_BYTES} bytes, not {len(data)}")
        kind, width, height, fourcc, _, stride, size, *_ = _PIXELS.unpack(data)
        if kind != BUF_TYPE_VIDEO_OUTPUT:
            raise FormatError(f"the answer is for buffers of type {kind}")
        return cls(width, height, fourcc, stride, size)


def parameters(fps: float) -> bytes:
    """struct v4l2_streamparm for an output: the time from picture to picture."""
    return _PARAMETERS.pack(BUF_TYPE_VIDEO_OUTPUT, 0, 0, 1000, round(1000 * fps), 0, 0)


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")
