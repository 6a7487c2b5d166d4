from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from common.values import Size
from common.video import Picture, blank
from sender.capture.playback import NoPictures, Playback
from tests.sender.capture.clips import number, numbered, write_clip

SIZE = Size(64, 64)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mkv", 10, rate=10)


def shown(picture: Picture | None) -> int | None:
    return None if picture is None else number(picture)


def test_the_picture_of_a_moment(clip: Path) -> None:
    playback = Playback(str(clip), SIZE)
    assert [shown(playback.at(t)) for t in (0, 0.05, 0.1, 0.35, 0.9, 0.99, 1.01, 5)] == [
        0, 0, 1, 3, 9, 9, None, None,
    ]  # fmt: skip
    assert playback.duration == pytest.approx(1.0, abs=0.15)
    playback.close()


def test_the_right_size_comes_out_unchanged(clip: Path) -> None:
    playback = Playback(str(clip), SIZE)
    picture = playback.at(0.2)
    assert picture is not None
    assert np.array_equal(picture, numbered(2))
    playback.close()


def test_looping_goes_on_without_a_gap(clip: Path) -> None:
    playback = Playback(str(clip), SIZE, loop=True)
    assert [shown(playback.at(k / 10)) for k in range(25)] == [k % 10 for k in range(25)]
    playback.close()


def test_frames_that_come_later_than_asked_for_are_passed_over(clip: Path) -> None:
    playback = Playback(str(clip), SIZE)
    assert [shown(playback.at(k / 4)) for k in range(4)] == [0, 2, 5, 7]
    playback.close()


def test_a_clip_with_frame_reordering_plays_in_order(tmp_path: Path) -> None:
    playback = Playback(str(write_clip(tmp_path / "b.mp4", 20, codec="libx264")), SIZE)
    assert [shown(playback.at(k / 10)) for k in range(20)] == list(range(20))
    playback.close()


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(NoPictures, match="it holds no video"):
        Playback(str(path), SIZE)


def test_a_clip_cut_short_plays_what_there_is(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", 20)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    playback = Playback(str(cut), SIZE)
    numbers = [shown(playback.at(k / 10)) for k in range(20)]
    seen = [n for n in numbers if n is not None]
    assert seen == sorted(seen)
    assert 5 < len(seen) < 20
    playback.close()


IDENTITY = struct.pack("!9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
TURNED = {
    "right": struct.pack("!9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000),
    "left": struct.pack("!9i", 0, -0x10000, 0, 0x10000, 0, 0, 0, 0, 0x40000000),
    "bottom": struct.pack("!9i", -0x10000, 0, 0, 0, -0x10000, 0, 0, 0, 0x40000000),
    "top": IDENTITY,
}


@pytest.mark.parametrize("side", TURNED)
def test_the_rotation_mark_of_a_telephone_is_honoured(tmp_path: Path, side: str) -> None:
    """A clip whose upper edge is bright, with the track's display matrix turned: where is the edge now?"""

    def bright_edge(index: int, width: int, height: int) -> Picture:
        picture = blank(width, height)
        picture[: height // 4] = 235
        return picture

    path = write_clip(tmp_path / "phone.mp4", 2, width=96, codec="libx264", picture=bright_edge)
    content = path.read_bytes()
    at = content.index(IDENTITY, content.index(b"tkhd"))
    path.write_bytes(content[:at] + TURNED[side] + content[at + len(IDENTITY) :])
    playback = Playback(str(path), SIZE)
    picture = playback.at(0)
    playback.close()
    assert picture is not None
    luma = picture[:64].astype(float)
    means = {"top": luma[:8], "bottom": luma[-8:], "left": luma[:, :8], "right": luma[:, -8:]}
    assert max(means, key=lambda name: float(means[name].mean())) == side
