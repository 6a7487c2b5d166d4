"""Lists of files: what they name, in which order, and how they play."""

from __future__ import annotations

import logging
import threading
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.values import Size
from sender.capture import create_source
from sender.capture.base import CaptureOptions, SourceError
from sender.capture.file import FileSource
from sender.capture.playlist import MAX_BYTES, MAX_ENTRIES, entries, local_path, natural, read_entries
from sender.capture.reel import ListSource
from tests.sender.capture.clips import number, numbered, write_clip

FAST = CaptureOptions(Size(64, 64), 20.0)


def clip(folder: Path, name: str, first: int, frames: int = 3, rate: int = 10, width: int = 64) -> Path:
    """A short one, of pictures that count from `first`."""
    return write_clip(
        folder / name, frames, rate, width, picture=lambda index, w, h: numbered(first + index, w, h)
    )


def told(source: str, options: CaptureOptions = FAST) -> tuple[list[int], list[int], ListSource]:
    """(numbers shown, slots, the source) of a whole run."""
    made = create_source(source, options)
    assert isinstance(made, ListSource)
    frames = list(made.frames(threading.Event()))
    return [number(frame.picture) for frame in frames], [frame.index for frame in frames], made


def test_a_list_is_read_line_by_line(tmp_path: Path) -> None:
    data = "\ufeff#EXTM3U\r\n#EXTINF:3,One\r\none.mp4\r\n\r\n  sub/two.mp4  \n/abs/three.mp4\nfile:///four%20.mp4"
    assert entries(data.encode(), tmp_path) == [
        str(tmp_path / "one.mp4"),
        str(tmp_path / "sub/two.mp4"),
        "/abs/three.mp4",
        "file:///four%20.mp4",
    ]
    assert entries("é.mp4".encode("latin-1"), tmp_path) == [str(tmp_path / "é.mp4")]
    assert local_path("file:///four%20.mp4") == "/four .mp4"
    for bad in ("http://host/clip.mp4", "a\0b", "file://[/x"):
        with pytest.raises(ValueError):
            local_path(bad)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_list(data: bytes) -> None:
    for entry in entries(data, Path("/clips")):
        assert entry and "\n" not in entry
        try:
            local_path(entry)
        except ValueError as error:
            assert str(error)


def test_numbers_in_names_count() -> None:
    assert sorted(["clip10", "clip2", "a", "clip2b"], key=natural) == ["a", "clip2", "clip2b", "clip10"]


@given(st.lists(st.text(), max_size=5))
def test_any_names_sort(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural), key=natural) == sorted(names, key=natural)


def test_files_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    clip(tmp_path, "a.mkv", 0)
    clip(tmp_path, "b.mkv", 10, rate=20, width=96)
    clip(tmp_path, "c.mkv", 20, frames=2)
    (tmp_path / "list.m3u").write_text("a.mkv\nb.mkv\nc.mkv\n")
    shown, slots, source = told(str(tmp_path / "list.m3u"))
    whole = [0, 0, 1, 1, 2, 2, 10, 11, 12, 20, 20, 21, 21]
    assert shown == [whole[slot] for slot in slots]
    assert slots[-1] >= len(whole) - 3 and len(slots) + source.stats.skipped >= len(whole) - 2
    assert not source.stats.connected and source.stats.broken == 0


def test_what_cannot_be_played_is_passed_over_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip(tmp_path, "a.mkv", 0, frames=2)
    (tmp_path / "broken.mp4").write_bytes(b"nothing of this is video")
    (tmp_path / "list.txt").write_text("broken.mp4\na.mkv\nmissing.mp4\nhttp://127.0.0.1:1/x.mp4\n")
    source = create_source(str(tmp_path / "list.txt"), CaptureOptions(Size(64, 64), 20.0, loop=True))
    with caplog.at_level(logging.WARNING, "semcast"):
        frames = list(islice(source.frames(threading.Event()), 12))
    assert {number(frame.picture) for frame in frames} == {0, 1}
    assert source.stats.broken >= 6
    warned = [record.__dict__["fields"]["entry"] for record in caplog.records]
    assert warned == [
        str(tmp_path / "broken.mp4"),
        str(tmp_path / "missing.mp4"),
        "http://127.0.0.1:1/x.mp4",
    ]


def test_a_file_that_breaks_off_goes_over_to_the_next(tmp_path: Path) -> None:
    whole = clip(tmp_path, "a.mp4", 0, frames=20, rate=20)
    cut = whole.read_bytes()
    whole.write_bytes(cut[: cut.index(b"mdat") + 300] + bytes(2000))
    clip(tmp_path, "b.mkv", 25, frames=2)
    (tmp_path / "list.txt").write_text("a.mp4\nb.mkv")
    shown, _, _ = told(str(tmp_path / "list.txt"))
    assert shown[-1] in (25, 26)


def test_a_list_that_grows_while_it_loops(tmp_path: Path) -> None:
    clip(tmp_path, "a.mkv", 0, frames=2)
    clip(tmp_path, "b.mkv", 10, frames=2)
    path = tmp_path / "list.txt"
    path.write_text("a.mkv")
    source = create_source(str(path), CaptureOptions(Size(64, 64), 20.0, loop=True))
    seen: list[int] = []
    for frame in source.frames(threading.Event()):
        seen.append(number(frame.picture))
        path.write_text("a.mkv\nb.mkv")
        if seen[-1] == 11 or len(seen) > 60:
            break
    assert seen[-1] == 11 and 0 in seen


def test_a_pattern_plays_what_matches_in_natural_order(tmp_path: Path) -> None:
    clip(tmp_path, "clip10.mkv", 20, frames=2)
    clip(tmp_path, "clip2.mkv", 10, frames=2)
    (tmp_path / "clip3.mkv").mkdir()
    (tmp_path / "clip1.txt").write_text("not this")
    shown, _, _ = told(str(tmp_path / "clip*.mkv"))
    assert [n for i, n in enumerate(shown) if i == 0 or shown[i - 1] != n] == [10, 11, 20, 21]


def test_names_that_only_look_like_patterns_or_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "take[1].mkv"
    odd.touch()
    assert type(create_source(str(odd), FAST)) is FileSource
    hls = tmp_path / "stream.m3u8"
    hls.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg0.ts\n")
    assert type(create_source(str(hls), FAST)) is FileSource
    clip(tmp_path, "a.mkv", 0)
    monkeypatch.chdir(tmp_path)
    assert read_entries("*.mkv") == ["a.mkv", "take[1].mkv"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file or directory"),
        ("", "it names no file; write a path a line"),
        ("# nothing\n\n", "it names no file"),
        ("x.mp4\ny.mp4", "none of its 2 files can be played"),
        ("x" * (MAX_BYTES + 1), "not a list of files"),
    ],
)
def test_nothing_to_play_is_one_clear_error(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "list.m3u"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceError, match=told) as caught:
        list(create_source(str(path), FAST).frames(threading.Event()))
    assert str(caught.value).startswith(f"source: cannot play {path}: ")
    assert caught.value.exit_code == 66


def test_a_pattern_without_a_match_and_a_list_without_bounds(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot play .*: no file matches"):
        list(create_source(str(tmp_path / "*.mp4"), FAST).frames(threading.Event()))
    with pytest.raises(SourceError, match="cannot play"):
        list(create_source("**x/*.mp4", FAST).frames(threading.Event()))
    assert len(entries(b"a\n" * (MAX_ENTRIES + 5), tmp_path)) == MAX_ENTRIES
