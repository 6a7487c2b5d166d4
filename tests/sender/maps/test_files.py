"""Maps from videos and images: in step with the source, in the frame's size, and clear where they cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.config import ConfigError
from common.maps.base import VOID
from common.service import EX_NOINPUT
from common.values import Size
from sender.capture import create_source
from sender.capture.base import CaptureOptions
from sender.capture.playback import Playback
from sender.maps.create import create_map_source
from sender.maps.files import MapFileError, SequenceMaps, VideoMaps, is_images, list_images
from sender.maps.legend import coding
from tests.sender.capture import clips
from tests.sender.maps.maps import FPS, SIZE, frame, numbered, write_palette, write_png, write_video

PLAIN = coding(None)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """1001.png to 1012.png, which say 0 to 11."""
    for number in range(12):
        write_png(tmp_path / f"{1001 + number}.png", numbered(number))
    return tmp_path


def _says(source: SequenceMaps | VideoMaps, index: int) -> int:
    found = source.map(frame(index))
    assert found is not None and found.labels.shape == (SIZE.height, SIZE.width)
    return int(found.labels.max())


@pytest.mark.parametrize("name", ["%04d.png", "%d.png", "*.png", ""])
def test_images_go_with_the_frames_and_begin_again(images: Path, name: str) -> None:
    source = SequenceMaps(str(images / name) if name else str(images), PLAIN, SIZE, FPS, None)
    assert [_says(source, index) for index in (0, 1, 5, 11, 12, 25, 3)] == [0, 1, 5, 11, 0, 1, 3]


def test_images_of_a_rate_of_their_own(images: Path) -> None:
    source = SequenceMaps(str(images), PLAIN, SIZE, FPS, 5.0)
    assert [_says(source, index) for index in range(6)] == [0, 0, 1, 1, 2, 2]


def test_a_still_map(tmp_path: Path) -> None:
    source = SequenceMaps(str(write_png(tmp_path / "a.png", numbered(3))), PLAIN, SIZE, FPS, None)
    assert _says(source, 0) == _says(source, 99) == 3


def test_palette_pngs_give_their_entries(tmp_path: Path) -> None:
    labels = numbered(10)
    labels[0, 0] = 11
    colours = np.random.default_rng(1).integers(0, 256, (12, 3)).astype(np.uint8)
    path = write_palette(tmp_path / "a.png", labels, colours)
    found = SequenceMaps(str(path), coding("street"), SIZE, FPS, None).map(frame(0))
    assert found is not None and found.labels[0, 0] == VOID and found.labels[20, 20] == 10


@pytest.mark.parametrize("rate", [5, 10, 20])
def test_a_video_goes_with_time_and_begins_again(tmp_path: Path, rate: int) -> None:
    path = write_video(tmp_path / "maps.mkv", [numbered(number) for number in range(10)], rate)
    source = VideoMaps(str(path), PLAIN, SIZE, FPS)
    assert [_says(source, index) for index in range(30)] == [index * rate // 10 % 10 for index in range(30)]
    assert _says(source, 2) == 2 * rate // 10  # a source that began anew
    source.close()


@pytest.mark.parametrize(("clip_rate", "session"), [(25, 10.0), (10, 25.0), (25, 25.0)])
def test_a_video_of_a_clip_stays_with_it_over_the_loop(
    tmp_path: Path, clip_rate: int, session: float
) -> None:
    """What a user has who ran a segmenter over the clip: as many maps, at the clip's rate."""
    clip = clips.write_clip(tmp_path / "clip.mkv", 20, clip_rate, SIZE.width, SIZE.height)
    maps = write_video(tmp_path / "maps.mkv", [numbered(n, 99) for n in range(20)], clip_rate)
    playback = Playback(str(clip), SIZE, loop=True)
    source = VideoMaps(str(maps), PLAIN, SIZE, session)
    for index in range(int(3.3 * 20 / clip_rate * session)):
        picture = playback.at(index / session)
        found = source.map(frame(index, fps=session))
        assert picture is not None and found is not None
        assert clips.number(picture) == found.labels.max()
    playback.close()
    source.close()


