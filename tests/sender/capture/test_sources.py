"""The sources at work: pace, loop, what is not there, and what goes away."""

from __future__ import annotations

import functools
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av
import pytest

from common.values import Size
from common.video import Frame
from sender.capture import create_source
from sender.capture.base import CaptureOptions, SourceError
from sender.capture.device import DeviceSource
from sender.capture.file import FileSource
from sender.capture.generated import SyntheticSource
from sender.capture.live import LiveSource
from sender.capture.screen import ScreenSource
from sender.capture.timing import Backoff
from sender.capture.url import UrlSource, is_live
from tests.sender.capture.clips import number, numbered, write_clip

OPTIONS = CaptureOptions(Size(64, 64), 10.0)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mkv", 6, rate=10)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("synthetic", SyntheticSource),
        ("synthetic:7", SyntheticSource),
        ("/dev/video0", DeviceSource),
        (":0.0", ScreenSource),
        ("screen", ScreenSource),
        ("screen:1.0+10,20", ScreenSource),
        ("rtsp://camera/1", UrlSource),
        ("http://host/clip.mp4", UrlSource),
        ("file:///a%20b.mp4", FileSource),
        ("clip.mp4", FileSource),
        ("synthetic.mp4", FileSource),
    ],
)
def test_the_text_chooses_the_kind(text: str, kind: type) -> None:
    assert type(create_source(text, OPTIONS)) is kind


def test_a_plain_file_below_dev_is_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: str(path) == "/dev/shm/clip.mp4")
    assert type(create_source("/dev/shm/clip.mp4", OPTIONS)) is FileSource


def test_a_file_is_played_in_real_time(clip: Path) -> None:
    source = create_source(str(clip), OPTIONS)
    begun = time.time()
    frames = list(source.frames(threading.Event()))
    took = time.time() - begun
    assert [number(frame.picture) for frame in frames] == [frame.index for frame in frames]
    assert len(frames) + source.stats.skipped == 6
    assert 0.45 < took < 2
    times = [frame.captured_at - frames[0].captured_at for frame in frames]
    assert times == pytest.approx([frame.index / 10 for frame in frames], abs=0.03)
    assert begun - 0.01 <= frames[0].captured_at <= time.time()


def test_a_file_loops(clip: Path) -> None:
    source = create_source(str(clip), CaptureOptions(Size(64, 64), 20.0, loop=True))
    frames = list(islice(source.frames(threading.Event()), 26))
    assert [number(frame.picture) for frame in frames] == [frame.index // 2 % 6 for frame in frames]
    assert frames[-1].index >= 25


def test_a_file_ends_soon_after_stop(clip: Path) -> None:
    source = create_source(str(clip), CaptureOptions(Size(64, 64), 1.0, loop=True))
    stop = threading.Event()
    frames = source.frames(stop)
    next(frames)
    threading.Timer(0.1, stop.set).start()
    begun = time.monotonic()
    assert list(frames) == []
    assert time.monotonic() - begun < 0.8


def test_a_late_capture_skips_and_counts(clip: Path) -> None:
    source = create_source(str(clip), OPTIONS)
    frames = source.frames(threading.Event())
    next(frames)
    time.sleep(0.34)
    late = next(frames)
    assert late.index == number(late.picture) == 3
    assert source.stats.skipped == 2


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("/nowhere/clip.mp4", "source: cannot play /nowhere/clip.mp4: No such file or directory"),
        (__file__, f"source: cannot play {__file__}: Invalid data found when processing input"),
        ("/dev/video97", "source: cannot open /dev/video97: No such file or directory; `ls /dev/video"),
        (":97", "source: cannot open :97: Input/output error; is an X server running at :97"),
        ("nonsense://x", "source: cannot open nonsense://x: Protocol not found"),
        ("synthetic:x", "source: synthetic:x: the seed must be a whole number"),
    ],
)
def test_what_is_not_there_is_one_clear_error(source: str, text: str) -> None:
    with pytest.raises(SourceError) as caught:
        list(create_source(source, OPTIONS).frames(threading.Event()))
    assert str(caught.value).startswith(text)
    assert caught.value.exit_code == 66


def test_synthetic_frames_come_in_real_time() -> None:
    source = create_source("synthetic:3", CaptureOptions(Size(64, 64), 50.0))
    begun = time.monotonic()
    frames = list(islice(source.frames(threading.Event()), 11))
    assert time.monotonic() - begun > 0.19
    assert frames[0].picture.shape == (96, 64)
    assert source.stats.frames == 11


