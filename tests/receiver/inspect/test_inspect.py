"""Known captures, and what is told of them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from common.capture.records import Dropped, Record, Steps
from common.record.movie import Movie, VideoFormat
from common.record.output import OutputFile
from common.video import blank
from proto.packet import Segment
from receiver.inspect.__main__ import main
from receiver.inspect.figures import figures_of
from receiver.inspect.summary import Summary
from receiver.inspect.tables import print_capture, sparkline
from receiver.inspect.units import Unit, Units
from tests.common.capture.samples import announcement, capture, decoded, packet, started, unit_packets
from tests.demo.process import ROOT

PATTERN = (True, True, False, True)


def records() -> list[Record]:
    """12 units of four packets, the third of which is lost each time; two units missing wholly; 3 s of silence before
    unit 8; unit 5's last packet came too late."""
    out: list[Record] = [announcement(100.0, 0)]
    for number in range(12):
        time = 100.0 + number * 4 / 15 + (3.0 if number >= 8 else 0.0)
        if number in (3, 4):
            out.append(decoded(number, time + 0.3, ()))
            continue
        came = unit_packets(number, time, PATTERN, 1 + 4 * number)
        late = came.pop() if number == 5 else None
        out += came
        out.append(decoded(number, time + 0.2, (True, True, False, number != 5)))
        out += [late] if late else []
    out.append(Steps((106.9,)))
    return out


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.smc"
    path.write_bytes(capture(records()))
    return path


def figures(path: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    assert main([str(path), "--json", *flags]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_loss_bursts_masks_and_gaps(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(path, capsys)
    assert found["kind"] == "received" and found["packets"] == 31
    assert found["begun_at"] == 1_800_000_100.0
    [sender] = found["senders"]
    assert (sender["name"], sender["mode"], sender["two_way"]) == ("mast", "auto", False)
    # Counters 0 to 48: single losses, and a run of the two missing units.
    assert sender["loss"] == pytest.approx(1 - 31 / 49, abs=1e-4)
    assert sender["bursts"] == {"1": 10, "2": 0, "3-4": 0, "5-8": 1, "9-16": 0, "17+": 0}
    control, video = sender["streams"]
    assert (control["name"], control["packets"]) == ("control", 1)
    assert video["profile"] == "resilient"
    assert (video["units"], video["units_missed"], video["units_complete"]) == (10, 2, 0)
    assert (video["packets_expected"], video["packets_received"], video["packets_late"]) == (40, 30, 1)
    assert (video["concealed"], video["refused"]) == (2, 0)
    assert video["lateness_ms"]["max"] == pytest.approx(3000, abs=8)
    gaps = found["gaps"]
    assert gaps["count"] == 2 and gaps["longest"][0]["seconds"] == pytest.approx(3.18, abs=0.05)
    assert found["files"][0]["closed"]


def test_every_unit_has_a_bar(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(path), "--units"]) == 0
    text = capsys.readouterr().out.splitlines()
    assert len(text) == 10
    assert "unit      0    3/4" in text[0] and "██·█" in text[0]
    assert "unit      5" in text[3] and "██·▒" in text[3]
    assert main([str(path), "--units", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[3]["arrived"] == [1, 1, 0, 1] and rows[3]["decoded"] == [1, 1, 0, 0]


def test_tables(path: Path) -> None:
    summary = Summary()
    summary.add(started())
    for record in [*records(), Dropped(107.0, 5)]:
        summary.add(record)
    summary.finish()
    file = {
        "name": "a.smc",
        "bytes": 1,
        "closed": False,
        "cut_bytes": 7,
        "damaged_bytes": 3,
        "unknown_records": 1,
    }
    out = io.StringIO()
    print_capture(figures_of(summary) | {"files": [file]}, Console(file=out, width=80))
    text = out.getvalue()
    for words in (
        *("sender mast", "30 of 40 (75%)", "1 video resilient", "2027-01-15 08:01:40 UTC", "records missing"),
        *("not closed", "7 bytes of a last record", "3 bytes in it are damaged", "longest silences"),
    ):
        assert words in text, words
    assert max(map(len, text.splitlines()[:-4])) <= 80


def test_wrong_files_and_a_cut_one(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.smc").write_text("hello")
    (tmp_path / "text.mkv").write_text("hello")
    for name, words in (
        ("text.smc", "is not a capture"),
        ("no.smc", "No such file"),
        ("text.mkv", "Invalid data"),
    ):
        assert main([str(tmp_path / name)]) == 66
        told = capsys.readouterr()
        assert words in told.err and name in told.err and not told.out
    path.write_bytes(path.read_bytes()[:-30])
    assert figures(path, capsys)["files"][0]["closed"] is False
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 64


def test_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mkv"
    file = OutputFile(path, 0o644, 0.0)
    movie = Movie(file, VideoFormat.h264(64, 48, 15), captions=True)
    for number in (*range(30), *range(45, 60)):
        if number % 15 == 0:
            movie.caption(f"line {number}", number / 15, 1.0)
        movie.picture(blank(64, 48), number / 15)
    movie.close()
    file.close()
    found = figures(path, capsys)
    video, text = found["tracks"]
    assert (video["codec"], video["size"], video["packets"], video["gaps"]) == ("h264", "64x48", 45, 1)
    assert video["seconds"] == pytest.approx(4.0, abs=0.01)
    assert text["kind"] == "subtitle" and found["captions"][-1] == "line 45"
    assert main([str(path)]) == 0 and "h264" in capsys.readouterr().out
    assert main([str(path), "--units"]) == 64


@pytest.mark.parametrize("command", [["receiver", "inspect"], ["receiver.inspect"]])
def test_the_command(path: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "sender mast" in done.stdout, done.stderr


def test_numbers_wrap_and_memory_is_bounded() -> None:
    closed: list[Unit] = []
    units = Units(closed.append)
    for number in range(65_500, 65_500 + 300):
        for one in unit_packets(number, number * 4 / 15, (True, True), 0):
            units.add(Segment.parse(1, one.body), one.time)
        assert len(units._open) <= 130
    units.finish()
    assert [unit.number for unit in closed] == list(range(65_500, 65_800))
    assert units.missed == 0 and units.seen == 300
    spans = [unit.first - unit.media_time for unit in closed]
    assert max(spans) - min(spans) < 0.01


def test_what_nobody_sends_is_counted() -> None:
    summary = Summary()
    summary.add(started())
    for record in (packet(0, 1.0, b""), packet(1, 1e11, bytes(10), 200), packet(2, 2.0, b"\1", 0)):
        summary.add(record)
    for number in range(70):
        one = packet(0, 3.0)
        summary.add(type(one)(3.0, bytes((number,)) * 6, bytes((number,)) * 6, 1, 0, False, b""))
    summary.finish()
    found = figures_of(summary)
    assert len(found["senders"]) == 64 and found["packets_of_more_senders"] == 7
    assert json.dumps(found)


def test_sparklines() -> None:
    assert sparkline([]) == "" and sparkline([0, 0]) == "▁▁"
    assert sparkline([0, 50, 100]) == "▁▄█" and len(sparkline(list(range(1000)))) == 60
