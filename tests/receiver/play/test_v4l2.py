"""The loopback camera: the bytes that the kernel is asked with, and what is written. The kernel is a fake here."""

from __future__ import annotations

import dataclasses
import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.video import from_video_frame
from receiver.play import v4l2_format
from receiver.play.base import SignalState, SinkError
from receiver.play.mark import mark
from receiver.play.v4l2 import V4l2Sink
from receiver.play.v4l2_format import YUYV, Capability, FormatError, PixelFormat, parameters
from tests.receiver.play.pictures import shown
from tests.waiting import until

OUTPUT = v4l2_format.CAP_VIDEO_OUTPUT | v4l2_format.CAP_READWRITE


class Kernel:
    """Answers as v4l2loopback 0.12 does."""

    def __init__(
        self, padding: int = 0, refuses: dict[int, int] | None = None, capabilities: int = OUTPUT
    ) -> None:
        self.padding = padding
        self.refuses = refuses or {}
        self.capabilities = capabilities
        self.insists: tuple[int, int] | None = None
        self.fps = 0.0
        self.format: PixelFormat | None = None

    def __call__(self, file: int, request: int, argument: bytearray) -> int:
        os.fstat(file)
        if request in self.refuses:
            raise OSError(self.refuses[request], os.strerror(self.refuses[request]))
        assert len(argument) == request >> 16 & 0x3FFF, "the size in the request is that of the argument"
        if request == v4l2_format.VIDIOC_QUERYCAP:
            node, everything = self.capabilities, self.capabilities | 0x1 | v4l2_format.CAP_DEVICE_CAPS
            argument[:] = struct.pack(
                "=16s32s32sIII12x", b"v4l2 loopback", b"semcast", b"platform:v4l2", 0x60100, everything, node
            )
        elif request == v4l2_format.VIDIOC_S_FMT:
            asked = PixelFormat.from_kernel(bytes(argument))
            width, height = self.insists or (asked.width, asked.height)
            stride = 2 * width + self.padding
            self.format = PixelFormat(width, height, asked.fourcc, stride, stride * height)
            argument[:] = bytes(self.format)
        elif request == v4l2_format.VIDIOC_S_PARM:
            kind, _, _, above, below, _, _ = struct.unpack("=7I176x", argument)
            assert kind == v4l2_format.BUF_TYPE_VIDEO_OUTPUT
            self.fps = below / above
        else:
            raise AssertionError(hex(request))
        return 0


def device(folder: Path) -> Path:
    """A file in place of the device: what is written stays."""
    path = folder / "video10"
    path.touch()
    return path


def pictures(path: Path, format: PixelFormat) -> list[np.ndarray]:
    """What another program sees, as I420."""
    found = []
    data = np.fromfile(path, np.uint8).reshape(-1, format.height, format.stride)
    for lines in data:
        packed = np.ascontiguousarray(lines[:, : 2 * format.width]).reshape(format.height, format.width, 2)
        found.append(from_video_frame(av.VideoFrame.from_ndarray(packed, format="yuyv422")))
    return found


@pytest.mark.parametrize("padding", [0, 32])
async def test_other_programs_see_the_pictures(tmp_path: Path, padding: int) -> None:
    kernel, path = Kernel(padding), device(tmp_path)
    sink = V4l2Sink(path, ioctl=kernel)
    await sink.start()
    for number in range(5):
        sink.show(shown(number, 128, 96))
        await until(lambda: len(sink._queue) == 0)
    sink.show(shown(5, 64, 64))  # the sender restarted with another size
    await sink.close()
    assert sink.failure is None and kernel.fps == 15.0
    assert kernel.format is not None and (kernel.format.width, kernel.format.height) == (128, 96)
    assert kernel.format.fourcc == YUYV
    seen = pictures(path, kernel.format)
    assert len(seen) == 6
    for number in range(5):
        assert np.abs(seen[number].astype(int) - shown(number, 128, 96).picture).mean() < 2


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_lost_signal_is_marked(tmp_path: Path, wanted: bool) -> None:
    kernel, path = Kernel(), device(tmp_path)
    sink = V4l2Sink(path, wanted, kernel)
    await sink.start()
    lost = dataclasses.replace(shown(0, 128, 96, SignalState.LOST), silence=7.0)
    sink.show(lost)
    await until(lambda: len(sink._queue) == 0)
    await sink.close()
    assert kernel.format is not None
    [seen] = pictures(path, kernel.format)
    expected = mark(lost.picture, 7.0) if wanted else lost.picture
    assert np.abs(seen.astype(int) - expected).mean() < 2


