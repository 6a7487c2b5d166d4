"""Parts, pauses and resumption, with a clock moved by hand."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from common.record.output import OutputFile
from common.record.recording import Recording
from common.record.rules import Rules
from common.record.storage import Storage
from tests.fakes import ManualClock


class Lines:
    """Writes a line an item."""

    def __init__(self, file: OutputFile) -> None:
        self.file = file

    def add(self, text: str) -> None:
        self.file.write(text.encode() + b"\n")

    def close(self) -> None:
        self.file.write(b"end\n")


def recording(folder: Path, clock: ManualClock, **rules: float) -> Recording[Lines]:
    storage = Storage(folder / "r.txt", Rules(**rules))  # type: ignore[arg-type]
    return Recording(storage, lambda file, number: Lines(file), clock=clock, wall=lambda: 0.0)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("r*.txt"))}


def test_parts_by_time_and_size(tmp_path: Path) -> None:
    clock = ManualClock()
    one = recording(tmp_path, clock, part_seconds=10, part_bytes=12)
    for text, step in (("a", 6.0), ("b", 6.0), ("c", 0.0), ("d" * 12, 0.0), ("e", 0.0)):
        assert one.write(lambda part, text=text: part.add(text))  # type: ignore[misc]
        clock.advance(step)
    one.close()
    assert texts(tmp_path) == {
        "r-0001.txt": "a\nb\nend\n",
        "r-0002.txt": f"c\n{'d' * 12}\nend\n",
        "r-0003.txt": "e\nend\n",
    }
    assert one.files == 3 and one.bytes == sum(map(len, texts(tmp_path).values()))


def test_a_full_disk_pauses_once_and_resumes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="semcast")
    clock = ManualClock()
    one = recording(tmp_path, clock)
    full = threading.Event()

    def put(part: Lines) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        part.add("x")

    monkeypatch.setattr(one.storage, "free", lambda: 0 if full.is_set() else 1 << 40)
    assert one.write(put)
    full.set()
    for _ in range(50):
        clock.advance(0.5)
        assert not one.write(put)
    assert (one.paused, one.pauses, one.skipped) == (True, 1, 50)
    full.clear()
    clock.advance(2.5)
    assert one.write(put) and not one.paused
    one.close()
    assert list(texts(tmp_path)) == ["r-2.txt", "r.txt"]
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1 and "playback goes on" in told[0]
    again = next(record for record in caplog.records if record.getMessage() == "recording again")
    assert vars(again)["fields"] == {"file": tmp_path / "r-2.txt", "skipped": 50}


def test_the_free_space_is_watched_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, free = ManualClock(), 20_000_000
    one = recording(tmp_path, clock, free_bytes=10_000_000)
    monkeypatch.setattr(one.storage, "free", lambda: free)
    assert one.write(lambda part: part.add("x"))
    free = 9_000_000
    clock.advance(1.5)
    assert not one.write(lambda part: part.add("x"))
    free = 10_500_000  # not enough for more than a moment
    clock.advance(2.5)
    assert not one.write(lambda part: part.add("x"))
    free = 12_000_000
    clock.advance(2.5)
    assert one.write(lambda part: part.add("y"))
    one.close()
    assert texts(tmp_path) == {"r.txt": "x\nend\n", "r-2.txt": "y\nend\n"}


def test_a_medium_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    clock = ManualClock()
    one = recording(folder, clock, part_seconds=1)
    assert one.write(lambda part: part.add("x"))
    (folder / "r-0001.txt").unlink()
    folder.rmdir()
    clock.advance(1.5)
    assert not one.write(lambda part: part.add("x"))
    folder.mkdir()
    clock.advance(2.5)
    assert one.write(lambda part: part.add("z"))
    one.close()
    assert texts(folder) == {"r-0001.txt": "z\nend\n"}
