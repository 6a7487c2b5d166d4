"""The thread that writes: nothing blocks, what is missing is said, a kill costs nothing that was written."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import pytest

from common.capture import writer as module
from common.capture.reader import Reader, open_capture
from common.capture.records import CLOSED, NEXT_PART, RECEIVED, Dropped, Packet, Record, Steps
from common.capture.writer import CaptureWriter
from common.record.output import OutputFile
from common.record.rules import Rules
from common.service import ServiceError
from tests.common.capture.samples import packet


def read(path: Path) -> tuple[list[Record], Reader]:
    file, reader = open_capture(path)
    with file:
        return list(reader), reader


def wait(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_order_mode_and_end(tmp_path: Path) -> None:
    path = tmp_path / "a.smc"
    writer = CaptureWriter(path, RECEIVED, Rules(), lambda: 50.0)
    writer.start()
    writer.step(1.0)
    writer.step(2.0)
    writer.put(packet(0, 2.5))
    writer.step(3.0)
    # As a kill would find it.
    wait(lambda: path.exists() and path.stat().st_size > 100)
    assert packet(0, 2.5) in read(path)[0] and read(path)[1].ended is None
    writer.close()
    records, reader = read(path)
    assert records[:3] == [Steps((1.0, 2.0)), packet(0, 2.5), Steps((3.0,))]
    assert reader.ended is not None and reader.ended.reason == CLOSED
    assert path.stat().st_mode & 0o777 == 0o600
    assert (writer.records, writer.dropped) == (3, 0)


def test_parts_follow_each_other(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "a.smc", RECEIVED, Rules(part_bytes=2000), lambda: 50.0)
    writer.start()
    for number in range(40):
        writer.put(packet(number, 50.0 + number, bytes(200)))
        wait(lambda: not writer._queue)
    writer.close()
    paths = sorted(tmp_path.glob("a-*.smc"))
    readers = [read(path) for path in paths]
    assert len(paths) > 2
    assert [reader.start.part for _, reader in readers] == list(range(len(paths)))
    assert len({reader.start.run for _, reader in readers}) == 1
    assert [r.ended.reason for _, r in readers if r.ended][:-1] == [NEXT_PART] * (len(paths) - 1)
    counters = [r.counter for records, _ in readers for r in records if isinstance(r, Packet)]
    assert counters == list(range(40))


def test_a_disk_that_hangs_drops_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, write = threading.Event(), OutputFile.write

    def slow(self: OutputFile, data: bytes) -> int:
        gate.wait(20)
        return write(self, data)

    monkeypatch.setattr(OutputFile, "write", slow)
    monkeypatch.setattr(module, "QUEUE_BYTES", 20_000)
    writer = CaptureWriter(tmp_path / "a.smc", RECEIVED, Rules())
    writer.start()
    for number in range(200):
        writer.put(packet(number, 50.0 + number, bytes(1000)))
    assert writer.dropped > 150
    gate.set()
    wait(lambda: not writer._queue)
    writer.put(packet(500, 999.0))
    writer.close()
    records, _ = read(tmp_path / "a.smc")
    assert sum(r.records for r in records if isinstance(r, Dropped)) == writer.dropped
    kept = [r.counter for r in records if isinstance(r, Packet)]
    assert len(kept) + writer.dropped == 201 and kept[-1] == 500
    assert isinstance(records[records.index(packet(500, 999.0)) - 1], Dropped)


def test_a_full_disk_leaves_a_file_that_reads_and_goes_on_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, write = threading.Event(), OutputFile.write
    monkeypatch.setattr("common.record.recording.RETRY_S", 0.0)

    def limited(self: OutputFile, data: bytes) -> int:
        if full.is_set():
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(OutputFile, "write", limited)
    writer = CaptureWriter(tmp_path / "a.smc", RECEIVED, Rules())
    writer.start()
    for number in range(30):
        if number == 10:
            full.set()
        if number == 20:
            full.clear()
        writer.put(packet(number, 50.0 + number))
        wait(lambda: not writer._queue)
        time.sleep(0.005)
    writer.close()
    whole = [read(path) for path in sorted(tmp_path.glob("a*.smc"))]
    counters = [r.counter for records, _ in whole for r in records if isinstance(r, Packet)]
    assert set(range(10)) <= set(counters) and 29 in counters and len(counters) < 30
    assert writer.recording.pauses >= 1 and writer.dropped == 30 - len(counters)
    missing = sum(r.records for records, _ in whole for r in records if isinstance(r, Dropped))
    assert missing == writer.dropped


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="create it first") as caught:
        CaptureWriter(tmp_path / "absent" / "a.smc", RECEIVED, Rules())
    assert caught.value.exit_code == 73
