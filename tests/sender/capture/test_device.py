"""A camera that is unplugged, comes back under another number, or is not there yet: by a fake where PyAV opens it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from common.values import Size
from common.video import to_video_frame
from sender.capture import live
from sender.capture.base import CaptureOptions, SourceError
from sender.capture.device import DeviceSource, identity
from sender.capture.timing import Backoff
from tests.sender.capture.clips import number, numbered

OPTIONS = CaptureOptions(Size(64, 64), 10.0)
GONE = av.error.FFmpegError(19, "No such device")
ABSENT = av.error.FileNotFoundError(2, "No such file or directory")
BUSY = av.error.FFmpegError(16, "Device or resource busy")


class Bus:
    """Cameras that FFmpeg would open. Each plug is a list of pictures' numbers, then the error that ends it."""

    def __init__(self, sysfs: Path) -> None:
        self.sysfs = sysfs
        self.plugs: list[tuple[list[int], Exception]] = []
        self.opened: list[str] = []
        self.closed = 0

    def node(self, name: str, camera: str = "Webcam", index: str = "0", serial: str = "A1") -> None:
        """A node appears."""
        usb = self.sysfs.parent / f"usb-{name}"
        (usb / "interface").mkdir(parents=True)
        (usb / "serial").write_text(serial + "\n")
        (usb / "idVendor").write_text("046d\n")
        folder = self.sysfs / name
        folder.mkdir(parents=True)
        (folder / "name").write_text(camera + "\n")
        (folder / "index").write_text(index + "\n")
        (folder / "device").symlink_to(usb / "interface")

    def move(self, old: str, new: str) -> None:
        """The same camera gets another number."""
        (self.sysfs / old).rename(self.sysfs / new)

    def open(self, url: str, format: str, options: object, timeout: object) -> Any:
        assert format == "v4l2"
        self.opened.append(url)
        pictures, error = self.plugs.pop(0)
        if not pictures:
            raise error
        return _Container(self, pictures, error)


class _Container:
    def __init__(self, bus: Bus, pictures: list[int], error: Exception) -> None:
        self._bus, self.pictures, self.error = bus, pictures, error

    def close(self) -> None:
        self._bus.closed += 1


class _Stream:
    width = height = 64


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus(tmp_path / "video4linux")

    def pictures(container: _Container, stream: object, sound: object, live: bool) -> Iterator[av.VideoFrame]:
        for value in container.pictures:
            yield to_video_frame(numbered(value))
        raise container.error

    monkeypatch.setattr(live, "open_input", bus.open)
    monkeypatch.setattr(live, "video_stream", lambda container: _Stream())
    monkeypatch.setattr(live, "pixel_aspect", lambda stream: None)
    monkeypatch.setattr(live, "decoded", pictures)
    return bus


def camera(bus: Bus, options: CaptureOptions = OPTIONS, path: str = "/dev/video0") -> DeviceSource:
    """Each picture comes a tenth of a second after the last, so that the cadence keeps all of them."""
    source = DeviceSource(path, options, bus.sysfs)
    source.backoff = Backoff(0.01, 0.02)
    times = iter(range(10_000))
    source.clock = lambda: next(times) // 2 / 10
    return source


def taken(
    bus: Bus, options: CaptureOptions = OPTIONS, path: str = "/dev/video0"
) -> tuple[list[int], DeviceSource]:
    """What is shown until the plugs are used up."""
    source = camera(bus, options, path)
    stop = threading.Event()
    shown = []
    for frame in source.frames(stop):
        shown.append(number(frame.picture))
        if not bus.plugs and shown[-1] == 9:
            stop.set()
    return shown, source


def test_unplugged_absent_busy_and_back(bus: Bus) -> None:
    bus.plugs = [
        ([1, 2], GONE),
        ([], ABSENT),
        ([], BUSY),
        ([3], OSError(5, "Input/output error")),
        ([9], GONE),
    ]
    shown, source = taken(bus)
    assert sorted(set(shown)) == [1, 2, 3, 9]
    assert source.stats.reconnects == 4 and not source.stats.connected
    assert bus.closed == 3 and set(bus.opened) == {"/dev/video0"}


def test_the_same_camera_is_found_under_another_number(bus: Bus) -> None:
    bus.node("video0")
    bus.node("video1", index="1")  # the same camera's node for metadata
    bus.node("video5", serial="B2")  # another of the same make
    bus.plugs = [([1], GONE), ([9], GONE)]
    source = camera(bus)
    stop = threading.Event()
    for frame in source.frames(stop):
        if number(frame.picture) == 1:
            bus.move("video0", "video2")
        else:
            stop.set()
    assert bus.opened == ["/dev/video0", "/dev/video2"]


def test_cameras_that_cannot_be_told_apart_are_left_alone(bus: Bus) -> None:
    for name in ("video0", "video3", "video4"):
        bus.node(name)
    source = DeviceSource("/dev/video0", OPTIONS, bus.sysfs)
    source._identity = identity(bus.sysfs / "video0")
    bus.move("video0", "video7")
    assert source._present_path() == "/dev/video0"
    assert identity(bus.sysfs / "video9") is None


def test_a_camera_by_id_is_opened_by_that_name(bus: Bus, tmp_path: Path) -> None:
    bus.node("video0")
    by_id = tmp_path / "usb-Webcam-index0"
    by_id.symlink_to("/dev/video0")
    bus.plugs = [([1], GONE), ([9], GONE)]
    taken(bus, path=str(by_id))
    assert bus.opened == [str(by_id)] * 2


def test_a_camera_that_is_not_there_at_the_start(bus: Bus) -> None:
    bus.plugs = [([], ABSENT)]
    with pytest.raises(SourceError, match=r"cannot open /dev/video0: No such file.*--capture\.wait"):
        taken(bus)
    bus.plugs = [([], ABSENT), ([], ABSENT), ([9], GONE)]
    shown, source = taken(bus, CaptureOptions(Size(64, 64), 10.0, wait=True))
    assert set(shown) == {9} and source.stats.reconnects == 2
