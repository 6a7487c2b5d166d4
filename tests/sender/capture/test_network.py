"""A camera on the network, played by a thread that sends MPEG-TS over UDP, goes away and comes back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import pytest

from common.values import Size
from common.video import to_video_frame
from sender.capture.base import CaptureOptions
from sender.capture.timing import Backoff
from sender.capture.url import UrlSource
from tests.sender.capture.clips import numbered

FPS = 20


class Camera:
    """Sends while `on` is set."""

    def __init__(self, port: int) -> None:
        self.on = threading.Event()
        self.ended = threading.Event()
        self.port = port
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.on.set()
        self._thread.join()

    def _run(self) -> None:
        while self.on.wait() and not self.ended.is_set():
            with av.open(f"udp://127.0.0.1:{self.port}?pkt_size=1316", "w", format="mpegts") as container:
                stream = container.add_stream("mpeg2video", rate=FPS)
                stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
                stream.codec_context.gop_size = 5
                index = 0
                while self.on.is_set() and not self.ended.is_set():
                    frame = to_video_frame(numbered(index % 8), index, Fraction(1, FPS))
                    container.mux(stream.encode(frame))
                    index += 1
                    time.sleep(1 / FPS)


@pytest.fixture
def camera() -> Iterator[Camera]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Camera(port) as camera:
        yield camera


def test_a_camera_that_goes_away_and_comes_back(camera: Camera) -> None:
    options = CaptureOptions(
        Size(64, 64), FPS, timeout=0.5, ffmpeg=(("analyzeduration", "300000"), ("probesize", "20000"))
    )
    source = UrlSource(f"udp://127.0.0.1:{camera.port}", options)
    source.backoff = Backoff(0.05, 0.2)
    stop = threading.Event()
    arrived: list[float] = []

    def read() -> None:
        for frame in source.frames(stop):
            assert frame.picture.shape == (96, 64)
            arrived.append(time.monotonic())

    thread = threading.Thread(target=read)
    camera.on.set()
    thread.start()
    try:
        wait_for(lambda: len(arrived) >= 10)
        camera.on.clear()
        wait_for(lambda: source.stats.reconnects >= 1)
        wait_for(lambda: not source.stats.connected)
        before = len(arrived)
        camera.on.set()
        wait_for(lambda: len(arrived) >= before + 10)
        wait_for(lambda: source.stats.connected)
    finally:
        stop.set()
        camera.on.set()
        thread.join(20)
    assert not thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Until `condition()` holds."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.02)