def test_a_video_in_colours(tmp_path: Path) -> None:
    read = coding("street")
    maps = [np.asarray(read.legend.colours, np.uint8)[numbered(number)] for number in range(6)]
    path = write_video(tmp_path / "maps.mkv", maps, 10, "libx264rgb", "rgb24")
    source = VideoMaps(str(path), read, SIZE, FPS)
    found = source.map(frame(4))
    assert found is not None and (found.labels == numbered(4)).mean() > 0.98
    source.close()


def test_other_sizes_are_cut_as_pictures_are(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", np.kron(numbered(3), np.ones((2, 2), np.uint8)))
    found = SequenceMaps(str(path), PLAIN, SIZE, FPS, None).map(frame(0))
    assert found is not None and (found.labels == numbered(3)).all()
    square = SequenceMaps(str(path), PLAIN, Size(48, 48), FPS, None).map(frame(0))
    assert square is not None and (square.labels == numbered(3)[:, 8:56]).all()


def test_what_cannot_be_read_is_one_error(images: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    for spec in ("none-%06d.png", "nowhere/%06d.png", "empty", "broken.png", "%d-%d.png", "x*.png"):
        with pytest.raises(MapFileError, match="maps: cannot read") as caught:
            SequenceMaps(str(tmp_path / spec), PLAIN, SIZE, FPS, None)
        assert caught.value.exit_code == EX_NOINPUT and "\n" not in str(caught.value)
    video = tmp_path / "a.mkv"
    for data in (b"", b"not a video", broken.read_bytes()):
        video.write_bytes(data)
        with pytest.raises(MapFileError, match="maps: cannot read"):
            VideoMaps(str(video), PLAIN, SIZE, FPS)


def test_a_bad_image_in_the_middle_costs_one_map(images: Path) -> None:
    (images / "1003.png").write_bytes(b"gone")
    write_png(images / "1004.png", numbered(40, 99))
    source = SequenceMaps(str(images), PLAIN, SIZE, FPS, None)
    assert _says(source, 1) == 1
    with pytest.raises(ValueError, match=r"1003\.png"):
        source.map(frame(2))
    with pytest.raises(ValueError, match=r"1004\.png: holds level 40"):
        source.map(frame(3))
    assert _says(source, 4) == 4


def test_the_order_is_that_of_the_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        write_png(tmp_path / f"m{number}.png", numbered(number))
    for spec in ("m%d.png", "*.png", "."):
        assert [path.stem for path in list_images(str(tmp_path / spec))] == ["m1", "m2", "m10"]


def test_kinds(tmp_path: Path) -> None:
    assert (
        is_images("a/%06d.png") and is_images("a/*.png") and is_images(str(tmp_path)) and is_images("a.PNG")
    )
    assert not is_images("a.mkv") and not is_images("nowhere")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.integers(0, 400))
def test_any_bytes_are_a_map_or_one_error(
    tmp_path: Path, changes: list[tuple[int, int]], length: int
) -> None:
    path = write_png(tmp_path / "a.png", numbered(3))
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data[: max(length, 1)] if length < len(data) // 2 else data)
    try:
        found = SequenceMaps(str(path), PLAIN, SIZE, FPS, None).map(frame(0))
    except MapFileError:
        return
    assert found is not None and found.labels.shape == (SIZE.height, SIZE.width)
    assert ((found.labels < len(PLAIN.legend.classes)) | (found.labels == VOID)).all()


@pytest.mark.parametrize(
    "spec", ["", "%d%d.png", "[", "a\0b", "%06d", "maps/**", "/", "~", "x" * 5000, "*" * 5000]
)
def test_any_text_is_one_error(spec: str) -> None:
    source = create_source("clip.mp4", CaptureOptions(SIZE, FPS))
    with pytest.raises((MapFileError, ConfigError)) as caught:
        create_map_source(spec, source, SIZE, FPS)
    assert "\n" not in str(caught.value)
