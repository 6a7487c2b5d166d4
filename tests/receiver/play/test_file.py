"""Recordings: complete after a clean end, playable after a kill."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from receiver.play.base import SignalState, SinkError
from receiver.play.file import FileSink
from receiver.play.mark import mark
from tests.receiver.play.pictures import shown
from tests.waiting import until


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


async def record(path: Path, numbers: list[int], copy_to: Path | None = None) -> FileSink:
    sink = FileSink(path)
    await sink.start()
    for number in numbers:
        sink.show(shown(number, 128, 128))
        await until(lambda: len(sink._queue) == 0)
    if copy_to is not None:
        shutil.copy(path, copy_to)
    await sink.close()
    return sink


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
async def test_every_picture_is_there_at_its_tick(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = await record(path, list(range(7, 52)))
    assert sink.dropped == 0
    frames = decoded(path)
    assert len(frames) == 45
    assert frames[0].time == 0.0
    assert frames[44].time == pytest.approx(44 / 15, abs=0.002)
    difference = frames[20].to_ndarray(format="yuv420p").astype(int) - shown(27, 128, 128).picture
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
async def test_dropped_pictures_leave_a_gap_in_time(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    await record(path, [0, 1, 2, 9, 10])
    times = [frame.time for frame in decoded(path)]
    assert times[3] == pytest.approx(9 / 15, abs=0.002)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
async def test_a_killed_recording_plays(tmp_path: Path, suffix: str) -> None:
    cut = tmp_path / f"cut{suffix}"
    await record(tmp_path / f"out{suffix}", list(range(95)), copy_to=cut)
    assert len(decoded(cut)) >= 60


async def test_a_sender_that_restarts_with_another_size_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    sink = FileSink(path)
    await sink.start()
    sink.show(shown(0, 128, 128))
    await until(lambda: len(sink._queue) == 0)
    sink.show(shown(1, 64, 48))
    await sink.close()
    assert [(frame.width, frame.height) for frame in decoded(path)] == [(128, 128)] * 2


async def test_impossible_files_are_refused_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"\.mp4 or \.mkv"):
        FileSink(tmp_path / "out.avi")
    with pytest.raises(SinkError, match="does not exist; create it"):
        await FileSink(tmp_path / "no" / "out.mp4").start()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(SinkError, match="cannot be written"):
        await FileSink(tmp_path / "folder.mp4").start()


async def test_closing_without_a_picture_leaves_no_broken_state(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4")
    await sink.start()
    await sink.close()
    assert sink.ended


async def test_a_restart_keeps_the_recordings_before(tmp_path: Path) -> None:
    paths = [(await record(tmp_path / "out.mkv", list(range(5)))).path.name for _ in range(3)]
    assert paths == ["out.mkv", "out-2.mkv", "out-3.mkv"]
    assert all(len(decoded(tmp_path / name)) == 5 for name in paths)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_lost_signal_is_marked_in_the_recording(tmp_path: Path, wanted: bool) -> None:
    sink = FileSink(tmp_path / "out.mkv", wanted)
    await sink.start()
    lost = dataclasses.replace(shown(0, 128, 128, SignalState.LOST), silence=7.0)
    sink.show(lost)
    await until(lambda: len(sink._queue) == 0)
    await sink.close()
    [frame] = decoded(sink.path)
    expected = mark(lost.picture, 7.0) if wanted else lost.picture
    assert np.abs(frame.to_ndarray(format="yuv420p").astype(int) - expected).mean() < 3
