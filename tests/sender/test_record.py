from __future__ import annotations

import errno
import json
from pathlib import Path

import av
import numpy as np
import pytest

from common.capture.reader import open_capture
from common.capture.records import SENT, Packet
from common.record.output import OutputFile
from common.record.rules import Rules
from common.service import ServiceError
from common.values import Size
from common.video import Frame, from_video_frame
from proto.crypto import Opener
from proto.session import SenderSession
from sender.record import Capture, FrameLog, Recorder
from tests.fakes import ManualClock


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
    with pytest.raises(ServiceError, match=r"record: .*the folder .* does not exist; create it first"):
        Recorder(nowhere, Size(64, 48), 15)


def test_a_full_disk_pauses_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 20_000
    write = OutputFile.write

    def limited(self: OutputFile, data: bytes) -> int:
        if self.written + len(data) > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(OutputFile, "write", limited)
    recorder = Recorder(tmp_path / "sent.mkv", Size(64, 48), 12.5)
    for index in range(40):
        recorder.write(index, [noise(index)])
    recorder.close()
    assert recorder.recording.pauses == 1 and recorder.recording.skipped > 20
    with av.open(str(tmp_path / "sent.mkv")) as container:  # what fitted is there
        assert sum(1 for _ in container.decode(video=0)) >= 1


def test_what_was_sent_is_captured(tmp_path: Path) -> None:
    session = SenderSession(bytes(range(32)), name="mast")
    capture = Capture(tmp_path / "sent.smc", Rules(), session, ManualClock(5.0))
    capture.writer.start()
    datagrams = session.packets(1, 7, 100.0, [b"one", b"two"])
    datagrams += session.poll(0.0, 100.0)
    capture.writer.close()
    file, reader = open_capture(tmp_path / "sent.smc")
    with file:
        packets = [record for record in reader if isinstance(record, Packet)]
    opener = Opener(bytes(range(32)))
    opened = [opener.open(datagram) for datagram in datagrams]
    assert [(p.session, p.counter, p.stream, p.body) for p in packets] == [
        (o.session, o.counter, o.stream, o.body) for o in opened
    ]
    assert {(p.origin, p.time, p.two_way) for p in packets} == {(session.origin, 5.0, False)}
    assert len(packets) == 3 and reader.start.role == SENT
