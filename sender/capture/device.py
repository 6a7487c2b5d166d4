"""A camera of this host, through Video4Linux2."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from common.log import Log
from common.video import Frame
from sender.capture.base import CaptureOptions
from sender.capture.live import LiveSource

log = Log("sender.capture")
SYSFS = Path("/sys/class/video4linux")


class DeviceSource(LiveSource):
    """`--source /dev/video0`. When it is unplugged it is waited for, also under another number.

    It must be there at the start, unless `options.wait`.
    """

    def __init__(self, path: str, options: CaptureOptions, sysfs: Path = SYSFS) -> None:
        super().__init__(
            path,
            options,
            url=path,
            format="v4l2",
            # The driver takes the nearest rate it has; the cadence does the rest.
            ffmpeg={"framerate": f"{options.fps:g}"},
            must_exist=not options.wait,
            hint="`ls /dev/video*` shows the cameras, the user must be in the group `video`, and "
            "`--capture.wait` waits for one",
        )
        self._path = path
        self._sysfs = sysfs
        self._identity: tuple[str, ...] | None = None

    def connection(self, stop: threading.Event) -> Iterator[Frame]:
        """See LiveSource."""
        self.url = self._present_path()
        for frame in super().connection(stop):
            if self._identity is None:
                self._identity = identity(self._sysfs / Path(self.url).resolve().name)
            yield frame

    def _present_path(self) -> str:
        """Where the camera is now: its path, or the only node of the same camera when that is gone."""
        here = Path(self._path).resolve().name
        if self._identity is None or identity(self._sysfs / here) == self._identity:
            return self._path
        found = [node.name for node in nodes(self._sysfs) if identity(node) == self._identity]
        if len(found) != 1:
            return self._path
        log.info("camera has another number", source=self.name, now=found[0])
        return f"/dev/{found[0]}"


def identity(node: Path) -> tuple[str, ...] | None:
    """What stays the same of a camera's sysfs folder when it is plugged in again; None when it cannot be told.

    Name and index (a camera may have several nodes), and of its USB device the vendor, product and serial number.
    """
    usb = node / "device" / ".."
    name = _text(node / "name")
    if not name:
        return None
    return (name, _text(node / "index"), *(_text(usb / part) for part in ("idVendor", "idProduct", "serial")))


def nodes(sysfs: Path) -> list[Path]:
    """The video nodes of this host."""
    try:
        return sorted(sysfs.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