def test_the_screen_is_given_to_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ScreenSource("screen+10,20", OPTIONS)
    assert source.url.endswith("+10,20")
    assert (source.format, source.ffmpeg["framerate"]) == ("x11grab", "10")
    monkeypatch.setenv("DISPLAY", ":5")
    assert ScreenSource("screen", OPTIONS).url == ":5"
    assert ScreenSource(":2.1", OPTIONS).url == ":2.1"


def test_options_reach_ffmpeg_and_win() -> None:
    options = CaptureOptions(Size(64, 64), 10.0, ffmpeg=(("framerate", "25"), ("video_size", "640x480")))
    source = DeviceSource("/dev/video0", options)
    assert source.ffmpeg == {"framerate": "25", "video_size": "640x480"}


def test_how_urls_are_paced() -> None:
    assert is_live("RTSP://camera/1", "auto")
    assert not is_live("https://host/clip.mp4", "auto")
    assert is_live("https://camera/mjpeg", "live")
    assert not is_live("udp://:5000", "media")
    assert UrlSource("rtsp://u:p@camera/1", OPTIONS).name == "rtsp://***@camera/1"
    assert UrlSource("rtsp://camera/1", OPTIONS).ffmpeg["rtsp_transport"] == "tcp"


@pytest.fixture
def web(clip: Path) -> Iterator[str]:
    """The clip over HTTP."""
    handler = functools.partial(_Quiet, directory=str(clip.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_a_recording_over_http_is_paced_and_ends(web: str) -> None:
    begun = time.monotonic()
    frames = list(create_source(f"{web}/clip.mkv", OPTIONS).frames(threading.Event()))
    assert [number(frame.picture) for frame in frames] == [frame.index for frame in frames]
    assert frames[-1].index == 5
    assert time.monotonic() - begun > 0.45


def test_a_url_that_is_not_there_is_waited_for(web: str, clip: Path) -> None:
    source = UrlSource(f"{web}/later.mkv", OPTIONS)
    source.backoff = Backoff(0.05, 0.1)
    threading.Timer(0.4, lambda: clip.rename(clip.parent / "later.mkv")).start()
    frames = list(source.frames(threading.Event()))
    assert [number(frame.picture) for frame in frames] == [frame.index for frame in frames]
    assert len(frames) > 0
    assert source.stats.reconnects >= 2
    assert not source.stats.connected


def test_a_url_that_never_comes_ends_on_stop() -> None:
    source = UrlSource("http://127.0.0.1:1/x", OPTIONS)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    assert list(source.frames(stop)) == []
    assert time.monotonic() - begun < 3


class Flaky(LiveSource):
    """A camera whose connections are given as functions."""

    def __init__(self, *connections: Callable[[], Iterator[Frame]], must_exist: bool = True) -> None:
        super().__init__("flaky", OPTIONS, url="none", must_exist=must_exist)
        self.backoff = Backoff(0.01, 0.02)
        self.remaining = list(connections)

    def connection(self, stop: threading.Event) -> Iterator[Frame]:
        self.finished = len(self.remaining) == 1
        return self.remaining.pop(0)()


def _frames(*numbers: int) -> Callable[[], Iterator[Frame]]:
    return lambda: iter([Frame(numbered(n), float(n), n) for n in numbers])


def _broken() -> Iterator[Frame]:
    raise av.error.FFmpegError(5, "Input/output error")


def test_a_camera_that_is_unplugged_is_opened_again() -> None:
    source = Flaky(_frames(0, 1), _broken, _broken, _frames(2, 3))
    assert [frame.index for frame in source.frames(threading.Event())] == [0, 1, 2, 3]
    assert source.stats.reconnects == 3


def test_a_device_must_be_there_at_the_start() -> None:
    with pytest.raises(SourceError, match="source: cannot open flaky: Input/output error"):
        list(Flaky(_broken, _frames(0)).frames(threading.Event()))


def test_a_live_stream_is_taken_as_it_comes(tmp_path: Path) -> None:
    """A pipe that is fed in real time stands for a camera; its end counts as a loss of the source."""
    clip = write_clip(tmp_path / "live.mkv", 5)
    source = LiveSource("live", OPTIONS, url=str(clip), must_exist=True)
    stop = threading.Event()
    frames = source.frames(stop)
    first = next(frames)
    assert first.picture.shape == (96, 64)
    assert abs(first.captured_at - time.time()) < 5
    stop.set()
    assert list(frames) == []
    assert not source.stats.connected