async def test_a_device_that_is_not_there_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        SinkError, match=r"no such device; as root: modprobe v4l2loopback video_nr=10 .*exclusive_caps"
    ):
        await V4l2Sink(tmp_path / "video10").start()
    with pytest.raises(SinkError, match="is no video device"):
        await V4l2Sink(device(tmp_path)).start()  # the real ioctl, on a file


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Kernel(capabilities=0x05000001), "is a camera, not a loopback device; as root: modprobe"),
        (lambda: Kernel(refuses={v4l2_format.VIDIOC_QUERYCAP: errno.ENODEV}), "the device refuses"),
    ],
)
async def test_a_device_that_takes_no_pictures_is_refused(
    tmp_path: Path, make: Callable[[], Kernel], text: str
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SinkError, match=text):
        await V4l2Sink(device(tmp_path), ioctl=make()).start()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("refuses", "insists", "text"),
    [
        ({v4l2_format.VIDIOC_S_FMT: errno.EBUSY}, None, "the device refuses"),
        ({}, (640, 480), "takes 640x480 only"),
    ],
)
async def test_a_format_that_is_refused_ends_the_sink_alone(
    tmp_path: Path, refuses: dict[int, int], insists: tuple[int, int] | None, text: str
) -> None:
    kernel = Kernel(refuses=refuses)
    kernel.insists = insists
    sink = V4l2Sink(device(tmp_path), ioctl=kernel)
    await sink.start()
    sink.show(shown(0, 128, 96))
    await until(lambda: sink.ended)
    assert sink.failure is not None and text in sink.failure
    await sink.close()


async def test_a_device_without_a_frame_rate_is_used_all_the_same(tmp_path: Path) -> None:
    kernel = Kernel(refuses={v4l2_format.VIDIOC_S_PARM: errno.ENOTTY})
    sink = V4l2Sink(device(tmp_path), ioctl=kernel)
    await sink.start()
    sink.show(shown(0, 128, 96))
    await sink.close()
    assert sink.failure is None and (tmp_path / "video10").stat().st_size == 128 * 96 * 2


def test_layouts_are_those_of_the_kernel() -> None:
    """Offsets as gcc gives them for videodev2.h on a 64-bit host."""
    data = bytes(PixelFormat(640, 480))
    words = {
        8: 640,
        12: 480,
        16: YUYV,
        20: 1,
        24: 1280,
        28: 614400,
        32: 1,
        36: 0xFEEDCAFE,
        44: 1,
        48: 2,
        52: 1,
    }
    assert len(data) == 208 and struct.unpack_from("<I", data)[0] == 2
    assert {offset: struct.unpack_from("<I", data, offset)[0] for offset in words} == words
    rate = parameters(29.97)
    assert len(rate) == 204 and struct.unpack_from("<II", rate, 12) == (1000, 29970)
    for request, size in ((v4l2_format.VIDIOC_QUERYCAP, 104), (v4l2_format.VIDIOC_S_FMT, 208)):
        assert request >> 16 & 0x3FFF == size and request >> 8 & 0xFF == ord("V")


@given(
    st.one_of(
        st.binary(max_size=300), st.binary(min_size=104, max_size=104), st.binary(min_size=208, max_size=208)
    )
)
def test_any_answer_of_the_kernel_is_read_or_refused(data: bytes) -> None:
    for read in (Capability.from_kernel, PixelFormat.from_kernel):
        try:
            answer = read(data)
        except FormatError:
            continue
        assert isinstance(answer, Capability | PixelFormat)


@given(st.integers(1, 8192), st.integers(1, 8192))
def test_a_format_survives_the_kernel(width: int, height: int) -> None:
    wanted = PixelFormat(width, height, YUYV, 2 * width, 2 * width * height)
    assert PixelFormat.from_kernel(bytes(wanted)) == wanted
