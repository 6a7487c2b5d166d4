from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from common.service import ServiceError
from common.values import Size
from common.video import Frame, from_video_frame
from sender.record import FrameLog, Recorder


def noise(index: int) -> Frame:
    picture = np.random.default_rng(index).integers(0, 256, (72, 64)).astype(np.uint8)
    return Frame(picture, 1000.0 + index / 12.5, index)


def test_the_recording_is_lossless_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "sent.mkv"
    frames = [noise(index) for index in range(8)]
    recorder = Recorder(path, Size(64, 48), 12.5)
    recorder.write(0, frames[:4])
    recorder.write(1, frames[4:])
    recorder.close()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "ffv1"
        read = list(container.decode(stream))
    assert len(read) == 8
    for index, frame in enumerate(read):
        assert np.array_equal(from_video_frame(frame), frames[index].picture)
        assert frame.time == pytest.approx(index / 12.5, abs=1e-3)


def test_the_frame_log_has_a_line_for_each_frame(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    log = FrameLog(path)
    log.write(7, [noise(28), noise(29)])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    log.close()
    assert lines == [
        {"unit": 7, "offset": 0, "index": 28, "captured_at": 1002.24},
        {"unit": 7, "offset": 1, "index": 29, "captured_at": 1002.32},
    ]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    nowhere = tmp_path / "absent" / "file"
    with pytest.raises(
        ServiceError, match=r"frame_log: cannot write .*: No such file or directory"
    ) as caught:
        FrameLog(nowhere)
    assert caught.value.exit_code == 73
    with pytest.raises(ServiceError, match=r"record: cannot write .*: No such file or directory"):
        Recorder(nowhere, Size(64, 48), 15)


def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    recorder = Recorder(Path("/dev/full"), Size(64, 48), 12.5)
    with pytest.raises(OSError, match="No space left"):
        for index in range(200):
            recorder.write(index, [noise(index)])
    with pytest.raises(OSError, match="No space left"):
        recorder.close()
