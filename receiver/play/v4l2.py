"""A v4l2loopback device, so that browsers, Zoom, OBS and everything else sees the link as a camera.

Raw YUYV, written picture by picture: what OBS's virtual camera writes, and what every program reads.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from av.video.reformatter import VideoReformatter

from common.log import Log
from common.video import Picture, picture_size, to_video_frame
from receiver.play import v4l2_format as v4l2
from receiver.play.base import Shown, SinkError, ThreadedSink
from receiver.play.fit import Fitter
from receiver.play.mark import marked

Ioctl = Callable[[int, int, bytearray], object]
"""fcntl.ioctl: the kernel's answer replaces the content of the array. Raises OSError."""

ADVICE = (
    "as root: modprobe v4l2loopback video_nr={number} card_label=semcast exclusive_caps=1 "
    "(Debian: apt install v4l2loopback-dkms)"
)

log = Log("play.v4l2")


class Device:
    """An open video output. Owned by one thread; the size is settled by `configure`."""

    def __init__(self, path: Path, ioctl: Ioctl = fcntl.ioctl) -> None:
        """Raises SinkError where there is no such device, or it takes no pictures."""
        self._path = path
        self._ioctl = ioctl
        number = "".join(filter(str.isdigit, path.name)) or "10"
        self._advice = ADVICE.format(number=number)
        try:
            self._file = os.open(path, os.O_RDWR)
        except OSError as error:
            fix = {
                errno.ENOENT: f"there is no such device; {self._advice}",
                errno.EACCES: "not allowed; add the user to the group video",
                errno.EBUSY: "another program writes to it",
            }.get(error.errno or 0, f"cannot be opened: {error.strerror}")
            raise SinkError(f"v4l2:{path}: {fix}") from None
        try:
            capability = v4l2.Capability.from_kernel(
                self._ask(v4l2.VIDIOC_QUERYCAP, bytes(v4l2.CAPABILITY_BYTES))
            )
            if not capability.is_output:
                self._refuse(
                    f"{capability.card or 'this'} is a camera, not a loopback device; {self._advice}"
                )
        except BaseException:
            self.close()
            raise
        self.card = capability.card

    def configure(self, width: int, height: int, fps: float) -> v4l2.PixelFormat:
        """Settle the format. Raises SinkError when the device insists on another."""
        wanted = v4l2.PixelFormat(width, height)
        try:
            given = v4l2.PixelFormat.from_kernel(self._ask(v4l2.VIDIOC_S_FMT, bytes(wanted)))
        except v4l2.FormatError as error:
            self._refuse(str(error))
        if (given.width, given.height, given.fourcc) != (width, height, v4l2.YUYV):
            self._refuse(
                f"takes {given.width}x{given.height} only, in a format of its own; close the programs that have "
                f"it open, or load the module anew: modprobe -r v4l2loopback; {self._advice}"
            )
        try:
            self._ask(v4l2.VIDIOC_S_PARM, v4l2.parameters(fps))
        except SinkError:
            log.info("the device takes no frame rate", device=self._path)
        return given

    def write(self, data: bytes) -> None:
        """One picture. Raises SinkError when the device is gone."""
        try:
            os.write(self._file, data)
        except OSError as error:
            self._refuse(f"the device takes no picture: {error.strerror}")

    def close(self) -> None:
        """Repeatable."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _ask(self, request: int, argument: bytes) -> bytes:
        answer = bytearray(argument)
        try:
            self._ioctl(self._file, request, answer)
        except OSError as error:
            if error.errno == errno.ENOTTY:
                self._refuse("is no video device")
            self._refuse(f"the device refuses: {error.strerror}")
        return bytes(answer)

    def _refuse(self, reason: str) -> None:
        raise SinkError(f"v4l2:{self._path}: {reason}")


class V4l2Sink(ThreadedSink):
    """The size is that of the first picture; later ones are fitted into it."""

    def __init__(self, path: Path, mark: bool = True, ioctl: Ioctl = fcntl.ioctl) -> None:
        """`mark`: show in the picture when the signal is lost.  `ioctl`: the kernel, or what stands for it."""
        super().__init__(f"v4l2:{path}")
        self._path = path
        self._mark = mark
        self._ioctl = ioctl
        self._device: Device | None = None
        self._format: v4l2.PixelFormat | None = None
        self._fitter = Fitter(2, 2)
        self._reformatter = VideoReformatter()

    async def start(self) -> None:
        self._device = Device(self._path, self._ioctl)
        log.info("camera for other programs", device=self._path, card=self._device.card)
        await super().start()

    def write(self, shown: Shown) -> None:
        assert self._device is not None
        if self._format is None:
            width, height = picture_size(shown.picture)
            self._fitter = Fitter(width, height)
            self._format = self._device.configure(width, height, shown.fps)
        picture = self._fitter.fit(marked(shown) if self._mark else shown.picture)
        self._device.write(self._packed(picture, self._format))

    def finish(self) -> None:
        if self._device is not None:
            self._device.close()

    def _packed(self, picture: Picture, format: v4l2.PixelFormat) -> bytes:
        """The picture as YUYV, each line as long as the device wants it."""
        frame = self._reformatter.reformat(to_video_frame(picture), format="yuyv422")
        lines = np.asarray(frame.to_ndarray(), np.uint8).reshape(format.height, 2 * format.width)
        padding = max(0, format.stride - 2 * format.width)
        packed = np.pad(lines, ((0, 0), (0, padding))).tobytes()
        return packed.ljust(format.size, b"\0")
