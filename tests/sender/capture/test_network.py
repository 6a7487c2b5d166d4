"""Cameras on the network (MPEG-TS over UDP, JPEGs over HTTP) that go away and come back."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av
import pytest

from common.values import Size
from common.video import to_video_frame
from sender.capture.base import CaptureOptions
from sender.capture.timing import Backoff
from sender.capture.url import UrlSource
from tests.ports import free_port
from tests.sender.capture.clips import numbered
from tests.waiting import wait_until

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
    with Camera(free_port()) as camera:
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
        wait_until(lambda: len(arrived) >= 10)
        camera.on.clear()
        wait_until(lambda: source.stats.reconnects >= 1)
        wait_until(lambda: not source.stats.connected)
        before = len(arrived)
        camera.on.set()
        wait_until(lambda: len(arrived) >= before + 10)
        wait_until(lambda: source.stats.connected)
    finally:
        stop.set()
        camera.on.set()
        thread.join(20)
    assert not thread.is_alive()


class Pictures(http.server.BaseHTTPRequestHandler):
    """A network camera that sends JPEGs over HTTP, as many cheap ones do."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        coder = av.CodecContext.create("mjpeg", "w")
        assert isinstance(coder, av.VideoCodecContext)
        coder.width, coder.height, coder.pix_fmt, coder.time_base = 64, 64, "yuvj420p", Fraction(1, FPS)
        index = 0
        with contextlib.suppress(OSError):
            while not getattr(self.server, "ended", threading.Event()).wait(1 / FPS):
                frame = to_video_frame(numbered(index % 8), index, Fraction(1, FPS)).reformat(
                    format="yuvj420p"
                )
                for packet in coder.encode(frame):
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {packet.size}\r\n\r\n"
                    self.wfile.write(head.encode() + bytes(packet) + b"\r\n")
                index += 1

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def http_camera(port: int) -> Iterator[int]:
    """A camera at a port (0: any), until it is switched off."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Pictures) as server:
        server.ended = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.ended.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()


def test_an_http_camera_that_is_switched_off_and_on() -> None:
    with http_camera(0) as port:
        options = CaptureOptions(Size(64, 64), FPS, pace="live", timeout=2.0)
        source = UrlSource(f"http://127.0.0.1:{port}/", options)
        source.backoff = Backoff(0.05, 0.2)
        stop = threading.Event()
        arrived: list[int] = []

        def read() -> None:
            for frame in source.frames(stop):
                arrived.append(frame.index)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            wait_until(lambda: len(arrived) >= 5)
        except BaseException:
            stop.set()
            raise
    try:
        wait_until(lambda: source.stats.reconnects >= 1 and not source.stats.connected)
        before = len(arrived)
        with http_camera(port):
            wait_until(lambda: len(arrived) >= before + 5)
            wait_until(lambda: source.stats.connected)
            stop.set()
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert arrived == list(range(len(arrived)))
